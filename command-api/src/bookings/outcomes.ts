/**
 * What follows from the outcome of each step, by the table of the design's section 5: a success is recorded; what certainly did not
 * happen is tried again within its window or undone; what nobody knows becomes `unknown` and is reconciled (readings.ts), then decided by
 * a person.
 */
import type { BookingEvent, FailureReason } from '@portolan/schemas/bookings/messages.ts'
import { acceptedOrderSchema, insufficientBalanceSchema, stepResults } from '@portolan/schemas/bookings/results.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import type { OpenStep, Outcome } from '@portolan/schemas/steps.ts'
import type { Booking } from './booking.ts'
import { approvalExpired, compensation, type Decision, holdExpired, nothing, refundOwed } from './decider.ts'
import type { MemberAccount } from './member-account.ts'
import { type AttemptSettings, later, movementIdOf, movementOf, movementSteps } from './process.ts'
import { costsAtMost } from './supplier-prices.ts'

/** Where an outcome is judged: the booking, its member's account, the open step, the database's instant, the settings. */
export interface At {
  b: Booking
  account: MemberAccount
  open: OpenStep
  now: string
  settings: AttemptSettings
}

/** The facts of a step that happened. `result` is checked against the step's schema and refused (ZodError) when it does not fit. */
export function succeeded(at: At, result: unknown): Decision {
  const { b, open, now } = at
  switch (open.step) {
    case 'recheck-fare':
      return fareRechecked(b, stepResults['recheck-fare'].parse(result), now)
    case 'place-hold':
      return facts({ type: 'HoldPlaced', data: { ...stepResults['place-hold'].parse(result), at: now } })
    case 'deduct':
      return deducted(at, stepResults.deduct.parse(result).transactionId)
    case 'issue-tickets':
      return facts({ type: 'BookingConfirmed', data: { ...stepResults['issue-tickets'].parse(result), at: now } })
    case 'cancel-order':
      return facts({ type: 'OrderCancelled', data: { ...stepResults['cancel-order'].parse(result), at: now } })
    case 'refund':
      return refunded(at, stepResults.refund.parse(result).refundId)
    default:
      return nothing
  }
}

/** An attempt that did not simply succeed: accepted, refused, not done, or unknown. Begins with AttemptEnded. */
export function attemptFailed(at: At, outcome: Exclude<Outcome, { kind: 'succeeded' }>): Decision {
  const { open } = at
  switch (outcome.kind) {
    case 'unknown':
      return isRead(open.step) ? notDone(at, outcome.code, 0) : becameUnknown(at, outcome.code)
    case 'accepted':
      if (isRead(open.step)) return notDone(at, 'accepted', 0)
      return movementSteps.includes(open.step) ? becameUnknown(at, 'timeout') : accepted(at, outcome.result)
    case 'not-done':
      return notDone(at, outcome.code, outcome.retryAfterMs)
    case 'refused':
      return refused(at, outcome.code, outcome.result)
  }
}

/** A claimed attempt whose report never came. Without a recorded balance no movement was ever sent, so it did not happen. */
export function callLost(at: At): Decision {
  const { open, account } = at
  const neverSent = movementSteps.includes(open.step) && account.open?.balanceBefore === null
  return neverSent ? notDone(at, 'no-report', 0) : becameUnknown(at, 'no-report')
}

/** A timer that fell due. */
export function timerFired(at: At): Decision {
  const { b, open, now, settings } = at
  const end = ended(at, 'succeeded', null, null)
  const dueAt = timeOf(b, open)
  if (now < dueAt) return facts(ended(at, 'not-done', 'early', tooEarly(dueAt, now)))
  if (open.step === 'approval-expiry') return facts(end, approvalExpired(b, now))
  if (open.step === 'hold-expiry') return facts(end, holdExpired(now))
  // The operators' entry stays; it is asked for again so that its alarm repeats.
  return facts(ended(at, 'not-done', 'overdue', later(now, settings.times.operatorWindowMs)))
}

