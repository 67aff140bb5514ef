/**
 * A conclusion that turned out to be wrong, and what makes it good. Nothing is edited: the correction is a fact of its own, the ledger
 * gets entries that compensate the wrong ones, and the booking goes on from the facts as they are now known.
 * What the member then owes or is owed: settle-up.ts.
 */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import { attemptKey, type Booking, evolveBooking, made, type StepTrouble } from './booking.ts'
import { compensation, conclude, type Decision, existing, nothing, otherAmount, type States } from './decider.ts'
import { isOtherOrder, namesDeduction } from './disputes.ts'
import { type AttemptSettings, claimedSteps, movementOf, movementSteps } from './process.ts'
import { settleUp } from './settle-up.ts'

export interface CorrectOutcome extends StepTrouble {
  by: string
  reason: string
  /** What is now known about the attempt. */
  happened: boolean
  /** The partner's id of a deduction that did happen; without it the amount cannot be refunded by a call, and is owed. */
  transactionId?: string | undefined
  /** Required for an order that does exist. */
  orderId?: string | undefined
  bookingReference?: string | undefined
  tickets?: { passengerIndex: number; ticketNumber: string; seat: string | null }[] | undefined
}

/**
 * Corrects what was concluded about one attempt, by an operator or by reconciliation. When that is what stands already nothing follows,
 * except that the conclusion is upheld where its caller disputed it, or where the id of a deduction was missing.
 * Rejects: booking-not-found; no-decision-needed (nothing was concluded about the attempt); conflict (a call is under way, another
 * question has to be decided first, or another order stands than is named); validation-error (the correction does not fit the step).
 */
export function correctOutcome(
  states: States,
  command: CorrectOutcome,
  now: string,
  settings: AttemptSettings,
): Decision {
  const b = existing(states.booking)
  const outcome = b.outcomes[attemptKey(command)]
  const { step, attempt, happened, by, reason } = command
  if (!outcome?.isConcluded) {
    throw new Rejection('no-decision-needed', `Nothing was concluded about attempt ${attempt} of '${step}'`)
  }
  if (outcome.happened === happened) {
    if (happened && isOtherOrder(b, command.orderId)) throw otherOrder(b, command.orderId)
    const { transactionId = null } = command
    const named = happened && namesDeduction(b, step, transactionId) ? { transactionId } : {}
    if (!b.disputes[attemptKey(command)]?.isOpen && !named.transactionId) return nothing
    return { booking: [{ type: 'OutcomeUpheld', data: { step, attempt, by, reason, ...named, at: now } }], account: [] }
  }
  requireCorrectable(b, command)
  const corrected = correction(states, b, command, now)
  // Who turns out to have no ticket is given back what they paid.
  const losesTicket = b.phase === 'confirmed' && step === 'issue-tickets'
  const booking = losesTicket ? [corrected, compensation('operator-decision', now)] : [corrected]
  const known = booking.reduce(evolveBooking, states.booking) as Booking
  const account = [...movementEntries(b, command, now), ...settleUp(states.account, known, command, now)]
  return conclude(states, { booking, account }, now, settings.times)
}

/**
 * Records that what a member had without paying came in, or is given up. [] when it was recorded before, or nothing is left to give up.
 * Rejects: booking-not-found; conflict (another amount is to be recovered than was seen).
 */
export function settleRecovery(
  states: States,
  { amount, how, by, reason }: { amount: number; how: 'recovered' | 'waived'; by: string; reason: string },
  now: string,
): MemberEvent[] {
  const { bookingId, memberId } = existing(states.booking)
  const { recoverable, recovered } = states.account
  const due = recoverable[bookingId]
  if (!due && (how === 'waived' || recovered[bookingId]?.amount === amount)) return []
  if (due?.amount !== amount) throw otherAmount('to be recovered', due?.amount)
  return [{ type: 'RecoverySettled', data: { bookingId, memberId, ...due, how, by, reason, at: now } }]
}

function requireCorrectable(b: Booking, { step, happened, orderId }: CorrectOutcome): void {
  if (b.unknown || b.awaiting || b.operator || claimedSteps(b).length > 0) {
    throw new Rejection('conflict', 'A call is under way or another outcome is open; that comes first')
  }
  if (step === 'cancel-order' && happened)
    throw unfit('That the order is cancelled after all, the next attempt finds out')
  const isOrder = step === 'place-hold' || step === 'issue-tickets'
  if (isOrder && happened && !orderId) throw unfit('The id of the order at the supplier is needed')
  if (isOrder && happened && b.order && b.order.state !== 'cancelled') {
    throw new Rejection('conflict', `The booking has the order ${b.order.orderId}`)
  }
  if (step === 'place-hold' && !happened && made(b, 'issue-tickets').length > 0) {
    throw new Rejection(
      'conflict',
      "Tickets were issued for this order: what was concluded about 'issue-tickets' comes first",
    )
  }
}

function correction({ account }: States, b: Booking, command: CorrectOutcome, now: string): BookingEvent {
  const { step, attempt, happened, by, reason, transactionId, orderId, bookingReference = null, tickets = [] } = command
  const isOwed = account.owed[b.bookingId] !== undefined
  const settledOutside = account.settled[b.bookingId] !== undefined
  return {
    type: 'OutcomeCorrected',
    data: {
      step,
      attempt,
      happened,
      by,
      reason,
      transactionId: (happened && transactionId) || null,
      order: happened && orderId ? { orderId, bookingReference, tickets } : null,
      givenBack: givenBackAfter(b, command, { isOwed, settledOutside }),
      settledOutside,
      at: now,
    },
  }
}

/** How the amount stands given back once the correction counts. What was given back outside is not given by a call as well. */
function givenBackAfter(
  b: Booking,
  { step, attempt, happened }: CorrectOutcome,
  { isOwed, settledOutside }: { isOwed: boolean; settledOutside: boolean },
) {
  const others = made(b, step).filter((key) => key !== attemptKey({ step, attempt }))
  if (step === 'deduct' && !happened && others.length === 0 && isOwed) return null
  if (step !== 'refund') return b.givenBack?.as ?? null
  if (happened || others.length > 0) return 'refunded'
  return settledOutside ? 'owed' : null
}

/** The movement's own entries: made late, or taken back. */
function movementEntries(b: Booking, command: CorrectOutcome, now: string): MemberEvent[] {
  if (!movementSteps.includes(command.step)) return []
  const movement = movementOf(b, command)
  const { happened, transactionId = null, by, reason } = command
  if (happened) return [{ type: 'MovementSettled', data: { ...movement, transactionId, at: now } }]
  return [{ type: 'MovementCorrected', data: { ...movement, by, reason, at: now } }]
}

/** An order is never exchanged for another: the ticket that the member knows would be forgotten. */
function otherOrder(b: Booking, orderId: string | undefined): Rejection {
  const detail = `The booking has the order ${b.order?.orderId ?? b.awaiting?.orderId}, and not ${orderId}; cancel the one that is too much at the supplier and say which stands`
  return new Rejection('conflict', detail)
}

function unfit(detail: string): Rejection {
  return new Rejection('validation-error', detail, { errors: [{ field: 'happened', message: detail }] })
}
