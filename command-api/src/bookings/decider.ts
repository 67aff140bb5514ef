/**
 * What members and operators may do with a booking. Pure: state and the database's instant in, events out.
 *
 * Every decision may touch two streams, the booking and its member's account, in one transaction. `conclude` is the one place that
 * ends a booking that is being undone, so each decision only says what happened.
 */
import type { BookedOffer, BookingEvent, FailureReason } from '@portolan/schemas/bookings/messages.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import { type Booking, type BookingState, evolveBooking, isDoubted } from './booking.ts'
import { askInstead } from './lost-history.ts'
import { evolveAccount, type MemberAccount } from './member-account.ts'
import { claimedSteps, isUnderWay, later, owesGiveBack, type ProcessTimes, undoSteps } from './process.ts'
import { settleUp } from './settle-up.ts'

export interface Decision {
  booking: BookingEvent[]
  account: MemberEvent[]
  /** What the caller is refused with although these events are recorded: they were due anyway. */
  refusal?: Rejection
}

export interface States {
  booking: BookingState
  account: MemberAccount
}

export interface RequestBooking {
  bookingId: string
  memberId: string
  personId: string
  offer: BookedOffer
  price: Booking['price']
  passengers: Booking['passengers']
  contactSealed: string
  /** Set when our threshold or the partner's check asks for an operator. */
  approval: { askedBy: 'threshold' | 'partner'; reason: string } | null
}

/** A new booking; with `approval` it waits for an operator and nothing is held or deducted meanwhile. */
export function requestBooking(command: RequestBooking, now: string, times: ProcessTimes): BookingEvent[] {
  const { approval, ...request } = command
  const events: BookingEvent[] = [{ type: 'BookingRequested', data: { ...request, at: now } }]
  if (approval) {
    const expiresAt = later(now, times.approvalTtlMs)
    events.push({ type: 'ApprovalRequested', data: { ...approval, expiresAt, at: now } })
  }
  return events
}

/**
 * Approves a pending booking; [] when it was approved before.
 * Rejects: booking-not-found, not-pending-approval.
 */
export function approveBooking(state: BookingState, by: string, now: string): BookingEvent[] {
  const b = existing(state)
  if (b.approval?.approvedAt) return []
  if (b.phase !== 'pending_approval') return refuseDecision(b)
  return [{ type: 'BookingApproved', data: { by, at: now } }]
}

/**
 * Rejects a pending booking; nothing when it was rejected before. One of which more is in doubt is undone instead, which asks first.
 * Rejects: booking-not-found, not-pending-approval.
 */
export function rejectBooking(states: States, by: string, reason: string, now: string, times: ProcessTimes): Decision {
  const b = existing(states.booking)
  if (b.phase === 'rejected') return nothing
  if (b.phase !== 'pending_approval') return refuseDecision(b)
  const rejected: BookingEvent = isDoubted(b, 'deduct')
    ? compensation('operator-decision', now)
    : { type: 'BookingRejected', data: { by, reason, at: now } }
  return conclude(states, { booking: [rejected], account: [] }, now, times)
}

/** Whether a pending approval has run out at `now`. */
export function approvalIsOver(b: Booking, now: string): boolean {
  return b.phase === 'pending_approval' && b.approval !== null && now >= b.approval.expiresAt
}

/** The end of an approval's time; a booking of which more is in doubt is undone, which asks first. */
export function approvalExpired(b: Booking, now: string): BookingEvent {
  if (isDoubted(b, 'deduct')) return compensation('approval-expired', now, null, 'expired')
  return { type: 'BookingExpired', data: { reason: 'approval-expired', at: now } }
}

/**
 * Cancels for the member; [] when a cancellation was asked for before. A booking whose outcome is still open is cancelled once it is known.
 * Rejects: booking-not-found, not-cancellable (ended otherwise, or departed).
 */
export function cancelBooking(
  states: States,
  command: { by: string; refundRequested: boolean; reasonSealed: string | null },
  now: string,
  times: ProcessTimes,
): Decision {
  const b = existing(states.booking)
  if (b.cancellation) return nothing
  if (b.phase === 'failed' || b.phase === 'rejected' || b.phase === 'expired') {
    throw new Rejection('not-cancellable', `Booking with ID '${b.bookingId}' is ${b.phase}`)
  }
  if (b.offer.outbound.departure.time <= now) {
    throw new Rejection('not-cancellable', `The flight of booking '${b.bookingId}' has departed`)
  }
  const asked: BookingEvent = { type: 'CancellationRequested', data: { ...command, at: now } }
  return conclude(states, { booking: [asked], account: [] }, now, times)
}

/**
 * Makes the poll or the reconciling look-up of an order due now, because the supplier's webhook says that something changed. [] when
 * none is open or it is due anyway.
 */
export function hastenPoll(state: BookingState, now: string): BookingEvent[] {
  const open = state?.open['poll-order'] ?? state?.open['reconcile-order']
  return open && open.dueAt > now ? [{ type: 'StepHastened', data: { step: open.step, at: now } }] : []
}

/**
 * Records that an owed refund was given back outside. [] when it was recorded before.
 * Rejects: booking-not-found; conflict (another amount is owed than was seen).
 */
