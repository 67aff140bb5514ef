/**
 * The load of B8, a process of its own: finds flights first, one search per booking because the supplier sells one order per search,
 * then books them, so many at once, each answered when its booking is confirmed.
 *
 *   node infra/bench/saga-load.ts '{"urls": …, "members": 100, "sagas": 800, "warmUp": 100, "atOnce": 60}'
 */
import { createHttpClient } from './bench-http.ts'
import { type BenchMember, bookingIdOf, createBenchMember, type Flight } from './bench-member.ts'
import { benchTenant } from './bench-tenant.ts'

export interface SagaLoad {
  urls: { commands: string; queries: string }
  /** At least as many as bookings at once: a member has one movement at a time. */
  members: number
  /** Measured, beside those that warm up. */
  sagas: number
  warmUp: number
  atOnce: number
}

export interface SagaResult {
  /** Of the measured ones. */
  bookingIds: string[]
  durationsMs: number[]
  elapsedMs: number
  searchMs: number
  faults: Record<string, number>
}

const SEARCHES_AT_ONCE = 6

const { urls, members, sagas, warmUp, atOnce } = JSON.parse(process.argv[2] ?? '{}') as SagaLoad
const client = createHttpClient(atOnce)
const free = Array.from({ length: members }, (_, n) => createBenchMember(client.send, urls, n))
const faults: Record<string, number> = {}

/** Runs `work` for every item, so many at once. */
async function forEach<T>(items: readonly T[], atOnceMax: number, work: (item: T, n: number) => Promise<void>) {
  let next = 0
  const run = async () => {
    while (next < items.length) {
      const n = next++
      await work(items[n] as T, n)
    }
  }
  await Promise.all(Array.from({ length: atOnceMax }, run))
}

const searchBeganAt = performance.now()
const found: { member: BenchMember; flight: Flight }[] = []
await forEach(Array.from({ length: warmUp + sagas }), SEARCHES_AT_ONCE, async (_, n) => {
  const member = free[n % members] as BenchMember
  const flight = (await member.findFlights()).find(({ amount }) => amount <= benchTenant.approvalThreshold)
  if (!flight) throw new Error('no flight was found')
  found.push({ member, flight })
})
const searchMs = (performance.now() - searchBeganAt) / found.length

const bookingIds: string[] = []
const durationsMs: number[] = []
async function book({ member, flight }: (typeof found)[number], isMeasured: boolean): Promise<void> {
  const startedAt = performance.now()
  const answer = await member.book(flight)
  if (answer.status !== 201 || !answer.text.includes('"confirmed"')) {
    const what = `${answer.status} ${answer.text.replaceAll(/bkg_\w+/g, 'bkg_…').slice(0, 80)}`
    faults[what] = (faults[what] ?? 0) + 1
  } else if (isMeasured) {
    durationsMs.push(performance.now() - startedAt)
    bookingIds.push(bookingIdOf(answer))
  }
}

await forEach(found.slice(0, warmUp), atOnce, (one) => book(one, false))
process.send?.('measuring')
const beganAt = performance.now()
await forEach(found.slice(warmUp), atOnce, (one) => book(one, true))
const elapsedMs = performance.now() - beganAt
client.close()
const result: SagaResult = { bookingIds, durationsMs, elapsedMs, searchMs, faults }
process.stdout.write(`${JSON.stringify(result)}\n`)
