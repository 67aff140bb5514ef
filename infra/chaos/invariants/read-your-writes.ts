import { decodeToken } from '@portolan/infra/consistency-token.ts'
import type { Evidence, InjectedFault, Invariant, Read, StoredEvent, Violation } from '../evidence.ts'
import { lastSeen, statuses } from './booking-history.ts'
import { bookings, type World } from './world.ts'

/** Of so many answered reads one at least must come after a write, or the load looks in vain. */
const readsToJudge = 20
/** Without a token a principal's positions are kept in Redis for so long. */
const rememberedMs = 60_000
/** How long processes may take to find a Redis that is back: until then what they note is lost. */
const reconnectMs = 3_000

/**
 * P11. What a reader must see at least is each of its bookings as of the positions of the token it sent, or without one of every token
 * that it was answered within the last minute. 503 is always allowed.
 */
export const readYourWrites: Invariant = {
  name: 'read-your-writes',
  promises: ['P11'],
  says: 'no read with a token, or by the principal that wrote, showed an older state than had been answered',
  check: (world) => {
    const { evidence } = world
    const answered = answeredTokens(evidence)
    const eras = erasOf(world)
    let shown = 0
    let judged = 0
    const violations = evidence.reads.flatMap((read) => {
      const era = eras.find(({ from, until }) => from <= read.sentAt && read.endedAt < until)
      if (!era || read.status === null || (read.status >= 400 && read.status !== 404)) return []
      shown += 1
      const own = reader(read.tenantId, read.principal)
      const tokens = read.sentToken ? [read.sentToken] : recalled(read, answered.get(own) ?? [], evidence.faults)
      const promised = (era.streams.get(own) ?? []).flatMap((events) => {
        const version = Math.max(0, ...tokens.map((token) => versionAt(events, token, era.generation)))
        return version === 0 ? [] : [{ events, version }]
      })
      if (promised.length > 0) judged += 1
      return promised.flatMap(({ events, version }) => olderThan(read, events, version))
    })
    // A restore leaves little time on either side, in which nobody may have written.
    if (judged === 0 && shown >= readsToJudge && eras.length === 1)
      violations.push({ what: `none of ${shown} reads had anything to show` })
    return { violations, notes: [`${judged} of ${shown} answered reads had something to show`] }
  },
}

const reader = (tenantId: string, principal: string) => `${tenantId} ${principal}`

/** A time in which the log was one and the same, with the bookings that it held then, by who reads them. */
interface Era {
  from: string
  until: string
  generation: number
  streams: Map<string, StoredEvent[][]>
}

/** Before the first restore, and after the last: in between nobody knows which events stood when. */
function erasOf({ store, evidence }: World): Era[] {
  const streamsOf = (events: readonly StoredEvent[]) =>
    Map.groupBy([...bookings(events).values()], ([first]) =>
      reader(first?.tenantId ?? '', `member:${first?.data.memberId}`),
    )
  const restores = evidence.faults.filter(({ kind }) => kind === 'restore')
  const [first] = restores.map(({ from }) => from).sort()
  const last = restores
    .map(({ until }) => until)
    .sort()
    .at(-1)
  const now = { from: last ?? '', until: '9999', generation: store.generation, streams: streamsOf(store.events) }
  if (!first) return [now]
  const stood = [...store.events.filter(({ recordedAt }) => recordedAt < first), ...evidence.lostEvents]
  return [{ from: '', until: first, generation: 1, streams: streamsOf(stood) }, now]
}

function answeredTokens({ requests }: Evidence): Map<string, { endedAt: string; token: string }[]> {
  const all = requests.flatMap(({ tenantId, principal, tries }) =>
    tries.flatMap(({ token, endedAt }) => (token ? [{ own: reader(tenantId, principal), endedAt, token }] : [])),
  )
  return Map.groupBy(all, ({ own }) => own)
}

/** What Redis knew of the last minute before the reader was answered: it may have been held still. Nothing while Redis was away, and nothing from before. */
function recalled(
  { sentAt, endedAt }: Read,
  answered: readonly { endedAt: string; token: string }[],
  faults: readonly InjectedFault[],
): string[] {
  const losses = faults
    .filter(({ kind }) => kind === 'redis-empty' || kind === 'redis-stop')
    .map(({ from, until }) => ({ from, until: plus(until, reconnectMs) }))
    .filter(({ from }) => from <= endedAt)
  if (losses.some(({ until }) => sentAt <= until)) return []
  const since = [plus(endedAt, -rememberedMs), ...losses.map(({ until }) => until)].sort().at(-1) ?? ''
  return answered.filter((answer) => answer.endedAt < sentAt && answer.endedAt > since).map(({ token }) => token)
}

const plus = (at: string, ms: number) => new Date(Date.parse(at) + ms).toISOString()

/** The version that a stream had reached at a token's positions; 0 where the token says nothing about it. */
function versionAt(events: readonly StoredEvent[], token: string, generation: number): number {
  const decoded = decodeToken(token)
  const [first] = events
  if (!first || decoded.generation !== generation) return 0
  const reached = decoded.positions[first.topic]?.[first.partition] ?? 0
  return events.findLast(({ position }) => position <= reached)?.streamVersion ?? 0
}

function olderThan(read: Read, events: readonly StoredEvent[], version: number): Violation[] {
  const bookingId = events[0]?.stream.slice('booking-'.length)
  const older = (shown: string) => [
    {
      what: `${read.path} by ${read.principal} at ${read.sentAt} ${shown}, older than version ${version} of ${bookingId}`,
    },
  ]
  if (read.path === `/api/v1/bookings/${bookingId}`) {
    if (read.status === 404) return older('was answered 404')
    const shown = (read.body as { data: { updated_at: string } }).data.updated_at
    // Every event that a reader sees moves updated_at to the instant it happened.
    return shown < lastSeen(events, version)?.data.at ? older(`showed ${shown}`) : []
  }
  const list = wholeList(read)
  if (!list) return []
  const row = list.find((one) => one.booking_id === bookingId)
  const statusesSince: string[] = statuses(events).slice(version - 1)
  if (!row) return statusesSince.some((status) => unlisted.has(status)) ? [] : older('did not list it')
  return statusesSince.includes(row.status) ? [] : older(`listed it as ${row.status}`)
}

/** What a list without a filter leaves out. */
const unlisted = new Set(['failed', 'rejected', 'expired'])

/** The rows of a list; undefined where a filter or a page may hide a booking. */
function wholeList({ path, body }: Read): { booking_id: string; status: string }[] | undefined {
  if (!/^\/api\/v1\/bookings(\?limit=\d+)?$/.test(path)) return undefined
  const { data } = body as { data: { bookings: { booking_id: string; status: string }[]; pagination: Page } }
  return data.pagination.has_more ? undefined : data.bookings
}

interface Page {
  has_more: boolean
}
