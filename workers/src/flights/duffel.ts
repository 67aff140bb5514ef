/**
 * Duffel as our flight supplier: what a booking needs, each as one function whose answer says whether it took effect.
 *
 * Orders carry the booking's id, tenant and attempt as metadata; Duffel cannot be searched by it, so a lost order is found
 * by a passenger's name among the orders and recognised by the metadata.
 */
import type { CreateOfferRequestPassenger } from '@duffel/api/types'
import type { LookedUpOrder } from '@portolan/schemas/bookings/results.ts'
import type { CabinClass, Flight, FlightSearch, SupplierOffer } from '@portolan/schemas/flights/offers.ts'
import { z } from 'zod'
import { type CallAnswer, notDone } from '../steps/call-answer.ts'
import type { CallLimits } from '../steps/guard.ts'
import type { DuffelClient } from './duffel-client.ts'
import { isSameAmount, isSameJourney, readOffer, readOffers } from './duffel-offers.ts'
import {
  duffelPassengers,
  instantOf,
  lookedUpOrder,
  type OrderPassenger,
  penaltyMinor,
  type Ticket,
  ticketsOf,
} from './duffel-orders.ts'
import {
  cancellationSchema,
  type DuffelOrder,
  offerRequestSchema,
  orderSchema,
  paymentSchema,
} from './duffel-shapes.ts'

export interface DuffelTimes {
  /** Creating and cancelling orders: Duffel may take 120 s. */
  orderTimeoutMs: number
  /** Reads of one thing. */
  readTimeoutMs: number
}

/** Whose order it is; travels as the order's metadata. */
export interface OrderOwner {
  bookingId: string
  tenantId: string
}

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

export type FoundOrder = { found: false } | { found: true; order: LookedUpOrder }

const OFFERS_MAX = 500
/** Pages of a name's orders that are looked through; more means that the name does not tell enough. */
const PAGES_MAX = 20
const PAGE_SIZE = 200
/** Duffel gives the airlines this much less than we wait, so that its answer still reaches us. */
const SEARCH_MARGIN_MS = 2_000

export type FlightSupplier = ReturnType<typeof createDuffel>