/** What follows when it is certain that `at.open.step` did not happen and the member has already been answered. */
export function didNotHappen(at: At, reason: FailureReason): Decision {
  const { open, now } = at
  const voided = voidMovement(at, 'established')
  // Giving back is tried again; anything else was answered as failed and never comes back to life.
  if (open.step === 'refund' || open.step === 'cancel-order') return { booking: [], account: voided }
  return { booking: [compensation(reason, now)], account: voided }
}

/** The deduction as a fact in both streams. transactionId: null when only the balance told. */
export function deducted(at: At, transactionId: string | null): Decision {
  const { b, now } = at
  const { loyaltyAmount: amount, loyaltyCurrency: currency } = b.price
  return {
    booking: [{ type: 'PaymentDeducted', data: { amount, currency, transactionId, at: now } }],
    account: settle(at, transactionId),
  }
}

/** The refund as a fact in both streams. refundId: null when only the balance or a person told. */
export function refunded(at: At, refundId: string | null): Decision {
  const { b, now } = at
  if (!b.deduction) return nothing
  const { amount, currency } = b.deduction
  return {
    booking: [{ type: 'PaymentRefunded', data: { amount, currency, refundId, at: now } }],
    account: settle(at, refundId),
  }
}

/** The amount becomes owed and the open movement, if any, ends without one. */
export function owed(at: At, why: string): Decision {
  const { booking, account } = refundOwed(at.b, why, at.now)
  return { booking, account: [...voidMovement(at, why), ...account] }
}

function refused(at: At, code: string, result: unknown): Decision {
  const { open, now } = at
  const end = ended(at, 'refused', code, null)
  switch (open.step) {
    case 'recheck-fare':
      return facts(end, compensation('offer-unavailable', now, null, 'expired'))
    case 'deduct': {
      const available = insufficientBalanceSchema.safeParse(result).data?.available ?? null
      return { booking: [end, compensation(deductReason(code), now, available)], account: voidMovement(at, code) }
    }
    case 'refund': {
      if (code !== 'transaction-not-found')
        return { booking: [end, operatorNeeded(at, code)], account: voidMovement(at, code) }
      const owing = owed(at, code)
      return { booking: [end, ...owing.booking], account: owing.account }
    }
    case 'cancel-order':
      return facts(end, ...cancellationRefused(at, code))
    case 'place-hold':
    case 'issue-tickets':
      return facts(end, code === 'hold-expired' ? holdExpired(now) : compensation(supplierReason(code), now))
    default:
      return facts(end, operatorNeeded(at, code))
  }
}

/** An unpaid order that the supplier will not cancel lapses by itself; a paid one needs a person. */
function cancellationRefused(at: At, code: string): BookingEvent[] {
  const { b, now } = at
  if (!b.order) return []
  if (code !== 'already-cancelled' && b.order.state !== 'held') return [operatorNeeded(at, code)]
  const { orderId } = b.order
  return [{ type: 'OrderCancelled', data: { orderId, penaltyMinor: 0, currency: b.price.currency, at: now } }]
}

/** Did not happen, may be tried again: after a growing pause while the window lasts, then the step is given up. */
export function notDone(at: At, code: string, retryAfterMs: number): Decision {
  const { open, now } = at
  const retryAt = later(now, Math.max(retryAfterMs, pauseMs(at)))
  const account = voidMovement(at, code)
  if ((code !== 'deadline-passed' && retryAt <= open.deadline) || isOwedALook(at)) {
    return { booking: [ended(at, 'not-done', code, retryAt)], account }
  }
  return { booking: [ended(at, 'not-done', code, null), givenUp(at, code)], account }
}

/**
 * Whether a look-up that came much too late, because the workers were away, is made once more before a person is asked: what was due
 * before the deadline may have been read too early to conclude anything, or not at all.
 */
