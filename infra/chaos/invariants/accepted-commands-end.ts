import type { Evidence, Invariant, SentRequest, StoredEvent, Try, Violation } from '../evidence.ts'
import { bookingIdIn, problemIn } from './answer.ts'
import { type BookingHistory, readHistory } from './booking-history.ts'
import { bookingKey, bookings, type World } from './world.ts'

/** P9 and P8: nothing that was accepted is forgotten, and what nobody knows is somebody's to decide. */
export const acceptedCommandsEnd: Invariant = {
  name: 'accepted-commands-end',
  promises: ['P8', 'P9'],
  says: 'every accepted command has ended or stands in a queue of the operators with a reason; after faults that machines can clear up that queue is empty',
  check: (world) => {
    const histories = [...bookings(world.store.events).values()].map(readHistory)
    const queued = histories.filter(({ operator }) => operator !== null)
    const unexcused = queued.filter((one) => !excuseFor(one, world))
    return {
      violations: [
        ...histories.flatMap((one) => unended(one, world, queued)),
        ...unexcused.map((one) => ({ what: `${inQueue(one)}; machines could have cleared it up` })),
        ...unkept(world, histories),
        ...openMovements(world, histories),
      ],
      notes: queued.flatMap((one) => {
        const excuse = excuseFor(one, world)
        return excuse ? [`${inQueue(one)}; ${excuse}`] : []
      }),
    }
  },
}

const inQueue = (one: BookingHistory) =>
  `${nameOf(one)} waits for an operator: ${one.operator?.step}, ${one.operator?.why}`

/**
 * After these neither a look-up nor a balance tells what happened, so that only a person can: the partner forgot its transactions while
 * the outcome was open, or a restored store forgot what it knew about the booking or its member. A booking that begins after that is
 * told of its member's lost history by an event of its own.
 */
function excuseFor({ tenantId, memberId, events }: BookingHistory, { store, evidence }: World): string | null {
  const isLost = events.some(({ type }) => type === 'BookingHistoryLost')
  const account = `member-account-${memberId}`
  const begunAt = events[0]?.recordedAt ?? ''
  const isLater = (event: StoredEvent) =>
    event.tenantId === tenantId && event.stream === account && event.recordedAt >= begunAt
  if (isLost) return 'the store was restored to a point before its last events'
  if (store.events.some((event) => isLater(event) && event.type === 'AccountHistoryLost'))
    return "the store was restored to a point before its member's last movement"
  const needed = events.findLast(({ type }) => type === 'OperatorNeeded')
  const begun = events.findLast(({ type, data }) => type === 'AttemptStarted' && data.step === needed?.data.step)
  const reset = evidence.partnerPeriods.find(
    ({ endedAt }) => begun && needed && begun.recordedAt <= endedAt && endedAt <= needed.recordedAt,
  )
  return reset ? `the partner was reset at ${reset.endedAt}, while it was open` : null
}

/** A movement that stands open keeps its member from every other one. */
function openMovements({ store }: World, histories: readonly BookingHistory[]): Violation[] {
  const queued = new Set(histories.flatMap(({ operator, bookingId }) => (operator ? [bookingId] : [])))
  const open = new Map<string, string>()
  for (const { type, data, tenantId } of store.events) {
    const key = `${tenantId} ${data?.movementId}`
    if (type === 'MovementOpened') open.set(key, data.bookingId)
    if (type === 'MovementSettled' || type === 'MovementVoided') open.delete(key)
  }
  return [...open].flatMap(([movement, bookingId]) =>
    queued.has(bookingId) ? [] : [{ what: `movement ${movement} is open and nobody works on it` }],
  )
}

/** A timer that fell due this long ago, with nothing broken any more, will never fire. */
const overdueMs = 30_000

const nameOf = ({ tenantId, bookingId }: BookingHistory) => `booking ${bookingId} of ${tenantId}`

