/** Orders, payments and cancellations in Duffel's v2 shapes. */
import type { Order, OrderCancellation, OrderSlice, OrderSliceSegment, Payment } from '@duffel/api/types'
import { isoDuration } from './local-time.ts'
import type { CancellationRecord, OrderRecord, PaymentRecord } from './orders.ts'
import type { Itinerary } from './schedule.ts'
import {
  baggagesOf,
  conditionsOf,
  decimal,
  derivedId,
  endsOf,
  iso,
  isoSeconds,
  wireAirline,
  wireAirportPlace,
  wireSegment,
} from './wire.ts'

/** Members Duffel answers but its client's types leave out. */
interface ExtraOrderMembers {
  type: 'instant' | 'hold'
  offer_id: string
  users: string[]
  changes: never[]
  void_window_ends_at: null
}

/** An order. `cancellation` is its confirmed cancellation, if any. */
export function wireOrder(
  order: OrderRecord,
  cancellation: CancellationRecord | undefined,
  nowMs: number,
): Order & ExtraOrderMembers {
  const { offer } = order
  const open = order.cancelledAt === null
  return {
    id: order.id,
    type: order.type,
    offer_id: offer.id,
    live_mode: false,
    content: 'managed',
    booking_reference: order.bookingReference,
    created_at: iso(order.createdAt),
    synced_at: isoSeconds(nowMs),
    cancelled_at: order.cancelledAt === null ? null : iso(order.cancelledAt),
    void_window_ends_at: null,
    owner: wireAirline(offer.airline),
    total_amount: decimal(order.totalMinor),
    total_currency: offer.currency,
    tax_amount: decimal(offer.taxMinor),
    tax_currency: offer.currency,
    base_amount: decimal(order.totalMinor - offer.taxMinor),
    base_currency: offer.currency,
    conditions: conditionsOf(offer.brand, offer.currency),
    metadata: order.metadata,
    users: order.users,
    services: [],
    changes: [],
    airline_initiated_changes: [],
    available_actions: open ? ['cancel', 'update'] : ['update'],
    documents: order.tickets.map(({ passengerId, number }) => ({
      type: 'electronic_ticket',
      unique_identifier: number,
      passenger_ids: [passengerId],
    })),
    passengers: order.passengers.map(({ kind, user_id: _, ...passenger }) => ({
      ...passenger,
      type: kind,
      loyalty_programme_accounts: [],
    })),
    payment_status: paymentStatus(order),
    slices: offer.itineraries.map((itinerary, index) => wireOrderSlice(order, itinerary, index)),
    cancellation: cancellation ? wireCancellation(cancellation) : null,
  }
}

function paymentStatus(order: OrderRecord): Order['payment_status'] {
  const { hold } = order.offer
  const awaiting = order.type === 'hold' && order.paidAt === null && order.cancelledAt === null
  const until = awaiting && hold ? isoSeconds(hold.paymentRequiredBy) : null
  const guaranteed = awaiting && hold?.priceGuaranteeUntil ? isoSeconds(hold.priceGuaranteeUntil) : null
  return {
    awaiting_payment: awaiting,
    // Duffel answers null where its client's types allow only absence.
    payment_required_by: until as string,
    price_guarantee_expires_at: guaranteed as string,
    paid_at: order.paidAt === null ? null : iso(order.paidAt),
  }
}

function wireOrderSlice(order: OrderRecord, itinerary: Itinerary, index: number): OrderSlice {
  const [first, last] = endsOf(itinerary)
  const { offer } = order
  return {
    id: derivedId('sli', order.id, index),
    origin: wireAirportPlace(first.from),
    origin_type: 'airport',
    destination: wireAirportPlace(last.to),
    destination_type: 'airport',
    duration: isoDuration(itinerary.minutes),
    fare_brand_name: offer.brand.name,
    conditions: { change_before_departure: conditionsOf(offer.brand, offer.currency).change_before_departure },
    segments: itinerary.flights.map((flight, part) => {
      const segment = wireSegment(offer, flight, index * 10 + part)
      const { cabin_class, cabin_class_marketing_name } = segment.passengers[0] ?? {
        cabin_class: offer.cabin,
        cabin_class_marketing_name: '',
      }
      return {
        ...segment,
        id: derivedId('seg', order.id, index * 10 + part),
        // Duffel answers null for an unknown terminal or duration; its client's types for orders leave that out.
        origin_terminal: segment.origin_terminal as string,
        destination_terminal: segment.destination_terminal as string,
        duration: segment.duration as string,
        distance: segment.distance as string,
        passengers: order.passengers.map(({ id, kind }) => ({
          passenger_id: id,
          cabin_class,
          cabin_class_marketing_name,
          baggages: kind === 'infant_without_seat' ? [] : baggagesOf(offer.brand),
          // Seats are not sold here; until an airline assigns one it is null.
          seat: null as unknown as undefined,
        })),
      } satisfies OrderSliceSegment
    }),
  }
}

/** A payment for a held order. */
export function wirePayment(
  payment: PaymentRecord,
): Payment & { order_id: string; status: string; live_mode: boolean } {
  return {
    id: payment.id,
    order_id: payment.order.id,
    type: payment.type === 'arc_bsp_cash' ? 'arc_bsp_cash' : 'balance',
    amount: decimal(payment.order.totalMinor),
    currency: payment.order.offer.currency,
    status: payment.status,
    created_at: iso(payment.createdAt),
    live_mode: false,
  }
}

/** A quoted or confirmed cancellation. */
export function wireCancellation(quote: CancellationRecord): OrderCancellation {
  const { order } = quote
  return {
    id: quote.id,
    order_id: order.id,
    live_mode: false,
    created_at: iso(quote.createdAt),
    expires_at: iso(quote.expiresAt),
    // Null until confirmed; the client's type leaves that out.
    confirmed_at: (quote.confirmedAt === null ? null : iso(quote.confirmedAt)) as string,
    refund_amount: decimal(quote.refundMinor),
    refund_currency: order.offer.currency,
    refund_to: quote.refundTo,
    airline_credits: quote.refundTo === 'airline_credits' ? [airlineCredit(quote)] : [],
  }
}

function airlineCredit(quote: CancellationRecord): OrderCancellation['airline_credits'][number] {
  return {
    id: derivedId('acd', quote.id, 0),
    credit_name: 'Duffel Travel Credit',
    credit_code: quote.order.bookingReference,
    credit_amount: decimal(quote.refundMinor),
    credit_currency: quote.order.offer.currency,
    issued_on: iso(quote.createdAt).slice(0, 10),
    passenger_id: quote.order.passengers[0]?.id ?? '',
  }
}
