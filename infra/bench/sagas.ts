/**
 * B8: booking sagas completed per second against an instant supplier and partner (the stand-ins), bookings and their answers included.
 *
 *   npm run bench -- B8 [sagas, default 800] [at once, default 60]
 *
 * The yardstick: jobs per second that do nothing, through the same queue settings on the same Redis, divided by the steps that a saga
 * has worked on. It knows neither a claim nor a report nor the log, so it says what the queue alone would allow.
 */
import { availableParallelism, loadavg } from 'node:os'
import pg from 'pg'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { createHttpClient } from './bench-http.ts'
import { startBenchSystem } from './bench-system.ts'
import { startLoad } from './load-process.ts'
import type { NoopResult } from './noop-jobs.ts'
import { addPartnerMembers } from './partner-members.ts'
import { meterProcessor } from './processor-time.ts'
import { quantile } from './quantile.ts'
import { type Figure, publish, table } from './report.ts'
import type { SagaResult } from './saga-load.ts'
import { withinProcess } from './within-process.ts'

const WARM_UP_SHARE = 1 / 8
const NOOP_JOBS = 20_000
const RATIO_TARGET = 0.4

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [sagas = 800, atOnce = 60] = process.argv.slice(2).map(Number)
  if (!(sagas > 0) || !(atOnce > 0)) throw new Obstacle('Say it like `npm run bench -- B8 800 60`.')
  const warmUp = Math.ceil(sagas * WARM_UP_SHARE)
  const loadBefore = loadavg()[0] ?? 0
  const system = await startBenchSystem(stack)
  const client = createHttpClient(10)
  stack.defer(() => client.close())
  await addPartnerMembers(client.send, system.coffeechainUrl, atOnce)
  say(`· ${warmUp + sagas} searches, then as many bookings, ${atOnce} at once`)
  const urls = { commands: system.commandApiUrl, queries: system.queryApiUrl }
  const load = startLoad<SagaResult>(stack, 'saga-load.ts', { urls, members: atOnce, sagas, warmUp, atOnce })
  const processor = await meterProcessor(system, load)
  const { bookingIds, durationsMs, elapsedMs, faults } = await load.result
  const steps = await stepsOf(system.writeDatabaseUrl, bookingIds)
  say('· the yardstick: jobs that do nothing')
  const noop = await startLoad<NoopResult>(stack, 'noop-jobs.ts', { redisUrl: system.redisUrl, jobs: NOOP_JOBS }).result
  const sagasPerSecond = (bookingIds.length / elapsedMs) * 1000
  const yardstick = noop.jobsPerSecond / steps.worked
  const ratio = sagasPerSecond / yardstick
  const figures: Figure[] = [
    { what: 'sagas completed per second', value: sagasPerSecond, unit: '1/s' },
    { what: 'steps worked on per saga', value: steps.worked, unit: 'number' },
    { what: 'yardstick: jobs that do nothing, per second', value: noop.jobsPerSecond, unit: '1/s' },
    { what: 'yardstick ÷ steps per saga', value: yardstick, unit: '1/s' },
    { what: 'ratio', value: ratio, unit: 'ratio', target: `≥ ${RATIO_TARGET}`, isMet: ratio >= RATIO_TARGET },
    { what: 'booking asked → confirmed and answered, p50', value: quantile(durationsMs, 0.5), unit: 'ms' },
    { what: 'booking asked → confirmed and answered, p99', value: quantile(durationsMs, 0.99), unit: 'ms' },
  ]
  publish({
    bench: 'B8',
    conditions: [
      ...system.differences,
      `${bookingIds.length} bookings by ${atOnce} members, each with one under way, after ${warmUp} to warm up; searches beforehand, not measured`,
      `a booking is two look-ups at the partner, ${steps.events.toFixed(1)} events, ${steps.requested.toFixed(1)} steps requested (timers included), of which ${steps.worked.toFixed(1)} are worked on; deduct reads the balance besides`,
      `load average of the machine before the start: ${loadBefore.toFixed(1)} on ${availableParallelism()} cores`,
      `faults: ${JSON.stringify(faults)}`,
    ],
    figures,
    table: [table(figures), processor.table(bookingIds.length, 'saga')].join('\n\n'),
    details: { faults, steps, processorMs: processor.usedMs() },
  })
  if (Object.keys(faults).length > 0) throw new Obstacle('Some bookings failed: these figures are no result.')
}

/** Per booking: events of all its streams, steps requested, and those that a worker ran and reported. */
async function stepsOf(url: string, bookingIds: readonly string[]) {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const { rows } = await client.query<{ events: string; requested: string; worked: string }>(
      `select count(*) as events,
              count(*) filter (where type = 'StepRequested') as requested,
              count(*) filter (where type = 'AttemptStarted') as worked
       from events where stream = any($1::text[])`,
      [bookingIds.map((id) => `booking-${id}`)],
    )
    const per = (count: string | undefined) => Number(count) / bookingIds.length
    return { events: per(rows[0]?.events), requested: per(rows[0]?.requested), worked: per(rows[0]?.worked) }
  } finally {
    await client.end()
  }
}

await runEntry(() => withinProcess(measure))
