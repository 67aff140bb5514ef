/**
 * Memory over an hour of steady load: is it flat?
 *
 *   npm run bench -- soak [minutes, default 60] [bookings per second, default 3]
 *
 * The PSS of every process is sampled every ten seconds. After the warm-up (a sixth of the time) a line is fitted; a process GROWS when
 * its slope is above what noise explains (two standard errors) and above 6 MB/h, is FLAT when its slope plus two standard errors is
 * below that, and UNCLEAR when the noise hides the difference. Beside it stands the slope of the live heap, the lowest used heap of each
 * block, which is what the garbage collector could not free: PSS may rise without it while V8 takes the room it was given. How much of
 * that slope is compiled code stands beside it: code ends growing when everything is compiled, so does what is no leak, and the slope
 * of the second half shows it.
 * A process that ended on the way has no verdict: the one in its place began with an empty heap.
 *
 * BENCH_HEAP=<folder>: heap snapshots of every process after the warm-up and at the end. Taking one holds a process for seconds and
 * leaves it tens of megabytes larger for a while, so such a run looks for a leak's place and its verdicts count for nothing.
 */
import { loadavg } from 'node:os'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { createHttpClient, type SendHttp } from './bench-http.ts'
import { type BenchSystem, snapshotHeaps, startBenchSystem } from './bench-system.ts'
import { startLoad } from './load-process.ts'
import { followProcessesBelow } from './memory.ts'
import { addPartnerMembers } from './partner-members.ts'
import { publish } from './report.ts'
import type { LoadCounts } from './steady-load.ts'
import { type Sample, trendOf } from './trend.ts'
import { withinProcess } from './within-process.ts'

const SAMPLE_EVERY_MS = 10_000
const WARM_UP_SHARE = 1 / 6
const BLOCKS = 20
const GROWTH_ALLOWED_MB_PER_HOUR = 6
const MEMBERS = 100

type Series = Map<string, Sample[]>

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [minutes = 60, perSecond = 3] = process.argv.slice(2).map(Number)
  if (!(minutes > 0) || !(perSecond > 0)) throw new Obstacle('Say it like `npm run bench -- soak 60 3`.')
  const loadBefore = loadavg()[0] ?? 0
  const system = await startBenchSystem(stack)
  const client = createHttpClient(10)
  stack.defer(() => client.close())
  await addPartnerMembers(client.send, system.coffeechainUrl, MEMBERS)
  const urls = { commands: system.edgeUrl, queries: system.edgeUrl }
  const load = startLoad<LoadCounts>(stack, 'steady-load.ts', { urls, members: MEMBERS, perSecond })
  const { memory, heap, code, ended } = await sample(system, client.send, minutes)
  load.child.kill('SIGTERM')
  const counts = await load.result
  const verdicts = [...memory].map(([name, samples]): Verdict => {
    const judged = judge(name, { samples, heap: heap.get(name) ?? [], code: code.get(name) ?? [] }, minutes)
    return ended.includes(name) ? { ...judged, verdict: 'invalid: it ended' } : judged
  })
  publish({
    bench: 'soak',
    conditions: [
      ...system.differences,
      `${minutes} minutes of ${perSecond} bookings started per second through the edge, each with a search, a read and a list, every second one cancelled`,
      `load average of the machine before the start ${loadBefore.toFixed(1)}, at the end ${(loadavg()[0] ?? 0).toFixed(1)}`,
      `outcomes: ${Object.entries(counts)
        .map(([what, n]) => `${what} ${n}`)
        .join(', ')}`,
      ...(process.env.BENCH_HEAP ? ['with heap snapshots: the verdicts count for nothing'] : []),
      `processes that ended, even if they were started again: ${ended.join(', ') || 'none'}`,
      `PSS every ${SAMPLE_EVERY_MS / 1000} s; the slope after ${(minutes * WARM_UP_SHARE).toFixed(0)} minutes of warm-up, ± its standard error over ${BLOCKS} blocks`,
      `grows: slope above ${GROWTH_ALLOWED_MB_PER_HOUR} MB/h and above two standard errors; flat: slope less than ${GROWTH_ALLOWED_MB_PER_HOUR} MB/h above that noise; else unclear`,
    ],
    table: memoryTable(verdicts),
    figures: [],
    details: {
      counts,
      verdicts,
      memory: Object.fromEntries(memory),
      heap: Object.fromEntries(heap),
      code: Object.fromEntries(code),
    },
  })
}

interface Sampled {
  memory: Series
  /** Used heap, and how much of it is compiled code; of processes with `/metrics`. */
  heap: Series
  code: Series
  /** Names of processes that did not last until the end. */
  ended: readonly string[]
}

async function sample(system: BenchSystem, send: SendHttp, minutes: number): Promise<Sampled> {
  const processes = followProcessesBelow(system.pid)
  const memory: Series = new Map()
  const heap: Series = new Map()
  const code: Series = new Map()
  const note = (series: Series, name: string, one: Sample) => series.set(name, [...(series.get(name) ?? []), one])
  const beganAt = performance.now()
  const endsAt = beganAt + minutes * 60_000
  setTimeout(() => snapshotHeaps(system), minutes * 60_000 * WARM_UP_SHARE)
  for (let n = 1; performance.now() < endsAt; n++) {
    await new Promise((resolve) => setTimeout(resolve, beganAt + n * SAMPLE_EVERY_MS - performance.now()))
    const atSeconds = (performance.now() - beganAt) / 1000
    for (const { name, pssMb } of processes.measure()) note(memory, name, { atSeconds, value: pssMb })
    for (const [name, url] of Object.entries(system.metricsUrls)) {
      const used = await usedHeap(send, url)
      if (!used) continue
      note(heap, name, { atSeconds, value: used.heapMb })
      note(code, name, { atSeconds, value: used.codeMb })
    }
    if (n % 30 === 0) say(`· ${Math.round(atSeconds / 60)} of ${minutes} minutes: ${latest(memory)}`)
  }
  snapshotHeaps(system)
  return { memory, heap, code, ended: processes.ended() }
}

