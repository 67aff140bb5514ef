/** From our passengers to Duffel's, and from Duffel's orders to what a booking needs to know of them. Pure. */
import type { CreateOrderPassenger } from '@duffel/api/types'
import type { PassengerDetails } from '@portolan/schemas/bookings/messages.ts'
import type { LookedUpOrder } from '@portolan/schemas/bookings/results.ts'
import { compareAmounts } from './duffel-offers.ts'
import type { DuffelCancellation, DuffelOrder } from './duffel-shapes.ts'

/** A passenger with the details unsealed, in the booking's order. */
export interface OrderPassenger {
  supplierPassengerId: string
  type: 'adult' | 'child' | 'infant'
  /** Index of the adult this infant travels with, among all passengers. */
  withAdultIndex: number | null
  details: PassengerDetails
}

/** The passengers of an order. Each infant is named by the adult it travels with. */
export function duffelPassengers(passengers: readonly OrderPassenger[]): CreateOrderPassenger[] {
  return passengers.map(({ supplierPassengerId, details }, index) => {
    const infant = passengers.find((other) => other.type === 'infant' && other.withAdultIndex === index)
    return {
      id: supplierPassengerId,
      // The client's types do not know `dr`, which Duffel takes.
      title: details.title.toLowerCase() as 'mr',
      gender: details.gender,
      given_name: details.firstName,
      family_name: details.lastName,
      born_on: details.dateOfBirth,
      email: details.email,
      phone_number: details.phone,
      ...(infant && { infant_passenger_id: infant.supplierPassengerId }),
    }
  })
}

export interface Ticket {
  passengerIndex: number
  ticketNumber: string
  seat: string | null
}

/**
 * E-tickets in the order of the booking's passengers, who are known by `supplierPassengerIds`. A passenger without one is left out: some
 * airlines issue none. Numbers lose their separators: 13 digits, except with Duffel's own test airline.
 */
export function ticketsOf(order: DuffelOrder, supplierPassengerIds: readonly string[]): Ticket[] {
  const documents = (order.documents ?? []).filter(({ type }) => type === 'electronic_ticket')
  return supplierPassengerIds.flatMap((passengerId, passengerIndex) => {
    const document = documents.find(({ passenger_ids }) => passenger_ids.includes(passengerId))
    const ticketNumber = document?.unique_identifier.replaceAll(/[^0-9A-Za-z]/g, '')
    return ticketNumber ? [{ passengerIndex, ticketNumber, seat: seatOf(order, passengerId) }] : []
  })
}

/** The order as a look-up reports it. */
export function lookedUpOrder(order: DuffelOrder, supplierPassengerIds: readonly string[]): LookedUpOrder {
  const { awaiting_payment, payment_required_by } = order.payment_status
  return {
    orderId: order.id,
    bookingReference: order.booking_reference ?? null,
    cancelled: Boolean(order.cancelled_at),
    awaitingPayment: awaiting_payment,
    payBy: instantOf(payment_required_by),
    tickets: ticketsOf(order, supplierPassengerIds),
    penaltyMinor: order.cancelled_at && order.cancellation ? penaltyMinor(order, order.cancellation) : 0,
    currency: order.total_currency,
    totalAmount: order.total_amount,
    totalCurrency: order.total_currency,
  }
}

/**
 * What a cancellation costs: total minus refund, in minor units of the order's currency. Nothing for an order that was
 * never paid; everything when the refund is unknown or not in money of that currency.
 */
export function penaltyMinor(
  order: DuffelOrder,
  refund: Pick<DuffelCancellation, 'refund_amount' | 'refund_currency' | 'refund_to'>,
): number {
  const wasPaid = Boolean(order.payment_status.paid_at) && refund.refund_to !== 'awaiting_payment'
  if (!wasPaid) return 0
  const isMoney = refund.refund_currency === order.total_currency && refund.refund_to !== 'airline_credits'
  const refunded = isMoney ? (refund.refund_amount ?? '0') : '0'
  if (compareAmounts(refunded, order.total_amount) >= 0) return 0
  return toMinor(order.total_amount, order.total_currency) - toMinor(refunded, order.total_currency)
}

/** A decimal amount in minor units of its currency, by ISO 4217 (JPY has none, KWD three). Digits beyond are cut. */
export function toMinor(amount: string, currency: string): number {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency })
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2
  const [whole = '0', fraction = ''] = amount.split('.')
  return Number(whole + fraction.padEnd(digits, '0').slice(0, digits))
}

/** An instant as we write it, null when absent or unreadable. */
export function instantOf(text: string | null | undefined): string | null {
  const ms = Date.parse(text ?? '')
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}

/** The seat on the first flight, when the airline has given one. */
function seatOf(order: DuffelOrder, passengerId: string): string | null {
  const segments = order.slices?.flatMap((slice) => slice.segments) ?? []
  const passenger = segments[0]?.passengers?.find((one) => one.passenger_id === passengerId)
  return passenger?.seat?.designator ?? null
}
