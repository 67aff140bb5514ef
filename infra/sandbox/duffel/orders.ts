/**
 * Orders, their payments and cancellations: records and rules. What a caller hears when a test route says otherwise is
 * decided in `order-routes.ts`.
 *
 * An order is awaiting payment (hold) or paid; either can be cancelled once. Unpaid space is released at
 * `paymentRequiredBy`, after which the order can no longer be paid.
 */
import { DuffelRefusal } from './errors.ts'
import { currentTotalMinor, type OfferRecord } from './offers.ts'
import type { OrderedPassenger } from './passengers.ts'
import { hash, randomOf } from './random.ts'
import { endsOf } from './wire.ts'

const CANCELLATION_TTL_MS = 30 * 60_000
/** No 0, O, 1 or I: people read these aloud. */
const REFERENCE_LETTERS = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'

export interface OrderRecord {
  id: string
  type: 'instant' | 'hold'
  offer: OfferRecord
  passengers: OrderedPassenger[]
  metadata: Record<string, string>
  users: string[]
  /** Six characters, unique here. */
  bookingReference: string
  /** Minor units, as the offer stood when booked. */
  totalMinor: number
  /** Milliseconds since the epoch. */
  createdAt: number
  paidAt: number | null
  /** A payment was accepted and will be carried out later; only on a test route. */
  paymentPending: boolean
  cancelledAt: number | null
  cancellationId: string | null
  /** E-ticket numbers by passenger, thirteen digits; empty until paid. */
  tickets: { passengerId: string; number: string }[]
}

export interface PaymentRecord {
  id: string
  order: OrderRecord
  type: string
  status: 'pending' | 'succeeded'
  createdAt: number
}

export interface CancellationRecord {
  id: string
  order: OrderRecord
  createdAt: number
  expiresAt: number
  confirmedAt: number | null
  refundMinor: number
  refundTo: 'balance' | 'awaiting_payment' | 'airline_credits'
}

export interface NewOrder {
  type: 'instant' | 'hold'
  offer: OfferRecord
  passengers: OrderedPassenger[]
  metadata: Record<string, string>
  users: string[]
}

/** Makes an order; an instant one is paid and ticketed at once. The offer's request counts as booked from here on. */
export function bookOrder(order: NewOrder, id: string, number: number, seed: string, nowMs: number): OrderRecord {
  order.offer.request.orderState = 'booked'
  const record: OrderRecord = {
    ...order,
    id,
    bookingReference: bookingReference(seed, number),
    totalMinor: currentTotalMinor(order.offer),
    createdAt: nowMs,
    paidAt: null,
    paymentPending: false,
    cancelledAt: null,
    cancellationId: null,
    tickets: [],
  }
  if (order.type === 'instant') markPaid(record, nowMs)
  return record
}

/** Records the payment and issues one ticket per passenger. */
export function markPaid(order: OrderRecord, nowMs: number): void {
  order.paidAt = nowMs
  order.paymentPending = false
  order.tickets = order.passengers.map(({ id }) => {
    const serial = String(hash(`${order.id}|${id}`)).padStart(10, '0')
    return { passengerId: id, number: `${order.offer.airline.ticketPrefix}${serial}` }
  })
}

/** Errors: DuffelRefusal when the offer can no longer be ordered. */
export function checkOrderable(offer: OfferRecord, type: 'instant' | 'hold', nowMs: number): void {
  if (offer.request.orderState === 'booked') throw new DuffelRefusal('offer_request_already_booked')
  if (offer.request.orderState === 'attempted') throw new DuffelRefusal('order_creation_already_attempted')
  if (nowMs >= offer.expiresAt) throw new DuffelRefusal('offer_expired', { pointer: '/selected_offers/0' })
  if (type === 'hold' && !offer.hold) throw new DuffelRefusal('not_valid_with_selected_offer', { pointer: '/type' })
}