export function settleOwedRefund(
  states: States,
  { amount, by, reason }: { amount: number; by: string; reason: string },
  now: string,
): MemberEvent[] {
  const { bookingId, memberId } = existing(states.booking)
  const { owed, settled } = states.account
  const due = owed[bookingId]
  if (!due && settled[bookingId]?.amount === amount) return []
  if (due?.amount !== amount) throw otherAmount('owed', due?.amount)
  return [{ type: 'OwedRefundSettled', data: { bookingId, memberId, ...due, by, reason, at: now } }]
}

/** What was seen is not what stands open any more: a correction came between, or another settlement. */
export function otherAmount(how: string, amount = 0): Rejection {
  return new Rejection('conflict', `What is ${how} for this booking is ${amount}; look at the ledger again`)
}

/** Starts undoing a booking that cannot be completed; it ends as `to` once everything is taken back. */
export function compensation(
  reason: FailureReason,
  now: string,
  availableBalance: number | null = null,
  to: 'failed' | 'expired' = 'failed',
): BookingEvent {
  return { type: 'CompensationStarted', data: { to, reason, availableBalance, at: now } }
}

/**
 * Whether the supplier's unpaid order has run out at `now`, so that nothing may be deducted or paid for it any more. Once the tickets are
 * being paid for, their outcome decides.
 */
export function holdIsOver(b: Booking, now: string): boolean {
  const isOver = b.phase === 'arranging' && b.order?.state === 'held' && b.order.payBy !== null && now >= b.order.payBy
  return isOver && !isUnderWay(b, 'issue-tickets')
}

export const holdExpired = (now: string): BookingEvent => compensation('hold-expired', now, null, 'expired')

/** The same amount as owed, in the booking and in the member's account. */
export function refundOwed(b: Booking, why: string, now: string): Decision {
  if (!b.deduction) return nothing
  const { amount, currency } = b.deduction
  const { bookingId, memberId } = b
  return {
    booking: [{ type: 'RefundOwed', data: { amount, currency, why, at: now } }],
    account: [{ type: 'RefundOwed', data: { bookingId, memberId, amount, currency, at: now } }],
  }
}

/**
 * Adds what follows by itself: an amount that no call can give back becomes owed, and a booking with nothing left to undo ends.
 * Nothing follows while a call is claimed or something stands in the way. A booking that is being undone is not undone twice.
 */
export function conclude(states: States, wanted: Decision, now: string, times: ProcessTimes): Decision {
  const decision = states.booking?.undo
    ? { ...wanted, booking: wanted.booking.filter((event) => event.type !== 'CompensationStarted') }
    : wanted
  const b = decision.booking.reduce(evolveBooking, states.booking)
  if (!b || b.endedAt || b.unknown || b.awaiting || b.operator || claimedSteps(b).length > 0) return decision
  const doubts = askInstead(b, now, times)
  if (doubts.length > 0) return { ...decision, booking: [...decision.booking, ...doubts] }
  if (b.phase !== 'undoing' || !b.undo) return decision
  if (undoSteps(b, times).length > 0) return decision
  const owed = owesGiveBack(b) ? refundOwed(b, 'no transaction id is known', now) : nothing
  return {
    booking: [...decision.booking, ...owed.booking, ending(owed.booking.reduce(evolveBooking, b) ?? b, now)],
    account: [...decision.account, ...owed.account, ...settledAtEnd(states.account, decision.account, b, now)],
  }
}

/** Who gives an unpaid ticket back owes nothing for it any more, and who paid for it outside is owed that. */
function settledAtEnd(before: MemberAccount, decided: readonly MemberEvent[], b: Booking, now: string): MemberEvent[] {
  const account = decided.reduce(evolveAccount, before)
  if (!account.recoverable[b.bookingId] && !account.recovered[b.bookingId]) return []
  return settleUp(account, b, { by: 'portolan', reason: 'The ticket it stood for was given up' }, now)
}

function ending(b: Booking, now: string): BookingEvent {
  const reason = b.undo?.reason ?? 'operator-decision'
  if (b.undo?.to === 'failed') return { type: 'BookingFailed', data: { reason, at: now } }
  if (b.undo?.to === 'expired') return { type: 'BookingExpired', data: { reason, at: now } }
  return { type: 'BookingCancelled', data: { refund: refundStatus(b), at: now } }
}

function refundStatus(b: Booking): 'processed' | 'pending' | 'not_requested' | 'not_applicable' {
  if (!b.deduction) return 'not_applicable'
  if (!b.givenBack) return 'not_requested'
  return b.givenBack.as === 'refunded' ? 'processed' : 'pending'
}

/** The booking, or a rejection booking-not-found. */
export function existing(state: BookingState): Booking {
  if (!state) throw new Rejection('booking-not-found', 'Booking not found')
  return state
}

function refuseDecision(b: Booking): never {
  const isTooLate = b.phase === 'expired' && b.approval?.approvedAt === null
  throw new Rejection(
    'not-pending-approval',
    isTooLate
      ? `The approval of booking '${b.bookingId}' has expired`
      : `Booking with ID '${b.bookingId}' is not waiting for an approval`,
  )
}

export const nothing: Decision = { booking: [], account: [] }
