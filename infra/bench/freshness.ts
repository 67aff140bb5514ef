/**
 * B2: how long after a command's answer its effect can be read over HTTP, at a steady rate, everything on this machine.
 *
 *   npm run bench -- B2 [commands per second, default 200] [seconds, default 20]
 *
 * The yardstick, measured beside it: one round trip of a message of the same size through the same Kafka.
 */
import { availableParallelism, loadavg } from 'node:os'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { createHttpClient } from './bench-http.ts'
import { startBenchSystem } from './bench-system.ts'
import { HOPS, type Hops, hopsOf } from './freshness-hops.ts'
import type { FreshnessResult } from './freshness-load.ts'
import type { Observations } from './freshness-observer.ts'
import { startLoad } from './load-process.ts'
import { addPartnerMembers } from './partner-members.ts'
import { meterProcessor } from './processor-time.ts'
import { quantile } from './quantile.ts'
import { type Figure, publish, table } from './report.ts'
import { withinProcess } from './within-process.ts'

const MEMBERS = 50
const WARM_UP_SECONDS = 6
const P50_TARGET_MS = 15
const P99_TARGET_MS = 100
const TOPIC = 'bookings.events.v1'

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [perSecond = 200, seconds = 20] = process.argv.slice(2).map(Number)
  if (!(perSecond > 0) || !(seconds > 0)) throw new Obstacle('Say it like `npm run bench -- B2 200 20`.')
  const loadBefore = loadavg()[0] ?? 0
  const system = await startBenchSystem(stack, {
    tenant: { approvalThreshold: 1 },
    postgres: { track_commit_timestamp: 'on' },
  })
  const client = createHttpClient(10)
  stack.defer(() => client.close())
  await addPartnerMembers(client.send, system.coffeechainUrl, MEMBERS)
  say(`· finding flights, then ${WARM_UP_SECONDS} s of warm-up and ${seconds} s at ${perSecond} commands/s`)
  const urls = { commands: system.commandApiUrl, queries: system.queryApiUrl }
  const options = { urls, members: MEMBERS, perSecond, warmUpSeconds: WARM_UP_SECONDS, seconds }
  const observer = startLoad<Observations>(stack, 'freshness-observer.ts', { brokers: system.brokers, topic: TOPIC })
  const load = startLoad<FreshnessResult>(stack, 'freshness-load.ts', options)
  const processor = await meterProcessor(system, load)
  const { samples, faults, lateMsMax } = await load.result
  observer.child.kill('SIGTERM')
  const observations = await observer.result
  const hops = await hopsOf(system, samples, observations)
  const fresh = samples.map(({ answeredAtMs, visibleAtMs }) => visibleAtMs - answeredAtMs)
  const answered = samples.map(({ sentAtMs, answeredAtMs }) => answeredAtMs - sentAtMs)
  const roundTripMs = quantile(observations.roundTripsMs, 0.5)
  const p50 = quantile(fresh, 0.5)
  const p99 = quantile(fresh, 0.99)
  const ms = (what: string, value: number): Figure => ({ what, value, unit: 'ms' })
  const figures: Figure[] = [
    { what: 'commands per second', value: samples.length / seconds, unit: '1/s' },
    { ...ms('answered → visible, p50', p50), target: `≤ ${P50_TARGET_MS} ms`, isMet: p50 <= P50_TARGET_MS },
    { ...ms('answered → visible, p99', p99), target: `≤ ${P99_TARGET_MS} ms`, isMet: p99 <= P99_TARGET_MS },
    ms('yardstick: one Kafka round trip, p50', roundTripMs),
    ms('yardstick: one Kafka round trip, p99', quantile(observations.roundTripsMs, 0.99)),
    { what: 'p50 in Kafka round trips', value: p50 / roundTripMs, unit: 'ratio' },
    ms('command sent → answered, p50', quantile(answered, 0.5)),
    ms('command sent → answered, p99', quantile(answered, 0.99)),
  ]
  publish({
    bench: 'B2',
    conditions: [
      ...system.differences,
      `${perSecond} commands/s for ${seconds} s after ${WARM_UP_SECONDS} s of warm-up, by ${MEMBERS} members in turn: a booking that waits for an approval is requested, the next command cancels it. A booking that is approved goes on into a saga of a dozen calls, which B8 measures.`,
      'visible: a GET of the booking at query-api, sent when the answer is there, with its Consistency-Token, has returned the new status',
      `hops: of ${hops.length} cancellations; commit times as Postgres keeps them, hand-over as Kafka's records tell (whole ms)`,
      `load average of the machine before the start: ${loadBefore.toFixed(1)} on ${availableParallelism()} cores; the latest command began ${lateMsMax.toFixed(0)} ms after its turn`,
      `faults: ${JSON.stringify(faults)}`,
    ],
    figures,
    table: [table(figures), hopsTable(hops), processor.table(samples.length, 'command with its read')].join('\n\n'),
    details: { faults, lateMsMax, hops: hopFigures(hops), processorMs: processor.usedMs() },
  })
  if (Object.keys(faults).length > 0) throw new Obstacle('Some commands failed: these figures are no result.')
}

const hopFigures = (hops: readonly Hops[]) =>
  HOPS.map(({ what, from, to }) => {
    const durations = hops.map((one) => one[to] - one[from])
    return { what, p50: quantile(durations, 0.5), p99: quantile(durations, 0.99) }
  })

function hopsTable(hops: readonly Hops[]): string {
  const rows = hopFigures(hops).map(({ what, p50, p99 }) => `| ${what} | ${p50.toFixed(1)} | ${p99.toFixed(1)} |`)
  return ['| Hop | p50 ms | p99 ms |', '| --- | ---: | ---: |', ...rows].join('\n')
}

await runEntry(() => withinProcess(measure))