function isOwedALook({ b, open, now, settings }: At): boolean {
  const isLookUp = b.unknown !== null || b.awaiting !== null
  return (
    isLookUp &&
    isRead(open.step) &&
    open.dueAt <= open.deadline &&
    now > later(open.deadline, settings.times.reconcileEveryMs)
  )
}

function givenUp(at: At, code: string): BookingEvent {
  switch (at.open.step) {
    case 'deduct':
    case 'recheck-fare':
    case 'place-hold':
    case 'issue-tickets':
      return compensation(unavailable(at.open.step), at.now)
    default:
      return operatorNeeded(at, code)
  }
}

function unavailable(step: string): FailureReason {
  return step === 'deduct' ? 'partner-unavailable' : 'supplier-unavailable'
}

/**
 * Reconciling reads keep their rhythm; polls, which webhooks hasten, grow rarer up to twentyfold; calls that failed pause 0.5 s, 1 s,
 * 2 s … up to a quarter of an hour. A stream must stay short enough to load after a day of an outage: about a hundred attempts.
 */
function pauseMs(at: At): number {
  const { times } = at.settings
  const doubled = 2 ** Math.min(at.open.attempt - 1, 20)
  if (at.open.step === 'poll-order') return times.pollEveryMs * Math.min(20, doubled)
  if (isRead(at.open.step)) return times.reconcileEveryMs
  return Math.min(900_000, 500 * doubled)
}

/** The instant a timer stands for; the step itself may have been asked for later than that, because of a clock that is ahead. */
function timeOf(b: Booking, open: OpenStep): string {
  if (open.step === 'approval-expiry' && b.approval) return b.approval.expiresAt
  if (open.step === 'hold-expiry' && b.order?.payBy) return b.order.payBy
  return open.dueAt
}

/** When a timer that ran too early is due again: as far beyond its time as the other clock was ahead, or it would run early again. */
export function tooEarly(dueAt: string, now: string): string {
  return later(dueAt, Date.parse(dueAt) - Date.parse(now))
}

function becameUnknown(at: At, code: string): Decision {
  const { open, now, account, settings } = at
  const { step, attempt } = open
  const reconcileUntil = later(now, settings.times.reconcileWindowMs)
  const movement = movementSteps.includes(step) ? account.open : null
  return {
    booking: [
      ended(at, 'unknown', code, null),
      { type: 'OutcomeUnknown', data: { step, attempt, code, reconcileUntil, ...evidence(at, movement), at: now } },
    ],
    account: movement ? [{ type: 'MovementUnknown', data: { movementId: movement.movementId, at: now } }] : [],
  }
}

/** What is known about a call whose outcome is not: when it was made, and what a balance will be compared with. */
function evidence({ open: { claim } }: At, movement: MemberAccount['open']) {
  const call = claim && { ...(claim.at && { claimedAt: claim.at }), callBefore: claim.callBefore }
  if (!movement) return { ...call }
  const { kind, amount, currency, balanceBefore, readAt } = movement
  return { ...call, movement: { kind, amount, currency, balanceBefore, readAt } }
}

function accepted(at: At, result: unknown): Decision {
  const { orderId } = acceptedOrderSchema.safeParse(result).data ?? {}
  return facts(ended(at, 'accepted', null, null), supplierAccepted(at, at.open.step, orderId))
}

/** 202, or what amounts to it: the order comes later, and is polled for. */
export function supplierAccepted(at: At, step: string, orderId: string | undefined): BookingEvent {
  const pollUntil = later(at.now, at.settings.times.pollWindowMs)
  return { type: 'SupplierAccepted', data: { step, ...(orderId ? { orderId } : {}), pollUntil, at: at.now } }
}

