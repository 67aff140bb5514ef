/**
 * The load of B2, a process of its own: so many commands per second, by the clock and whatever the answers take. Every other command
 * requests a booking that waits for an approval, and the next one cancels it. Each answer is followed at once by a read of the
 * booking with the answer's Consistency-Token: the read returns when the booking is visible, and must show the command's effect.
 *
 *   node infra/bench/freshness-load.ts '{"urls": …, "members": 50, "perSecond": 200, "warmUpSeconds": 5, "seconds": 20}'
 */
import { createHttpClient, type HttpAnswer } from './bench-http.ts'
import { type BenchMember, bookingIdOf, createBenchMember, type Flight } from './bench-member.ts'

export interface FreshnessLoad {
  urls: { commands: string; queries: string }
  members: number
  perSecond: number
  warmUpSeconds: number
  seconds: number
}

/** One command of the measured time; instants are UTC ms with fractions, by this machine's clock. */
export interface CommandSample {
  kind: 'request' | 'cancel'
  bookingId: string
  sentAtMs: number
  answeredAtMs: number
  visibleAtMs: number
}

export interface FreshnessResult {
  samples: CommandSample[]
  /** What went wrong, by its first words. */
  faults: Record<string, number>
  /** Longest time a command was started after its turn. */
  lateMsMax: number
}

const SEARCHES_AT_ONCE = 4
const nowMs = () => performance.timeOrigin + performance.now()

const options = JSON.parse(process.argv[2] ?? '{}') as FreshnessLoad
const client = createHttpClient(200)
const members = Array.from({ length: options.members }, (_, n) => createBenchMember(client.send, options.urls, n))
const commandsPlanned = options.perSecond * (options.warmUpSeconds + options.seconds)

/** Enough flights for every request, found before the clock starts: a flight can be booked once. */
async function findFlights(): Promise<{ member: BenchMember; flight: Flight }[]> {
  const found: { member: BenchMember; flight: Flight }[] = []
  let turn = 0
  const search = async () => {
    while (found.length < commandsPlanned / 2 + 1) {
      const member = members[turn++ % members.length] as BenchMember
      for (const flight of await member.findFlights()) found.push({ member, flight })
    }
  }
  await Promise.all(Array.from({ length: SEARCHES_AT_ONCE }, search))
  return found
}

async function measure(): Promise<FreshnessResult> {
  const flights = await findFlights()
  const toCancel: { member: BenchMember; bookingId: string }[] = []
  const result: FreshnessResult = { samples: [], faults: {}, lateMsMax: 0 }
  const measuredFromMs = nowMs() + options.warmUpSeconds * 1000

  async function run(kind: CommandSample['kind']): Promise<void> {
    const sentAtMs = nowMs()
    const chosen = kind === 'request' ? flights.pop() : toCancel.shift()
    if (!chosen) throw new Error(`nothing left to ${kind}`)
    const { member } = chosen
    const answer = 'flight' in chosen ? await member.book(chosen.flight) : await member.cancel(chosen.bookingId)
    const answeredAtMs = nowMs()
    const bookingId = bookingIdOf(answer)
    requireStatus(answer, kind === 'request' ? 201 : 200)
    const read = await member.read(bookingId, { 'consistency-token': String(answer.headers['consistency-token']) })
    const visibleAtMs = nowMs()
    requireStatus(read, 200)
    if (!read.text.includes(kind === 'request' ? '"pending_approval"' : '"cancelled"'))
      throw new Error(`a ${kind} that is not visible`)
    if (kind === 'request') toCancel.push({ member, bookingId })
    if (sentAtMs >= measuredFromMs) result.samples.push({ kind, bookingId, sentAtMs, answeredAtMs, visibleAtMs })
  }

  setTimeout(() => process.send?.('measuring'), options.warmUpSeconds * 1000)
  const underWay = new Set<Promise<void>>()
  const beganAtMs = nowMs()
  for (let n = 0; n < commandsPlanned; n++) {
    const dueAtMs = beganAtMs + (n / options.perSecond) * 1000
    const untilMs = dueAtMs - nowMs()
    if (untilMs > 0) await new Promise((resolve) => setTimeout(resolve, untilMs))
    else if (dueAtMs >= measuredFromMs) result.lateMsMax = Math.max(result.lateMsMax, -untilMs)
    const done = run(n % 2 === 0 || toCancel.length === 0 ? 'request' : 'cancel')
      .catch((error: Error) => {
        const what = error.message.replaceAll(/bkg_\w+/g, 'bkg_…').slice(0, 120)
        result.faults[what] = (result.faults[what] ?? 0) + 1
      })
      .finally(() => underWay.delete(done))
    underWay.add(done)
  }
  await Promise.all(underWay)
  return result
}

function requireStatus({ status, text }: HttpAnswer, wanted: number): void {
  if (status !== wanted) throw new Error(`${status} instead of ${wanted}: ${text.slice(0, 60)}`)
}

const result = await measure()
client.close()
process.stdout.write(`${JSON.stringify(result)}\n`)
