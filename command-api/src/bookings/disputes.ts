/**
 * Reports that come after the question they answer was closed, and say otherwise than was concluded: an order exists, or a movement was
 * made, of which nobody knows. Nothing follows by itself: whoever concluded may have put things right outside. The booking goes on as it
 * was, and the dispute stands in the operators' queue until the conclusion is corrected or upheld (corrections.ts). One that says the same
 * and names what was missing is taken at its word.
 */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import { acceptedOrderSchema, stepResults } from '@portolan/schemas/bookings/results.ts'
import type { Outcome, ReportOutcome } from '@portolan/schemas/steps.ts'
import { attemptKey, type Booking } from './booking.ts'
import { later, movementSteps, type ProcessTimes } from './process.ts'

type Said = Pick<Extract<BookingEvent, { type: 'OutcomeDisputed' }>['data'], 'order' | 'transactionId'>

/** The dispute that a report of the attempt's own execution raises, or what it adds; [] when it says nothing new, or the same again. */
export function disputed(b: Booking, command: ReportOutcome, now: string, times: ProcessTimes): BookingEvent[] {
  const { step, attempt } = command
  const known = b.outcomes[attemptKey(command)]
  const said = saidBy(step, command.outcome)
  if (!known?.isConcluded || b.disputes[attemptKey(command)] || !said) return []
  if (known.happened && namesDeduction(b, step, said.transactionId)) {
    const reason = 'Its caller reported the transaction afterwards'
    const { transactionId } = said
    return [{ type: 'OutcomeUpheld', data: { step, attempt, by: 'portolan', reason, transactionId, at: now } }]
  }
  if (known.happened && !isOtherOrder(b, said.order?.orderId)) return []
  const decideBy = later(now, times.operatorWindowMs)
  return [{ type: 'OutcomeDisputed', data: { step, attempt, ...said, decideBy, at: now } }]
}

/** What a report names that says that the attempt happened; null for any other. That an order is cancelled, the next attempt finds out. */
function saidBy(step: string, outcome: Outcome): Said | null {
  if (step === 'cancel-order') return null
  if (outcome.kind === 'accepted' && !movementSteps.includes(step)) {
    const { orderId } = acceptedOrderSchema.safeParse(outcome.result).data ?? {}
    return { order: orderId ? { orderId, bookingReference: null, tickets: [] } : null, transactionId: null }
  }
  if (outcome.kind !== 'succeeded') return null
  switch (step) {
    case 'place-hold': {
      const { orderId, bookingReference } = stepResults['place-hold'].parse(outcome.result)
      return { order: { orderId, bookingReference, tickets: [] }, transactionId: null }
    }
    case 'issue-tickets': {
      const { orderId, bookingReference, tickets } = stepResults['issue-tickets'].parse(outcome.result)
      return { order: { orderId, bookingReference, tickets }, transactionId: null }
    }
    case 'deduct':
      return { order: null, transactionId: stepResults.deduct.parse(outcome.result).transactionId }
    case 'refund':
      return { order: null, transactionId: stepResults.refund.parse(outcome.result).refundId }
    default:
      return null
  }
}

/** Whether `transactionId` is what is missing of a deduction that stands, so that it could be refunded by a call only with it. */
export function namesDeduction(b: Booking, step: string, transactionId: string | null): transactionId is string {
  const isMissing = b.deduction?.transactionId === null && !b.givenBack && !b.endedAt
  return step === 'deduct' && transactionId !== null && isMissing
}

/** Whether an order is named, and it is not the one that stands. */
export function isOtherOrder(b: Booking, orderId: string | undefined): boolean {
  const knownId = b.order?.orderId ?? b.awaiting?.orderId
  return orderId !== undefined && knownId != null && orderId !== knownId
}
