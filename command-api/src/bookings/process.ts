/**
 * The booking's process manager: which steps a booking wants worked on now, and which timers.
 *
 * `nextSteps(booking)` names the whole set; handle-command asks for what is missing and withdraws what is no longer wanted (never a
 * claimed attempt). While an attempt is claimed, or something stands in the way (unknown, awaiting, operator), no further call is
 * asked for, so a booking has at most one call to the outside world under way.
 */
import type { WantedStep } from '@portolan/schemas/steps.ts'
import { type Booking, type BookingState, isDoubted } from './booking.ts'

/** Durations in milliseconds; every one is a setting, so that fault tests run in seconds. */
export interface ProcessTimes {
  /** Until a pending approval expires. */
  approvalTtlMs: number
  /** How long a step before the ticket may be late or retried before the booking fails. */
  stepWindowMs: number
  /** The same for looking the fare up again after an approval. */
  recheckWindowMs: number
  /** How long a refund or a cancellation at the supplier is retried before a person is asked. */
  undoWindowMs: number
  /** How long an unknown outcome is reconciled before a person is asked. */
  reconcileWindowMs: number
  /** Between two reconciling reads. */
  reconcileEveryMs: number
  /** After this long an unchanged balance or a missing order means that the call did not happen. */
  settleMs: number
  /** How long an accepted order is polled before a person is asked, and how often. */
  pollWindowMs: number
  pollEveryMs: number
  /** How long an operator has before the queue's entry counts as overdue. */
  operatorWindowMs: number
  /** How long a call that a restored store has forgotten may still be under way: the claim's window and the longest call. */
  forgottenCallMs: number
  /** Added to callBefore + call timeout before an unreported attempt counts as unknown. */
  lostGraceMs: number
}

/** What judging an outcome needs besides the states. */
export interface AttemptSettings {
  times: ProcessTimes
  /** What the partner's reset returns this member to, where the tenant's settings name it. */
  resetBalance?: number | undefined
}

export const movementSteps: readonly string[] = ['deduct', 'refund']

/** All steps wanted in this state. Pure: every instant comes from the events. */
export function nextSteps(state: BookingState, times: ProcessTimes): WantedStep[] {
  if (!state) return []
  const b = state
  if (b.endedAt) return review(b)
  const timers = [...watches(b), ...holdExpiry(b)]
  if (b.operator) return [...timers, decision(b, b.operator)]
  if (b.unknown) return [...timers, reconciliation(b, b.unknown, times)]
  if (b.awaiting) return [...timers, poll(b, b.awaiting, times)]
  if (claimedSteps(b).length > 0) return timers
  switch (b.phase) {
    case 'pending_approval':
      return [wanted(b, 'approval-expiry', b.approval?.expiresAt ?? b.requestedAt, 0, {})]
    case 'arranging':
      return [...timers, arrange(b, times)]
    case 'undoing':
      return [...timers, ...undoSteps(b, times).slice(0, 1)]
    default:
      return [...timers, ...review(b)]
  }
}

/** A disputed conclusion stands in no call's way, so it is asked about once the booking is at rest. */
function review(b: Booking): WantedStep[] {
  const dispute = Object.values(b.disputes).find(({ isOpen }) => isOpen)
  return dispute ? [decision(b, { ...dispute, why: 'reported-late' })] : []
}

/** The next thing to do for a booking that is being arranged. */
function arrange(b: Booking, times: ProcessTimes): WantedStep {
  if (!b.fareAgreed) {
    const input = { offer: b.offer, price: b.price, passengers: b.passengers }
    return wanted(b, 'recheck-fare', b.progressAt, times.recheckWindowMs, input)
  }
  const ordering = {
    supplierOfferId: b.offer.supplierOfferId,
    supplierAmount: b.offer.supplierAmount,
    supplierCurrency: b.offer.supplierCurrency,
    passengers: b.passengers,
    contactSealed: b.contactSealed,
    personId: b.personId,
  }
  if (b.offer.holdable && !b.order) return wanted(b, 'place-hold', b.progressAt, times.stepWindowMs, ordering)
  if (!b.deduction) {
    const { loyaltyAmount, loyaltyCurrency } = b.price
    const input = { amount: loyaltyAmount, currency: loyaltyCurrency, description: `Flight booking ${b.bookingId}` }
    return wanted(b, 'deduct', b.progressAt, times.stepWindowMs, input)
  }
  return wanted(b, 'issue-tickets', b.progressAt, times.stepWindowMs, {
    ...ordering,
    orderId: b.order?.orderId ?? null,
  })
}

/**
 * What remains to be undone, in order. A cancellation gives the order back first, so that nobody flies for free; a failure gives the
 * member's money back first. A refund without a transaction id is no step: the decider records it as owed.
 */
