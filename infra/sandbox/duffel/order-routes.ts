/** `/air/orders`, `/air/payments` and `/air/order_cancellations`, and what the test routes make of them. */
import { isRecord } from '../faults.ts'
import { type Answer, type Call, count, type Outcome } from '../sandbox-server.ts'
import { DuffelRefusal } from './errors.ts'
import { currentTotalMinor, type OfferRecord } from './offers.ts'
import {
  checkOrderable,
  checkPayable,
  checkPayment,
  confirmCancellation,
  markPaid,
  type NewOrder,
  type OrderRecord,
  type PaymentRecord,
  quoteCancellation,
} from './orders.ts'
import { pageOf } from './paging.ts'
import { readOrderPassengers } from './passengers.ts'
import { findIn, type Store } from './store.ts'
import { wireCancellation, wireOrder, wirePayment } from './wire-orders.ts'

/** What Duffel answers to a 200 or 202 of a creating call: nothing to identify the order by. */
const NOT_YET = { data: null }

/** Handlers of order operations; each throws DuffelRefusal for what it refuses. */
export function orderHandlers(store: Store) {
  return {
    createOrder: async (_call: Call, data: Record<string, unknown>): Promise<Outcome> => {
      const order = readNewOrder(store, data)
      return carryOut(store, order)
    },
    listOrders: ({ query }: Call): Answer => {
      const { data, meta } = pageOf(filterOrders([...store.orders.values()].reverse(), query), query, ({ id }) => id)
      return { status: 200, body: { data: data.map((order) => wire(store, order)), meta } }
    },
    getOrder: ({ params }: Call): Answer => {
      return { status: 200, body: { data: wire(store, findIn(store.orders, params.id)) } }
    },
    updateOrder: ({ params }: Call, data: Record<string, unknown>): Answer => {
      const order = findIn(store.orders, params.id)
      if (data.metadata === undefined) throw new DuffelRefusal('validation_required', { pointer: '/metadata' })
      order.metadata = readMetadata(data.metadata)
      return { status: 200, body: { data: wire(store, order) } }
    },
  }
}

/** Handlers of payments for held orders. */
export function paymentHandlers(store: Store) {
  return {
    createPayment: (_call: Call, data: Record<string, unknown>): Answer => {
      const order = store.orders.get(String(data.order_id))
      if (!order) throw new DuffelRefusal('linked_record_not_found', { pointer: '/order_id' })
      checkPayable(order, store.settings.now())
      if (!isRecord(data.payment)) throw new DuffelRefusal('validation_required', { pointer: '/payment' })
      checkPayment(data.payment, order.totalMinor, order.offer.currency, '/payment')
      const { trigger } = order.offer.request
      if (trigger === 'insufficient-balance') throw new DuffelRefusal('insufficient_balance')
      const payment = newPayment(store, order, String(data.payment.type))
      if (trigger !== 'ok-created-later' && trigger !== 'accepted-created-later') {
        settle(store, payment)
        return { status: 201, body: { data: wirePayment(payment) } }
      }
      order.paymentPending = true
      store.later(store.settings.asyncDelayMs, () => settle(store, payment))
      return { status: trigger === 'ok-created-later' ? 200 : 202, body: { data: wirePayment(payment) } }
    },
    getPayment: ({ params }: Call): Answer => {
      return { status: 200, body: { data: wirePayment(findIn(store.payments, params.id)) } }
    },
    listPayments: ({ query }: Call): Answer => {
      const payments = [...store.payments.values()].filter(({ order }) => order.id === query.get('order_id'))
      const { data, meta } = pageOf(payments, query, ({ id }) => id)
      return { status: 200, body: { data: data.map(wirePayment), meta } }
    },
  }
}