/** Errors: DuffelRefusal unless a hold order awaits a payment that can still be made. */
export function checkPayable(order: OrderRecord, nowMs: number): void {
  if (order.type !== 'hold') throw new DuffelRefusal('order_type_not_eligible_for_payment', { pointer: '/order_id' })
  if (order.cancelledAt !== null) throw new DuffelRefusal('already_cancelled')
  if (order.paidAt !== null || order.paymentPending) throw new DuffelRefusal('already_paid')
  if (nowMs >= (order.offer.hold?.paymentRequiredBy ?? 0)) throw new DuffelRefusal('past_payment_required_by_date')
}

/** Errors: DuffelRefusal when the payment is not exactly the amount due. `pointer` names the payment in the body. */
export function checkPayment(payment: Record<string, unknown>, totalMinor: number, currency: string, pointer: string) {
  if (payment.type !== 'balance' && payment.type !== 'arc_bsp_cash')
    throw new DuffelRefusal('validation_inclusion', { pointer: `${pointer}/type` })
  if (payment.currency !== currency)
    throw new DuffelRefusal('payment_currency_does_not_match_order_currency', { pointer: `${pointer}/currency` })
  const { amount } = payment
  if (
    typeof amount !== 'string' ||
    !/^\d+(\.\d{1,2})?$/.test(amount) ||
    Math.round(Number(amount) * 100) !== totalMinor
  )
    throw new DuffelRefusal('payment_amount_does_not_match_order_amount', { pointer: `${pointer}/amount` })
}

/** Quotes a cancellation by the fare's conditions. Errors: already cancelled, or the first flight has left. */
export function quoteCancellation(order: OrderRecord, id: string, nowMs: number): CancellationRecord {
  if (order.cancelledAt !== null) throw new DuffelRefusal('already_cancelled')
  const [first] = order.offer.itineraries
  if (first && endsOf(first)[0].departsAt <= nowMs) throw new DuffelRefusal('order_not_cancellable')
  return {
    id,
    order,
    createdAt: nowMs,
    expiresAt: nowMs + CANCELLATION_TTL_MS,
    confirmedAt: null,
    ...refundOf(order),
  }
}

function refundOf(order: OrderRecord): Pick<CancellationRecord, 'refundMinor' | 'refundTo'> {
  if (order.paidAt === null) return { refundMinor: 0, refundTo: 'awaiting_payment' }
  if (order.offer.request.trigger === 'airline-credits')
    return { refundMinor: order.totalMinor, refundTo: 'airline_credits' }
  const { refundPenalty } = order.offer.brand
  const refundMinor = refundPenalty === null ? 0 : Math.max(0, order.totalMinor - refundPenalty * 100)
  return { refundMinor, refundTo: 'balance' }
}

/** Confirms the latest quote of an order. Errors: DuffelRefusal when it is not the latest, expired, or done. */
export function confirmCancellation(quote: CancellationRecord, latestId: string | undefined, nowMs: number): void {
  if (quote.order.cancelledAt !== null) throw new DuffelRefusal('already_cancelled')
  if (quote.id !== latestId) throw new DuffelRefusal('stale_order_cancellation')
  if (nowMs >= quote.expiresAt) throw new DuffelRefusal('order_cancellation_expired')
  quote.confirmedAt = nowMs
  quote.order.cancelledAt = nowMs
  quote.order.cancellationId = quote.id
}

function bookingReference(seed: string, number: number): string {
  const random = randomOf(seed, 'reference')
  // A fixed start and a step that shares no factor with the number of references visit each of them once.
  const total = REFERENCE_LETTERS.length ** 6
  let value = (Math.floor(random.next() * total) + number * 387_420_489) % total
  let reference = ''
  while (reference.length < 6) {
    reference += REFERENCE_LETTERS[value % REFERENCE_LETTERS.length]
    value = Math.floor(value / REFERENCE_LETTERS.length)
  }
  return reference
}