/** Undefined when the process did not answer: its memory is sampled all the same. */
async function usedHeap(send: SendHttp, url: string): Promise<{ heapMb: number; codeMb: number } | undefined> {
  const text = (await send(`${url}/metrics`).catch(() => undefined))?.text ?? ''
  const bytes = /^nodejs_heap_size_used_bytes(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1]
  if (bytes === undefined) return undefined
  // V8 keeps machine code in `code`, and in `trusted` what belongs to it: bytecode and the way back from optimised code.
  const spaces = text.matchAll(
    /^nodejs_heap_space_size_used_bytes\{.*space="(?:code|trusted)(?:_large_object)?".*\} (\S+)/gm,
  )
  const codeBytes = [...spaces].reduce((sum, [, size]) => sum + Number(size), 0)
  return { heapMb: Number(bytes) / 2 ** 20, codeMb: codeBytes / 2 ** 20 }
}

const latest = (series: Series) =>
  [...series].map(([name, samples]) => `${name} ${samples.at(-1)?.value.toFixed(0)}`).join(', ')

interface Verdict {
  name: string
  warmMb: number
  middleMb: number
  endMb: number
  slopePerHour: number
  errorPerHour: number
  verdict: 'flat' | 'grows' | 'unclear' | 'invalid: it ended'
  /** Of the second half alone. */
  lateSlopePerHour: number
  lateErrorPerHour: number
  /** Null for a process without `/metrics`. */
  liveHeapSlopePerHour: number | null
  codeSlopePerHour: number | null
}

interface Samples {
  samples: readonly Sample[]
  heap: readonly Sample[]
  code: readonly Sample[]
}

function judge(name: string, { samples, heap, code }: Samples, minutes: number): Verdict {
  const warmSeconds = minutes * 60 * WARM_UP_SHARE
  const warm = samples.filter(({ atSeconds }) => atSeconds >= warmSeconds)
  const late = samples.filter(({ atSeconds }) => atSeconds >= (warmSeconds + minutes * 60) / 2)
  const blockSeconds = (minutes * 60 - warmSeconds) / BLOCKS
  const { slopePerHour, errorPerHour } = trendOf(warm, blockSeconds)
  const around = (share: number) => {
    const at = warmSeconds + share * (minutes * 60 - warmSeconds)
    const near = warm.filter(({ atSeconds }) => Math.abs(atSeconds - at) <= 1.5 * blockSeconds)
    return near.reduce((total, { value }) => total + value, 0) / near.length
  }
  const noise = 2 * errorPerHour
  const grows = slopePerHour > GROWTH_ALLOWED_MB_PER_HOUR && slopePerHour > noise
  const flat = slopePerHour + noise <= GROWTH_ALLOWED_MB_PER_HOUR
  const verdict = grows ? 'grows' : flat ? 'flat' : 'unclear'
  const slopeOfLowest = (all: readonly Sample[]) => {
    const lowest = lowestOfBlocks(
      all.filter(({ atSeconds }) => atSeconds >= warmSeconds),
      blockSeconds,
    )
    return lowest.length > 0 ? trendOf(lowest, blockSeconds).slopePerHour : null
  }
  const { slopePerHour: lateSlopePerHour, errorPerHour: lateErrorPerHour } = trendOf(late, blockSeconds)
  return {
    name,
    ...{ warmMb: around(0), middleMb: around(0.5), endMb: around(1) },
    ...{ slopePerHour, errorPerHour, lateSlopePerHour, lateErrorPerHour, verdict },
    liveHeapSlopePerHour: slopeOfLowest(heap),
    codeSlopePerHour: slopeOfLowest(code),
  }
}

function lowestOfBlocks(samples: readonly Sample[], blockSeconds: number): Sample[] {
  const blocks = Map.groupBy(samples, ({ atSeconds }) => Math.floor(atSeconds / blockSeconds))
  return [...blocks.values()].map((block) => block.reduce((lowest, one) => (one.value < lowest.value ? one : lowest)))
}

function memoryTable(verdicts: readonly Verdict[]): string {
  const shown = (number: number | null) => number?.toFixed(1) ?? ''
  const rows = verdicts.map((one) => [
    one.name,
    ...[one.warmMb, one.middleMb, one.endMb].map((mb) => mb.toFixed(0)),
    `${shown(one.slopePerHour)} ± ${shown(one.errorPerHour)}`,
    `${shown(one.lateSlopePerHour)} ± ${shown(one.lateErrorPerHour)}`,
    one.verdict,
    shown(one.liveHeapSlopePerHour),
    shown(one.codeSlopePerHour),
  ])
  return [
    '| Process, PSS in MB | after warm-up | middle | end | slope MB/h | second half MB/h | verdict | live heap MB/h | of it code MB/h |',
    '| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n')
}

await runEntry(() => withinProcess(measure))