/** What is neither ended, nor at rest until somebody approves, nor in the queue, nor behind what is. */
function unended(booking: BookingHistory, { store, readAt }: World, queued: readonly BookingHistory[]): Violation[] {
  const open = store.openSteps.filter(
    ({ tenantId, stream }) => tenantId === booking.tenantId && stream === `booking-${booking.bookingId}`,
  )
  const steps = open.map(({ step, isClaimed }) => (isClaimed ? `${step} (claimed)` : step)).join(', ')
  const waits = (step: string) => open.some((row) => row.step === step)
  if (booking.operator) {
    return waits('operator-decision') && booking.operator.why
      ? []
      : [{ what: `${nameOf(booking)} needs an operator and stands in no queue (open: ${steps})` }]
  }
  if (booking.status === 'pending_approval') {
    const expiry = open.find(({ step }) => step === 'approval-expiry')
    if (expiry && Date.parse(readAt) < Date.parse(expiry.dueAt) + overdueMs) return []
    return [{ what: `${nameOf(booking)} waits for approval and does not expire (open: ${steps})` }]
  }
  if (open.some(({ step, isClaimed }) => step === 'refund' && !isClaimed) && queued.some(keepsWaiting(booking)))
    return []
  if (booking.status === 'pending') return [{ what: `${nameOf(booking)} has not ended (open: ${steps || 'nothing'})` }]
  return open.length === 0 ? [] : [{ what: `${nameOf(booking)} is ${booking.status} and still wants ${steps}` }]
}

const isMovement = (step: string | undefined) => step === 'deduct' || step === 'refund'

/** A refund waits while another movement of its member is in question. */
const keepsWaiting = (booking: BookingHistory) => (other: BookingHistory) =>
  other.tenantId === booking.tenantId && other.memberId === booking.memberId && isMovement(other.operator?.step)

/** Answers that promised something the log does not keep. */
function unkept({ evidence }: World, histories: readonly BookingHistory[]): Violation[] {
  const known = new Map(histories.map((one) => [bookingKey(one.tenantId, one.bookingId), one]))
  const lost = lostFrom(evidence)
  return evidence.requests.flatMap((request) =>
    request.tries.flatMap((answer) => {
      const bookingId = bookingIdIn(answer.body) ?? bookingIdOfPath(request)
      const key = bookingKey(request.tenantId, bookingId ?? '')
      const isPromise = answer.status !== null && (answer.status < 300 || saysItFailed(request, answer))
      if (!isPromise || !bookingId || lost.has(key)) return []
      const booking = known.get(key)
      const what = booking ? brokenPromise(request, answer, booking) : 'does not exist'
      return what ? [{ what: `${request.path} was answered ${answer.status}, and booking ${bookingId} ${what}` }] : []
    }),
  )
}

/** Whether a member was told that the booking will not be: then it never comes back to life. */
function saysItFailed({ path }: SentRequest, { body }: Try): boolean {
  if (!path.endsWith('/bookings') || !bookingIdIn(body)) return false
  // The first names another request's booking, the second leaves open what became of it.
  return !/already been booked|being reconciled/.test(problemIn(body)?.detail ?? '')
}

/** What became of a booking against the answer; null when the answer holds. */
function brokenPromise({ path }: SentRequest, { status, body }: Try, booking: BookingHistory): string | null {
  const has = (type: string) => booking.events.some((event) => event.type === type)
  const said = (body as { data?: { status?: string } } | undefined)?.data?.status
  const verb = path.split('/').at(-1) ?? ''
  if ((status ?? 0) >= 300) return booking.status === 'confirmed' ? 'is confirmed after all' : null
  if (verb === 'cancel' && !has('CancellationRequested')) return 'was not cancelled in the log'
  if (verb === 'approve' && !has('BookingApproved')) return 'was not approved in the log'
  if (verb === 'reject' && !has('BookingRejected')) return 'was not rejected in the log'
  if (said === 'confirmed' && !booking.wasConfirmed) return 'was not confirmed in the log'
  if (said === 'cancelled' && booking.status !== 'cancelled') return `is ${booking.status}`
  return null
}

/** Bookings that a restore took events of: what was answered about them is gone by definition. */
function lostFrom({ lostEvents }: Evidence): Set<string> {
  return new Set(lostEvents.map(({ tenantId, stream }) => bookingKey(tenantId, stream.replace(/^booking-/, ''))))
}

function bookingIdOfPath({ path }: SentRequest): string | undefined {
  return /\/bookings\/([^/]+)\//.exec(path)?.[1]
}