/** Handlers of order cancellations: quote, confirm, read. */
export function cancellationHandlers(store: Store) {
  const { settings, cancellations } = store
  const latestOf = (order: OrderRecord) => [...cancellations.values()].findLast((quote) => quote.order === order)
  return {
    createCancellation: (_call: Call, data: Record<string, unknown>): Answer => {
      const order = store.orders.get(String(data.order_id))
      if (!order) throw new DuffelRefusal('linked_record_not_found', { pointer: '/order_id' })
      const quote = quoteCancellation(order, store.newId('ore'), settings.now())
      cancellations.set(quote.id, quote)
      count(store.effects, 'order_cancellations.create')
      store.webhooks.publish('order_cancellation.created', quote.id, { id: quote.id, order_id: order.id })
      return { status: 201, body: { data: wireCancellation(quote) } }
    },
    confirmCancellation: ({ params }: Call): Answer => {
      const quote = findIn(cancellations, params.id)
      confirmCancellation(quote, latestOf(quote.order)?.id, settings.now())
      count(store.effects, 'order_cancellations.confirm')
      store.webhooks.publish('order_cancellation.confirmed', quote.id, { id: quote.id, order_id: quote.order.id })
      return { status: 200, body: { data: wireCancellation(quote) } }
    },
    getCancellation: ({ params }: Call): Answer => {
      return { status: 200, body: { data: wireCancellation(findIn(cancellations, params.id)) } }
    },
    listCancellations: ({ query }: Call): Answer => {
      const orderId = query.get('order_id')
      const quotes = [...cancellations.values()].filter(({ order }) => orderId === null || order.id === orderId)
      const { data, meta } = pageOf(quotes, query, ({ id }) => id)
      return { status: 200, body: { data: data.map(wireCancellation), meta } }
    },
  }
}

/** Makes the order as its test route says; ordinary routes book and answer 201. */
async function carryOut(store: Store, order: NewOrder): Promise<Outcome> {
  const { request } = order.offer
  const { slowMs, asyncDelayMs } = store.settings
  request.orderState = 'attempted'
  switch (request.trigger) {
    case 'order-airline-error':
      throw new DuffelRefusal('airline_unknown')
    case 'order-not-created':
      throw new DuffelRefusal('order_not_created')
    case 'error-not-booked':
      throw new DuffelRefusal('internal_server_error')
    case 'hang-not-booked':
      return 'hang'
    case 'error-but-booked':
      store.book(order)
      throw new DuffelRefusal('internal_server_error')
    case 'hang-but-booked':
      store.book(order)
      return 'hang'
    case 'reset-but-booked':
      store.book(order)
      return 'reset'
    case 'ok-created-later':
    case 'accepted-created-later':
      // A hold is made at once even there: on these routes it is its payment that takes time.
      if (order.type === 'hold') break
      store.later(asyncDelayMs, () => store.book(order))
      return { status: request.trigger === 'ok-created-later' ? 200 : 202, body: NOT_YET }
    case 'accepted-never-created':
      store.later(asyncDelayMs, () => announceFailure(store, order))
      return { status: 202, body: NOT_YET }
    case 'slow':
      await store.sleep(slowMs)
      break
  }
  return { status: 201, body: { data: wire(store, store.book(order)) } }
}

function announceFailure(store: Store, { offer, metadata }: NewOrder): void {
  store.webhooks.publish('order.creation_failed', offer.id, { offer_id: offer.id, metadata })
}

function readNewOrder(store: Store, data: Record<string, unknown>): NewOrder {
  const { selected_offers: selected, payments } = data
  if (!Array.isArray(selected) || selected.length !== 1)
    throw new DuffelRefusal('validation_length', {
      message: "Field 'selected_offers' must contain exactly one offer",
      pointer: '/selected_offers',
    })
  const offer = store.offers.get(String(selected[0]))
  if (!offer) throw new DuffelRefusal('linked_record_not_found', { pointer: '/selected_offers/0' })
  const type = readType(data.type)
  const metadata = readMetadata(data.metadata)
  const passengers = readOrderPassengers(data.passengers, offer)
  checkOrderable(offer, type, store.settings.now())
  if (offer.request.trigger === 'offer-gone') throw new DuffelRefusal('offer_no_longer_available')
  if (offer.request.trigger === 'price-changed') throw new DuffelRefusal('price_changed')
  checkPayments(payments, type, offer)
  const users = Array.isArray(data.users) ? data.users.map(String) : []
  return { type, offer, passengers, metadata, users }
}

/** `pay_later` is what the official client's types call `hold`; both are taken. */
function readType(value: unknown): 'instant' | 'hold' {
  if (value === undefined || value === 'instant') return 'instant'
  if (value === 'hold' || value === 'pay_later') return 'hold'
  throw new DuffelRefusal('validation_inclusion', { pointer: '/type' })
}