/** Creates the supplier. Reads never answer `unknown`. */
export function createDuffel(client: DuffelClient, times: DuffelTimes) {
  const { orderTimeoutMs, readTimeoutMs } = times

  /** Offers, cheapest first, and how many could not be read or sold. timeoutMs: the whole search. */
  async function search(
    request: FlightSearch,
    timeoutMs: number,
    limits: CallLimits,
  ): Promise<CallAnswer<{ offers: SupplierOffer[]; dropped: number }>> {
    const answer = await client.call({
      kind: 'read',
      timeoutMs,
      limits,
      schema: offerRequestSchema,
      send: (api) => api.offerRequests.create(searchParameters(request, timeoutMs)),
    })
    if (answer.kind !== 'succeeded') return answer
    const fit = { passengers: request.passengers, slices: request.returnDate ? 2 : 1 }
    return { kind: 'succeeded', value: readOffers(answer.value.offers, fit, OFFERS_MAX) }
  }

  /** The offer as it stands now; refused `offer-unavailable` when it is gone, expired or no longer fits. */
  async function currentOffer(
    offerId: string,
    fit: { passengers: FlightSearch['passengers']; slices: number },
    nowMs: number,
    limits: CallLimits,
  ): Promise<CallAnswer<SupplierOffer>> {
    const answer = await client.call({
      kind: 'read',
      timeoutMs: readTimeoutMs,
      limits,
      schema: z.unknown(),
      send: (api) => api.offers.get(offerId),
    })
    if (answer.kind === 'refused' && answer.code !== 'supplier-unauthorized') return offerUnavailable
    if (answer.kind !== 'succeeded') return answer
    const offer = readOffer(answer.value, fit)
    return offer && Date.parse(offer.expiresAt) > nowMs ? { kind: 'succeeded', value: offer } : offerUnavailable
  }

  /** The cheapest offer for the same flights in the same cabin, searched anew; refused `offer-unavailable` when there is none. */
  async function sameFlightsAgain(
    journey: {
      outbound: Flight
      inbound: Flight | null
      cabinClass: CabinClass
      passengers: FlightSearch['passengers']
    },
    timeoutMs: number,
    limits: CallLimits,
  ): Promise<CallAnswer<SupplierOffer>> {
    const { outbound, inbound, cabinClass, passengers } = journey
    const request: FlightSearch = {
      origin: outbound.departure.airport,
      destination: outbound.arrival.airport,
      departureDate: outbound.departure.localTime.slice(0, 10),
      returnDate: inbound?.departure.localTime.slice(0, 10) ?? null,
      passengers,
      cabinClass,
    }
    const answer = await search(request, timeoutMs, limits)
    if (answer.kind !== 'succeeded') return answer
    const isWanted = (offer: SupplierOffer) =>
      offer.cabinClass === cabinClass && isSameJourney(offer, outbound, inbound)
    const offer = answer.value.offers.find(isWanted)
    return offer ? { kind: 'succeeded', value: offer } : offerUnavailable
  }

  /** An order that keeps the seats without payment until `payBy`. */
  async function placeHold(
    order: NewOrder,
    limits: CallLimits,
  ): Promise<CallAnswer<{ orderId: string; bookingReference: string | null; payBy: string }>> {
    const answer = await createOrder(order, 'pay_later', limits)
    if (answer.kind !== 'succeeded') return answer
    const { id: orderId, booking_reference, payment_status } = answer.value
    const payBy = instantOf(payment_status.payment_required_by)
    if (!payBy) return unreadable
    return { kind: 'succeeded', value: { orderId, bookingReference: booking_reference ?? null, payBy } }
  }

  /** An order that is paid and ticketed at once. */
  async function orderInstantly(order: NewOrder, limits: CallLimits): Promise<CallAnswer<Issued>> {
    const answer = await createOrder(order, 'instant', limits)
    return answer.kind === 'succeeded' ? { kind: 'succeeded', value: issued(answer.value, order.passengers) } : answer
  }

  async function createOrder(
    order: NewOrder,
    type: 'instant' | 'pay_later',
    limits: CallLimits,
  ): Promise<CallAnswer<DuffelOrder>> {
    const { bookingId, tenantId, attempt, supplierOfferId, supplierAmount: amount, supplierCurrency: currency } = order
    const answer = await client.call({
      kind: 'create',
      timeoutMs: orderTimeoutMs,
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
    return costs(answer.value, amount, currency) ? answer : unreadable
  }

  /**
   * Pays a held order and reads its tickets. When the payment went through but the order cannot be read, the answer is
   * `accepted`: polling will find the tickets.
   */
  async function payHeldOrder(
    payment: { orderId: string; supplierAmount: string; supplierCurrency: string; passengers: readonly PassengerRef[] },
    limits: CallLimits,
  ): Promise<CallAnswer<Issued>> {
    const { orderId, supplierAmount: amount, supplierCurrency: currency } = payment
    const paid = await client.call({
      kind: 'create',
      timeoutMs: orderTimeoutMs,
      limits,
      schema: paymentSchema,
      send: (api) => api.payments.create({ order_id: orderId, payment: { type: 'balance', amount, currency } }),
    })
    if (paid.kind !== 'succeeded') return paid
    if (paid.value.status === 'failed') return { kind: 'unknown', code: 'server-error' }
    const order = await getOrder(orderId, readLimits(limits))
    if (order.kind !== 'succeeded' || order.value.payment_status.awaiting_payment) return { kind: 'accepted' }
    return { kind: 'succeeded', value: issued(order.value, payment.passengers) }
  }

  /** Cancels an order: quote, then confirmation, which is the call that matters. */
  async function cancelOrder(
    orderId: string,
    limits: CallLimits,
  ): Promise<CallAnswer<{ orderId: string; penaltyMinor: number; currency: string }>> {
    const { onSend: _, ...quietly } = limits
    const order = await getOrder(orderId, quietly)
    if (order.kind !== 'succeeded') return order
    const cancelled = (refund: Parameters<typeof penaltyMinor>[1]) => {
      const value = { orderId, penaltyMinor: penaltyMinor(order.value, refund), currency: order.value.total_currency }
      return { kind: 'succeeded', value } as const
    }
    const before = order.value.cancellation
    if (order.value.cancelled_at) return cancelled(before ?? { refund_amount: null, refund_currency: null })
    const quote = await client.call({
      kind: 'act',
      timeoutMs: orderTimeoutMs,
      limits: quietly,
      schema: cancellationSchema,
      send: (api) => api.orderCancellations.create({ order_id: orderId }),
    })
    // A quote that was lost has no effect and lapses by itself.
    if (quote.kind === 'unknown' || quote.kind === 'accepted') return notDone('supplier-unavailable')
    if (quote.kind !== 'succeeded') return quote
    if (quote.value.order_id !== orderId) return notDone('supplier-unavailable')
    const confirmed = await client.call({
      kind: 'act',
      timeoutMs: orderTimeoutMs,
      limits,
      schema: cancellationSchema,
      send: (api) => api.orderCancellations.confirm(quote.value.id),
    })
    return confirmed.kind === 'succeeded' ? cancelled(confirmed.value) : confirmed
  }

  /** The booking's order by its id, or among the orders under `familyName`. A cancelled one counts only when there is no other. */
  async function findOrder(
    owner: OrderOwner,
    by: { orderId: string | null; familyName: string; passengers: readonly PassengerRef[] },
    limits: CallLimits,
  ): Promise<CallAnswer<FoundOrder>> {
    const answer = by.orderId ? await getOrder(by.orderId, limits) : await searchOrders(owner, by.familyName, limits)
    if (answer.kind === 'refused' && answer.code === 'not-found') return { kind: 'succeeded', value: { found: false } }
    if (answer.kind !== 'succeeded') return answer
    const order = lookedUpOrder(
      answer.value,
      by.passengers.map(({ supplierPassengerId }) => supplierPassengerId),
    )
    return { kind: 'succeeded', value: { found: true, order } }
  }

  async function searchOrders(
    { bookingId, tenantId }: OrderOwner,
    familyName: string,
    limits: CallLimits,
  ): Promise<CallAnswer<DuffelOrder>> {
    const ours: unknown[] = []
    let after: string | null = null
    for (let page = 0; page < PAGES_MAX; page++) {
      const cursor: string | null = after
      const answer: CallAnswer<z.infer<typeof pageSchema>> = await client.call({
        kind: 'read',
        timeoutMs: readTimeoutMs,
        limits,
        schema: pageSchema,
        send: async (api) => {
          const list = await api.orders.list({
            'passenger_name[]': [familyName],
            limit: PAGE_SIZE,
            ...(cursor !== null && { after: cursor }),
          })
          return { ...list, data: { orders: list.data, after: list.meta?.after ?? null } }
        },
      })
      if (answer.kind !== 'succeeded') return answer
      ours.push(...answer.value.orders.filter((order) => isOwned(order, bookingId, tenantId)))
      after = answer.value.after
      if (after === null) return chooseOrder(ours)
    }
    // Not all orders were seen, so "not found" would be a guess.
    return ours.length > 0 ? chooseOrder(ours) : notDone('too-many-orders')
  }

  function getOrder(orderId: string, limits: CallLimits): Promise<CallAnswer<DuffelOrder>> {
    return client.call({
      kind: 'read',
      timeoutMs: readTimeoutMs,
      limits,
      schema: orderSchema,
      send: (api) => api.orders.get(orderId),
    })
  }

  /** Limits of a read that follows a call: its own time, and no second `onSend`. */
  function readLimits(limits: CallLimits): CallLimits {
    return { sendBeforeMs: limits.sendBeforeMs + orderTimeoutMs }
  }

  return { search, currentOffer, sameFlightsAgain, placeHold, orderInstantly, payHeldOrder, cancelOrder, findOrder }
}

/** What identifies a passenger of an order, in the booking's order. */
export type PassengerRef = Pick<OrderPassenger, 'supplierPassengerId'>

const offerUnavailable: CallAnswer<never> = { kind: 'refused', code: 'offer-unavailable' }
/** Something was made, but not what was asked for: nobody may build on it. */
const unreadable: CallAnswer<never> = { kind: 'unknown', code: 'server-error' }

const pageSchema = z.object({ orders: z.array(z.unknown()).max(PAGE_SIZE), after: z.string().max(500).nullable() })
const ownerSchema = z.object({ metadata: z.object({ booking_id: z.string(), tenant_id: z.string() }) })

function isOwned(order: unknown, bookingId: string, tenantId: string): boolean {
  const owner = ownerSchema.safeParse(order)
  return owner.success && owner.data.metadata.booking_id === bookingId && owner.data.metadata.tenant_id === tenantId
}

/** The order that stands, else the newest cancelled one. One of ours that cannot be read is no proof that there is none. */
function chooseOrder(ours: readonly unknown[]): CallAnswer<DuffelOrder> {
  const parsed = ours.map((order) => orderSchema.safeParse(order))
  if (parsed.some(({ success }) => !success)) return notDone('supplier-unavailable')
  const orders = parsed.flatMap(({ data }) => data ?? []).sort((a, b) => (a.created_at < b.created_at ? 1 : -1))
  const chosen = orders.find((order) => !order.cancelled_at) ?? orders[0]
  return chosen ? { kind: 'succeeded', value: chosen } : { kind: 'refused', code: 'not-found' }
}

function costs(order: DuffelOrder, amount: string, currency: string): boolean {
  return order.total_currency === currency && isSameAmount(order.total_amount, amount)
}

function issued(order: DuffelOrder, passengers: readonly PassengerRef[]): Issued {
  return {
    orderId: order.id,
    bookingReference: order.booking_reference ?? null,
    tickets: ticketsOf(
      order,
      passengers.map(({ supplierPassengerId }) => supplierPassengerId),
    ),
  }
}

function searchParameters(request: FlightSearch, timeoutMs: number) {
  const anyTime = { arrival_time: null, departure_time: null }
  const { origin, destination, departureDate, returnDate, passengers } = request
  // Ages are not known yet. The client's types want them for minors; Duffel takes the type as well.
  const typed = (type: string, count: number) =>
    Array.from({ length: count }, () => ({ type }) as CreateOfferRequestPassenger)
  return {
    slices: [
      { origin, destination, departure_date: departureDate, ...anyTime },
      ...(returnDate ? [{ origin: destination, destination: origin, departure_date: returnDate, ...anyTime }] : []),
    ],
    passengers: [
      ...typed('adult', passengers.adults),
      ...typed('child', passengers.children),
      ...typed('infant_without_seat', passengers.infants),
    ],
    cabin_class: request.cabinClass,
    return_offers: true,
    supplier_timeout: Math.max(2_000, timeoutMs - SEARCH_MARGIN_MS),
  }
}
