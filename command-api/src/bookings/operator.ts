/** What an operator may decide about an outcome that machines could not establish. Every decision is an audited event. */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import type { OpenStep } from '@portolan/schemas/steps.ts'
import { type Booking, isDoubted, type StepTrouble } from './booking.ts'
import { conclude, type Decision, existing, nothing, type States } from './decider.ts'
import { type At, deducted, didNotHappen, owed, refunded, voidMovement } from './outcomes.ts'
import type { AttemptSettings } from './process.ts'

export interface DecideOutcome {
  by: string
  /** The attempt the operator saw. Without it the decision is about whatever waits now, and a repeat cannot be recognised. */
  about?: StepTrouble | undefined
  /** happened/did-not-happen: a statement about the step in question. retry: try the refund or cancellation again. owe: the refund becomes owed. */
  decision: 'happened' | 'did-not-happen' | 'retry' | 'owe'
  reason: string
  /** The partner's id of the movement, when the operator found it. */
  transactionId?: string | undefined
  /** Required for `happened` about an order. */
  orderId?: string | undefined
  bookingReference?: string | undefined
  tickets?: { passengerIndex: number; ticketNumber: string; seat: string | null }[] | undefined
}

/**
 * Concludes what machines could not; nothing when the same decision about the same attempt was made before.
 * Rejects: booking-not-found; no-decision-needed (nothing is open to decide); conflict (something else than `about` is); validation-error
 * (the decision does not fit the step).
 */
export function decideOutcome(
  states: States,
  command: DecideOutcome,
  now: string,
  settings: AttemptSettings,
): Decision {
  const b = existing(states.booking)
  const subject = b.operator ?? b.unknown
  if (b.decided?.decision === command.decision && isSame(b.decided, command.about) && !isSame(subject, command.about)) {
    return nothing
  }
  if (!subject) throw new Rejection('no-decision-needed', `Nothing about booking '${b.bookingId}' waits for a decision`)
  if (command.about && !isSame(subject, command.about)) {
    throw new Rejection('conflict', `What waits for a decision now is attempt ${subject.attempt} of '${subject.step}'`)
  }
  const { step, attempt } = subject
  const open: OpenStep = { step, attempt, dueAt: now, deadline: now, input: {}, claim: null }
  const at: At = { b, account: states.account, open, now, settings }
  const { by, decision, reason } = command
  const decided: BookingEvent = { type: 'OperatorDecided', data: { step, attempt, decision, by, reason, at: now } }
  const follow = consequence(at, command)
  const isReview = step === 'deduct' && states.account.lostBefore !== null
  const reviewed: MemberEvent[] = isReview ? [{ type: 'AccountHistoryReviewed', data: { by, at: now } }] : []
  const wanted = { booking: [decided, ...follow.booking], account: [...follow.account, ...reviewed] }
  return conclude(states, wanted, now, settings.times)
}

function consequence(at: At, command: DecideOutcome): Decision {
  const { step } = at.open
  switch (command.decision) {
    case 'happened':
      return happened(at, command)
    case 'did-not-happen':
      return didNotHappen(at, 'operator-decision')
    case 'retry':
      // What only may have been done in a lost time was answered to nobody, so it can still be done.
      if (isDoubted(at.b, step)) return { booking: [], account: voidMovement(at, 'established') }
      if (step !== 'refund' && step !== 'cancel-order') throw unfit(`'${step}' cannot be tried again`)
      return didNotHappen(at, 'operator-decision')
    case 'owe':
      if (step !== 'refund') throw unfit('Only a refund can be recorded as owed')
      return owed(at, 'operator decision')
  }
}

function happened(at: At, command: DecideOutcome): Decision {
  const { b, now } = at
  const { transactionId = null, tickets = [], bookingReference = null } = command
  switch (at.open.step) {
    case 'deduct':
      return deducted(at, transactionId)
    case 'refund':
      return refunded(at, transactionId)
    case 'cancel-order':
      return orderCancelled(b, now)
    default: {
      const { orderId } = command
      if (!orderId) throw unfit('The id of the order at the supplier is needed')
      if (at.open.step === 'issue-tickets') {
        return {
          booking: [{ type: 'BookingConfirmed', data: { orderId, bookingReference, tickets, at: now } }],
          account: [],
        }
      }
      if (at.open.step !== 'place-hold') throw unfit(`Nobody can have done '${at.open.step}' by hand`)
      const payBy = b.offer.expiresAt
      return { booking: [{ type: 'HoldPlaced', data: { orderId, bookingReference, payBy, at: now } }], account: [] }
    }
  }
}

function isSame(a: StepTrouble | null, about: StepTrouble | undefined): boolean {
  return a !== null && a.step === about?.step && a.attempt === about.attempt
}

function orderCancelled(b: Booking, now: string): Decision {
  if (!b.order) return nothing
  const { orderId } = b.order
  const data = { orderId, penaltyMinor: 0, currency: b.price.currency, at: now }
  return { booking: [{ type: 'OrderCancelled', data }], account: [] }
}

function unfit(detail: string): Rejection {
  return new Rejection('validation-error', detail, { errors: [{ field: 'decision', message: detail }] })
}