function checkPayments(payments: unknown, type: 'instant' | 'hold', offer: OfferRecord): void {
  const list: unknown[] = Array.isArray(payments) ? payments : []
  if (type === 'hold') {
    if (list.length > 0) throw new DuffelRefusal('payments_not_allowed_for_order_type', { pointer: '/payments' })
    return
  }
  const [payment] = list
  if (list.length !== 1 || !isRecord(payment)) throw new DuffelRefusal('validation_required', { pointer: '/payments' })
  checkPayment(payment, currentTotalMinor(offer), offer.currency, '/payments/0')
  if (offer.request.trigger === 'insufficient-balance') throw new DuffelRefusal('insufficient_balance')
}

/** At most 50 pairs of text, keys of 40 and values of 500 characters. */
function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (!isRecord(value)) throw new DuffelRefusal('validation_type', { pointer: '/metadata' })
  if (Object.keys(value).length > 50) throw new DuffelRefusal('validation_length', { pointer: '/metadata' })
  const metadata: Record<string, string> = {}
  for (const [key, text] of Object.entries(value)) {
    const pointer = `/metadata/${key}`
    if (!/^[A-Za-z0-9_-]{1,40}$/.test(key)) throw new DuffelRefusal('validation_format', { pointer })
    if (typeof text !== 'string') throw new DuffelRefusal('validation_type', { pointer })
    if (text.length > 500) throw new DuffelRefusal('validation_length', { pointer })
    metadata[key] = text
  }
  return metadata
}

function filterOrders(orders: OrderRecord[], query: URLSearchParams): OrderRecord[] {
  const awaiting = query.get('awaiting_payment')
  const reference = query.get('booking_reference')
  const offerId = query.get('offer_id')
  const userId = query.get('user_id')
  const names = [...query.getAll('passenger_name[]'), ...query.getAll('passenger_name')].map((name) =>
    name.toLowerCase(),
  )
  return orders
    .filter((order) => awaiting === null || String(isAwaitingPayment(order)) === awaiting)
    .filter((order) => reference === null || order.bookingReference === reference)
    .filter((order) => offerId === null || order.offer.id === offerId)
    .filter(
      ({ users, passengers }) => userId === null || [...users, ...passengers.map((p) => p.user_id)].includes(userId),
    )
    .filter(({ passengers }) => names.length === 0 || passengers.some((passenger) => isNamed(passenger, names)))
    .toSorted(orderBy(query.get('sort')))
}

/** Any of the names, wholly or in part, in the given, family or full name. */
function isNamed(passenger: OrderRecord['passengers'][number], names: string[]): boolean {
  const full = `${passenger.given_name} ${passenger.family_name}`.toLowerCase()
  return names.some((name) => full.includes(name))
}

function isAwaitingPayment(order: OrderRecord): boolean {
  return order.type === 'hold' && order.paidAt === null && order.cancelledAt === null
}

function orderBy(sort: string | null): (a: OrderRecord, b: OrderRecord) => number {
  if (sort === null) return () => 0
  const direction = sort.startsWith('-') ? -1 : 1
  const keys: Record<string, (order: OrderRecord) => number> = {
    created_at: ({ createdAt }) => createdAt,
    total_amount: ({ totalMinor }) => totalMinor,
    payment_required_by: ({ offer }) => offer.hold?.paymentRequiredBy ?? Number.MAX_SAFE_INTEGER,
  }
  const key = keys[sort.replace(/^-/, '')]
  if (!key) throw new DuffelRefusal('validation_inclusion', { pointer: '/sort' })
  return (a, b) => direction * (key(a) - key(b))
}

function newPayment(store: Store, order: OrderRecord, type: string): PaymentRecord {
  const payment: PaymentRecord = {
    id: store.newId('pay'),
    order,
    type,
    status: 'pending',
    createdAt: store.settings.now(),
  }
  store.payments.set(payment.id, payment)
  return payment
}

function settle(store: Store, payment: PaymentRecord): void {
  payment.status = 'succeeded'
  markPaid(payment.order, store.settings.now())
  count(store.effects, 'payments.create')
  store.webhooks.publish('payment.created', payment.id, { id: payment.id, order_id: payment.order.id })
}

function wire(store: Store, order: OrderRecord) {
  return wireOrder(order, store.cancellations.get(order.cancellationId ?? ''), store.settings.now())
}
