import type { Evidence, Invariant, Violation } from '../evidence.ts'
import { readHistory } from './booking-history.ts'
import { bookings, type World } from './world.ts'

/** P1: what one command writes into several tables is there altogether or not at all. */
export const commandsAtomic: Invariant = {
  name: 'commands-atomic',
  promises: ['P1', 'P10'],
  says: 'open steps are what the events leave open, and an idempotency record stands exactly where its events do',
  check: (world) => ({
    violations: [...stepViolations(world), ...movementViolations(world), ...keyViolations(world)],
    notes: [],
  }),
}

/** `open_steps` must be the fold of the step events. */
function stepViolations({ store }: World): Violation[] {
  const open = new Map<string, { attempt: number; isClaimed: boolean }>()
  for (const { tenantId, stream, type, data } of store.events) {
    const key = `${tenantId} ${stream} ${data?.step}`
    if (type === 'StepRequested') open.set(key, { attempt: data.attempt, isClaimed: false })
    const current = open.get(key)
    if (!current || current.attempt !== data.attempt) continue
    if (type === 'AttemptStarted') current.isClaimed = true
    if (type === 'AttemptEnded' || type === 'StepWithdrawn') open.delete(key)
  }
  const rows = new Map(store.openSteps.map((row) => [`${row.tenantId} ${row.stream} ${row.step}`, row]))
  return [...new Set([...open.keys(), ...rows.keys()])].flatMap((key) => {
    const [folded, row] = [open.get(key), rows.get(key)]
    if (folded && row && folded.attempt === row.attempt && folded.isClaimed === row.isClaimed) return []
    const said = (step: typeof folded) =>
      step ? `attempt ${step.attempt}${step.isClaimed ? ', claimed' : ''}` : 'none'
    return [{ what: `${key}: the events leave ${said(folded)} open, the table ${said(row)}` }]
  })
}

/** A claim of a movement is written into the booking and into the member's account by one command. */
function movementViolations({ store }: World): Violation[] {
  const opened = new Map<string, number>()
  const claimed = new Map<string, number>()
  const count = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
  for (const { type, data, tenantId } of store.events) {
    if (type === 'MovementOpened') count(opened, `${tenantId} ${data.movementId} ${data.executionId}`)
  }
  for (const { type, data, tenantId, stream } of store.events) {
    if (type !== 'AttemptStarted' || (data.step !== 'deduct' && data.step !== 'refund')) continue
    count(claimed, `${tenantId} ${stream.slice('booking-'.length)}:${data.step}:${data.attempt} ${data.executionId}`)
  }
  return [...new Set([...opened.keys(), ...claimed.keys()])].flatMap((key) => {
    const [accounts, streams] = [opened.get(key) ?? 0, claimed.get(key) ?? 0]
    if (accounts === 1 && streams === 1) return []
    return [
      { what: `movement ${key}: opened ${accounts} times in the account, claimed ${streams} times in the booking` },
    ]
  })
}

/** Requests to book name the flight, and a flight is booked once: so each booking is known to come from one key. */
function keyViolations({ store, evidence }: World): Violation[] {
  const histories = [...bookings(store.events).values()].map(readHistory)
  const existing = new Set(histories.map(({ tenantId, bookingId }) => `${tenantId} ${bookingId}`))
  const made = store.keys.filter((row) => row.path === bookingPath && row.rejection === null)
  const dangling = made.filter(({ tenantId, reference }) => !existing.has(`${tenantId} ${reference}`))
  const named = new Set(made.map(({ tenantId, reference }) => `${tenantId} ${reference}`))
  const sent = Map.groupBy(evidence.requests.filter(isBooking), ({ tenantId, body }) => `${tenantId} ${flightOf(body)}`)
  const nameless = histories.filter(({ tenantId, flightId, bookingId }) => {
    const requests = sent.get(`${tenantId} ${flightId}`) ?? []
    const hadKeys = requests.length > 0 && requests.every(({ idempotencyKey }) => idempotencyKey !== null)
    return hadKeys && !named.has(`${tenantId} ${bookingId}`)
  })
  return [
    ...dangling.map(({ key, reference }) => ({
      what: `the record of key ${key} names ${reference}, which does not exist`,
    })),
    ...nameless.map(({ bookingId }) => ({
      what: `booking ${bookingId} was asked for with a key and no record names it`,
    })),
  ]
}

const bookingPath = '/api/v1/bookings'
const isBooking = ({ path, method }: Evidence['requests'][number]) => method === 'POST' && path === bookingPath
const flightOf = (body: unknown) => (body as { flight_id?: string } | null)?.flight_id
