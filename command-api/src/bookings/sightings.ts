/** What a look at the other side showed, in the words that an operator reads. */
import { isDeepStrictEqual } from 'node:util'
import type { Sighting } from '@portolan/schemas/bookings/messages.ts'
import { stepResults } from '@portolan/schemas/bookings/results.ts'
import type { Outcome } from '@portolan/schemas/steps.ts'

/** step: one of the look-ups. Throws a ZodError for a result that does not fit it. */
export function sightingOf(step: string, outcome: Outcome): Sighting {
  if (outcome.kind !== 'succeeded') return { kind: 'nothing', code: 'code' in outcome ? outcome.code : outcome.kind }
  if (step === 'reconcile-movement')
    return { kind: 'balance', ...stepResults['reconcile-movement'].parse(outcome.result) }
  const lookup = stepResults['reconcile-order'].parse(outcome.result)
  if (!lookup.found) return { kind: 'no-order' }
  const { orderId, bookingReference, cancelled, awaitingPayment, totalAmount, totalCurrency, tickets } = lookup.order
  const order = { orderId, bookingReference, cancelled, awaitingPayment, totalAmount, totalCurrency }
  return { kind: 'order', ...order, tickets: tickets.length }
}

/** Whether nothing but the time of reading differs. */
export function isSameSighting(a: Sighting | null, b: Sighting): boolean {
  if (a === null || a.kind !== b.kind) return false
  const facts = (sighting: Sighting) => ({ ...sighting, readAt: undefined })
  return isDeepStrictEqual(facts(a), facts(b))
}