/** What the holder of the claim says after its attempt was declared unknown; `at.open` is that attempt. */
export function reportedLate(at: At, outcome: Exclude<Outcome, { kind: 'unknown' }>): Decision {
  const { step, attempt } = at.open
  // A movement has no 202, so the balance goes on being compared.
  if (outcome.kind === 'accepted' && movementSteps.includes(step)) return nothing
  const follow = lateConsequence(at, outcome)
  const booking = follow.booking.filter((event) => event.type !== 'AttemptEnded')
  if (outcome.kind === 'accepted') return { booking, account: [] }
  const data = { step, attempt, happened: outcome.kind === 'succeeded', by: 'report' as const, at: at.now }
  return { booking: [{ type: 'OutcomeEstablished', data }, ...booking], account: follow.account }
}

function lateConsequence(at: At, outcome: Exclude<Outcome, { kind: 'unknown' }>): Decision {
  if (outcome.kind === 'succeeded') return succeeded(at, outcome.result)
  return outcome.kind === 'not-done' ? didNotHappen(at, unavailable(at.open.step)) : attemptFailed(at, outcome)
}

function fareRechecked(
  b: Booking,
  fare: ReturnType<(typeof stepResults)['recheck-fare']['parse']>,
  now: string,
): Decision {
  const { balance, ...rest } = fare
  if (balance < b.price.loyaltyAmount) return facts(compensation('insufficient-balance', now, balance))
  if (!costsAtMost(rest, b.offer)) return facts(compensation('price-increased', now, null, 'expired'))
  return facts({ type: 'FareConfirmed', data: { ...rest, at: now } })
}

function isRead(step: string): boolean {
  return step === 'poll-order' || step === 'reconcile-order' || step === 'reconcile-movement' || step === 'recheck-fare'
}

/** The attempt's movement happened. It need not be open any more: a person may know better than the partner's last answer. */
function settle(at: At, transactionId: string | null): MemberEvent[] {
  return [{ type: 'MovementSettled', data: { ...movementOf(at.b, at.open), transactionId, at: at.now } }]
}

/** Ends the attempt's movement; an attempt that was never claimed has none, and another booking's may be open. */
export function voidMovement(at: At, reason: string): MemberEvent[] {
  const { account, b, open, now } = at
  const movementId = movementIdOf(b.bookingId, open.step, open.attempt)
  return account.open?.movementId === movementId
    ? [{ type: 'MovementVoided', data: { movementId, reason, at: now } }]
    : []
}

/** Asks a person about what is unknown or accepted, otherwise about the step itself. */
export function operatorNeeded(at: At, why: string): BookingEvent {
  const { b, open, now, settings } = at
  const accepted = b.awaiting && { step: b.awaiting.step, attempt: b.attempts[b.awaiting.step] ?? 1 }
  const subject = b.unknown ?? accepted ?? open
  const decideBy = later(now, settings.times.operatorWindowMs)
  const looks = isRead(open.step) ? { looks: open.attempt } : {}
  return {
    type: 'OperatorNeeded',
    data: { step: subject.step, attempt: subject.attempt, why, ...looks, decideBy, at: now },
  }
}

/** The end of the attempt at hand. retryAt: when the step is tried again; null: not by itself. */
export function ended(at: At, outcome: Outcome['kind'], code: string | null, retryAt: string | null): BookingEvent {
  const { step, attempt } = at.open
  return { type: 'AttemptEnded', data: { step, attempt, outcome, code, retryAt, at: at.now } }
}

function deductReason(code: string): FailureReason {
  if (code === 'insufficient-balance' || code === 'member-not-found') return code
  return code === 'unauthorized' ? 'partner-unauthorized' : 'partner-refused'
}

function supplierReason(code: string): FailureReason {
  if (code === 'offer-expired' || code === 'price-changed' || code === 'offer-unavailable') return 'offer-unavailable'
  if (code === 'passenger-gone') return code
  return code === 'order-not-created' ? 'supplier-unavailable' : 'supplier-refused'
}

/** A decision that concerns the booking alone. */
export function facts(...booking: BookingEvent[]): Decision {
  return { booking, account: [] }
}