export function undoSteps(b: Booking, times: ProcessTimes): WantedStep[] {
  const cancel =
    b.order && b.order.state !== 'cancelled'
      ? [wanted(b, 'cancel-order', b.progressAt, times.undoWindowMs, { orderId: b.order.orderId })]
      : []
  const refund =
    b.deduction?.transactionId && owesGiveBack(b)
      ? [
          wanted(b, 'refund', b.progressAt, times.undoWindowMs, {
            transactionId: b.deduction.transactionId,
            amount: b.deduction.amount,
            currency: b.deduction.currency,
            reason: `Booking ${b.bookingId} ${b.undo?.to ?? 'failed'}`,
          }),
        ]
      : []
  return b.undo?.to === 'cancelled' ? [...cancel, ...refund] : [...refund, ...cancel]
}

/** Whether a deduction still has to be refunded or recorded as owed. */
export function owesGiveBack(b: Booking): boolean {
  if (!b.deduction || b.givenBack) return false
  // Who asks for no refund gives up a ticket; without one there is nothing to give up.
  return b.confirmedAt === null || (b.cancellation?.refundRequested ?? true)
}

/** Names of the steps whose attempt is claimed right now. */
export function claimedSteps(b: Booking): string[] {
  return Object.values(b.open)
    .filter((open) => open.claim)
    .map((open) => open.step)
}

function reconciliation(b: Booking, unknown: NonNullable<Booking['unknown']>, times: ProcessTimes): WantedStep {
  const firstAt = later(unknown.since, times.reconcileEveryMs)
  const until = Date.parse(unknown.reconcileUntil) - Date.parse(firstAt)
  if (movementSteps.includes(unknown.step)) {
    const movementId = movementIdOf(b.bookingId, unknown.step, unknown.attempt)
    return wanted(b, 'reconcile-movement', firstAt, until, { of: unknown.step, movementId })
  }
  return wanted(b, 'reconcile-order', firstAt, until, orderLookup(b, unknown.step))
}

function poll(b: Booking, awaiting: NonNullable<Booking['awaiting']>, times: ProcessTimes): WantedStep {
  const firstAt = later(awaiting.since, times.pollEveryMs)
  const until = Date.parse(awaiting.pollUntil) - Date.parse(firstAt)
  return wanted(b, 'poll-order', firstAt, until, orderLookup(b, awaiting.step))
}

function orderLookup(b: Booking, of: string): Record<string, unknown> {
  return {
    of,
    orderId: b.order?.orderId ?? b.awaiting?.orderId ?? null,
    passengers: b.passengers,
    personId: b.personId,
  }
}

function decision(b: Booking, operator: NonNullable<Booking['operator']>): WantedStep {
  return wanted(b, 'operator-decision', operator.decideBy, 0, { of: operator.step, why: operator.why })
}

function watches(b: Booking): WantedStep[] {
  return Object.values(b.open).flatMap((open) =>
    open.claim ? [wanted(b, 'attempt-watch', open.claim.lostAt, 0, { of: open.step, ofAttempt: open.attempt })] : [],
  )
}

/** Once the tickets are being paid for, their outcome decides, not the clock. */
function holdExpiry(b: Booking): WantedStep[] {
  if (b.phase !== 'arranging' || b.order?.state !== 'held' || !b.order.payBy || isUnderWay(b, 'issue-tickets'))
    return []
  return [wanted(b, 'hold-expiry', b.order.payBy, 0, {})]
}

/** Whether this step is claimed, its outcome stands open, or it may have been done in a time that was lost. */
export function isUnderWay(b: Booking, step: string): boolean {
  const standing = b.unknown?.step ?? b.awaiting?.step ?? b.operator?.step
  return standing === step || Boolean(b.open[step]?.claim) || isDoubted(b, step)
}

/**
 * A step with its attempt number: the open one while it stands, else the next unused one. It is due at its retry after a failed
 * attempt, otherwise when the need arose; its deadline counts from the need.
 */
function wanted(
  b: Booking,
  step: string,
  neededAt: string,
  windowMs: number,
  input: Record<string, unknown>,
): WantedStep {
  const hastenedAt = b.hastened[step]
  const open = hastenedAt ? undefined : b.open[step]
  const attempt = open?.attempt ?? (b.attempts[step] ?? 0) + 1
  return {
    step,
    attempt,
    dueAt: hastenedAt ?? b.retries[step] ?? neededAt,
    deadline: later(neededAt, windowMs),
    input: { bookingId: b.bookingId, memberId: b.memberId, ...input },
  }
}

/** The movement in the member's account that one attempt of `deduct` or `refund` makes. */
export function movementOf(b: Booking, open: { step: string; attempt: number }) {
  const { bookingId, memberId } = b
  return {
    movementId: movementIdOf(bookingId, open.step, open.attempt),
    bookingId,
    memberId,
    kind: open.step === 'deduct' ? ('deduction' as const) : ('refund' as const),
    amount: b.deduction?.amount ?? b.price.loyaltyAmount,
    currency: b.price.loyaltyCurrency,
  }
}

/** Id of the movement that one attempt of a step makes in the member's account. */
export function movementIdOf(bookingId: string, step: string, attempt: number): string {
  return `${bookingId}:${step}:${attempt}`
}

/** `at` plus `ms`, as an ISO instant. */
export function later(at: string, ms: number): string {
  return new Date(Date.parse(at) + ms).toISOString()
}
