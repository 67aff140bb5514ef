/**
 * Making orders at Duffel: holds, instant orders, payments of holds. An order carries the booking's id, tenant and attempt
 * as metadata, by which a lost one is recognised.
 */
import type { CallAnswer } from '../steps/call-answer.ts'
import type { CallLimits } from '../steps/guard.ts'
import { type Duffel, implausible, type OrderOwner, type PassengerRef } from './duffel.ts'
import { getOrder } from './duffel-lookup.ts'
import { isSameAmount } from './duffel-offers.ts'
import { duffelPassengers, instantOf, type OrderPassenger, type Ticket, ticketsOf } from './duffel-orders.ts'
import { type DuffelOrder, orderSchema, paymentSchema } from './duffel-shapes.ts'

export interface NewOrder extends OrderOwner {
  attempt: number
  supplierOfferId: string
  /** What the order must cost, as offered. */
  supplierAmount: string
  supplierCurrency: string
  passengers: readonly OrderPassenger[]
}

export interface Issued {
  orderId: string
  bookingReference: string | null
  tickets: Ticket[]
}

/** An order that keeps the seats without payment until `payBy`. */
export async function placeHold(
  duffel: Duffel,
  order: NewOrder,
  limits: CallLimits,
): Promise<CallAnswer<{ orderId: string; bookingReference: string | null; payBy: string }>> {
  const answer = await createOrder(duffel, order, 'pay_later', limits)
  if (answer.kind !== 'succeeded') return answer
  const { id: orderId, booking_reference, payment_status } = answer.value
  const payBy = instantOf(payment_status.payment_required_by)
  if (!payBy) return implausible
  return { kind: 'succeeded', value: { orderId, bookingReference: booking_reference ?? null, payBy } }
}

/** An order that is paid and ticketed at once. */
export async function orderInstantly(duffel: Duffel, order: NewOrder, limits: CallLimits): Promise<CallAnswer<Issued>> {
  const answer = await createOrder(duffel, order, 'instant', limits)
  return answer.kind === 'succeeded' ? issued(answer.value, order.passengers) : answer
}

async function createOrder(
  duffel: Duffel,
  order: NewOrder,
  type: 'instant' | 'pay_later',
  limits: CallLimits,
): Promise<CallAnswer<DuffelOrder>> {
  const { bookingId, tenantId, attempt, supplierOfferId, supplierAmount: amount, supplierCurrency: currency } = order
  const answer = await duffel.ordering.call({
    kind: 'create',
    timeoutMs: duffel.times.orderTimeoutMs,
    limits,
    schema: orderSchema,
    send: (api) =>
      api.orders.create({
        type,
        selected_offers: [supplierOfferId],
        passengers: duffelPassengers(order.passengers),
        metadata: { booking_id: bookingId, tenant_id: tenantId, attempt: String(attempt) },
        ...(type === 'instant' && { payments: [{ type: 'balance', amount, currency }] }),
      }),
  })
  if (answer.kind !== 'succeeded') return answer
  return costs(answer.value, amount, currency) ? answer : implausible
}

/**
 * Pays a held order and reads its tickets. When the payment went through but the order cannot be read, the answer is
 * `accepted`: polling will find the tickets.
 */
export async function payHeldOrder(
  duffel: Duffel,
  payment: { orderId: string; supplierAmount: string; supplierCurrency: string; passengers: readonly PassengerRef[] },
  limits: CallLimits,
): Promise<CallAnswer<Issued>> {
  const { orderId, supplierAmount: amount, supplierCurrency: currency } = payment
  const paid = await duffel.ordering.call({
    kind: 'create',
    timeoutMs: duffel.times.orderTimeoutMs,
    limits,
    schema: paymentSchema,
    send: (api) => api.payments.create({ order_id: orderId, payment: { type: 'balance', amount, currency } }),
  })
  if (paid.kind !== 'succeeded') return paid
  if (paid.value.status === 'failed') return { kind: 'unknown', code: 'server-error' }
  // A read of its own: it has its time, and is not the call that was announced as being sent.
  const sendBeforeMs = limits.sendBeforeMs + duffel.times.orderTimeoutMs
  const order = await getOrder(duffel, orderId, { sendBeforeMs, entries: limits.entries })
  if (order.kind !== 'succeeded' || order.value.payment_status.awaiting_payment)
    return { kind: 'accepted', result: { orderId } }
  return issued(order.value, payment.passengers)
}

function costs(order: DuffelOrder, amount: string, currency: string): boolean {
  return order.total_currency === currency && isSameAmount(order.total_amount, amount)
}

/** An order that exists: done when every passenger has a ticket, otherwise accepted, so that the missing ones are polled for. */
function issued(order: DuffelOrder, passengers: readonly PassengerRef[]): CallAnswer<Issued> {
  const supplierPassengerIds = passengers.map(({ supplierPassengerId }) => supplierPassengerId)
  const tickets = ticketsOf(order, supplierPassengerIds)
  if (tickets.length < passengers.length) return { kind: 'accepted', result: { orderId: order.id } }
  return {
    kind: 'succeeded',
    value: { orderId: order.id, bookingReference: order.booking_reference ?? null, tickets },
  }
}
