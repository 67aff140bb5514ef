/**
 * Stand-in for Duffel's flights API v2: search, offers, orders (instant and hold), payments, cancellations and webhooks,
 * with its headers and error bodies. The official `@duffel/api` client works against it unmodified, given a `basePath`
 * that ends with a slash. Which searches trigger which behaviour is in `duffel/test-routes.ts` and the README.
 */
import { DuffelRefusal, refusalAnswer, scriptedErrorBody } from './duffel/errors.ts'
import { cancellationHandlers, orderHandlers, paymentHandlers } from './duffel/order-routes.ts'
import { hash } from './duffel/random.ts'
import { searchHandlers } from './duffel/search-routes.ts'
import { createStore, type DuffelSettings, type Store } from './duffel/store.ts'
import { webhookHandlers } from './duffel/webhook-routes.ts'
import { decimal } from './duffel/wire.ts'
import { isRecord } from './faults.ts'
import {
  type Call,
  member,
  type Outcome,
  type Route,
  type RunningSandbox,
  type SandboxServerOptions,
  type SandboxService,
  startSandboxServer,
} from './sandbox-server.ts'

const RATE_LIMIT = 4000

export interface DuffelOptions extends SandboxServerOptions {
  /** Decides timetables, prices and ids. Default `portolan`. */
  seed?: string
  /** Life of an offer. Default 1800. */
  offerTtlSeconds?: number
  /** Life of an offer on the test route that expires soon. Default 5. */
  shortOfferTtlSeconds?: number
  /** How long unpaid space is held. Default 72 hours. */
  holdTtlSeconds?: number
  /** How long after a 200 or 202 the order or payment really happens. Default 5 (Duffel: 30 and more). */
  asyncDelaySeconds?: number
  /** Duration of the slow test route and of the search that times out. Default 5. */
  slowSeconds?: number
  /** Webhook endpoints registered from the start; `events` absent means all. */
  webhooks?: DuffelSettings['webhooks']
  /** Milliseconds since the epoch; for tests of expiry. */
  now?: () => number
}

/**
 * Starts the Duffel stand-in.
 *
 * Returns its base address, below which `/air/…` and `/_sandbox/…` answer.
 * Errors: rejects with the listen error (EADDRINUSE, EACCES).
 */
export function startDuffel(options: DuffelOptions = {}): Promise<RunningSandbox> {
  const effects: Record<string, number> = {}
  const store = createStore(settingsOf(options), effects)
  return startSandboxServer(createDuffel(store), options)
}

function settingsOf(options: DuffelOptions): DuffelSettings {
  return {
    seed: options.seed ?? 'portolan',
    offerTtlMs: (options.offerTtlSeconds ?? 1800) * 1000,
    shortOfferTtlMs: (options.shortOfferTtlSeconds ?? 5) * 1000,
    holdTtlMs: (options.holdTtlSeconds ?? 72 * 3600) * 1000,
    asyncDelayMs: (options.asyncDelaySeconds ?? 5) * 1000,
    slowMs: (options.slowSeconds ?? 5) * 1000,
    now: options.now ?? Date.now,
    webhooks: options.webhooks ?? [],
  }
}

function createDuffel(store: Store): SandboxService {
  const requestIds = createRequestIds(store.settings.seed)
  const { now } = store.settings
  const limiter = createRateHeaders(now)
  const search = searchHandlers(store)
  return {
    effects: store.effects,
    routes: routesOf(store, requestIds),
    control: [{ method: 'POST', path: '/_sandbox/offers/:id/expire', handle: search.expireOffer }],
    headers: (call) => ({ 'x-request-id': requestIds(call), ...limiter() }),
    noRoute: (call) => refusalAnswer(new DuffelRefusal('not_found'), requestIds(call)),
    faultBody: ({ status, code }, call) => scriptedErrorBody(status, code, requestIds(call)),
    state: () => stateOf(store),
    reset: () => {
      store.clear()
      store.registerWebhooks()
    },
    stop: () => store.clear(),
  }
}

type Handler = (call: Call, data: Record<string, unknown>) => Outcome | Promise<Outcome>

function routesOf(store: Store, requestIds: (call: Call) => string): Route[] {
  const search = searchHandlers(store)
  const orders = orderHandlers(store)
  const payments = paymentHandlers(store)
  const cancellations = cancellationHandlers(store)
  const webhooks = webhookHandlers(store)
  const routes: Route[] = []
  const add = (operation: string, method: Route['method'], path: string, handler: Handler) => {
    const handle = (call: Call) => guarded(call, requestIds(call), handler)
    routes.push({ operation, method, path: `/air/${path}`, handle, facts: (call) => factsOf(store, call) })
  }
  add('offer_requests.create', 'POST', 'offer_requests', search.createOfferRequest)
  add('offer_requests.get', 'GET', 'offer_requests/:id', search.getOfferRequest)
  add('offers.list', 'GET', 'offers', search.listOffers)
  add('offers.get', 'GET', 'offers/:id', search.getOffer)
  add('orders.create', 'POST', 'orders', orders.createOrder)
  add('orders.list', 'GET', 'orders', orders.listOrders)
  add('orders.get', 'GET', 'orders/:id', orders.getOrder)
  add('orders.update', 'PATCH', 'orders/:id', orders.updateOrder)
  add('payments.create', 'POST', 'payments', payments.createPayment)
  add('payments.list', 'GET', 'payments', payments.listPayments)
  add('payments.get', 'GET', 'payments/:id', payments.getPayment)
  add('order_cancellations.create', 'POST', 'order_cancellations', cancellations.createCancellation)
  add('order_cancellations.list', 'GET', 'order_cancellations', cancellations.listCancellations)
  add('order_cancellations.get', 'GET', 'order_cancellations/:id', cancellations.getCancellation)
  const confirm = 'order_cancellations/:id/actions/confirm'
  add('order_cancellations.confirm', 'POST', confirm, cancellations.confirmCancellation)
  add('webhooks.create', 'POST', 'webhooks', webhooks.createWebhook)
  add('webhooks.list', 'GET', 'webhooks', webhooks.listWebhooks)
  add('webhooks.deliveries', 'GET', 'webhooks/deliveries', webhooks.listWebhookDeliveries)
  add('webhooks.events.get', 'GET', 'webhooks/events/:id', webhooks.getWebhookEvent)
  add('webhooks.events.redeliver', 'POST', 'webhooks/events/:id/actions/redeliver', webhooks.redeliverWebhookEvent)
  add('webhooks.update', 'PATCH', 'webhooks/:id', webhooks.updateWebhook)
  add('webhooks.delete', 'DELETE', 'webhooks/:id', webhooks.deleteWebhook)
  add('webhooks.ping', 'POST', 'webhooks/:id/actions/ping', webhooks.pingWebhook)
  return routes
}

/** Checks headers and body, calls the handler, and turns what it refuses into Duffel's error body. */
async function guarded(call: Call, requestId: string, handler: Handler): Promise<Outcome> {
  try {
    checkHeaders(call)
    return await handler(call, readData(call))
  } catch (error) {
    if (error instanceof DuffelRefusal) return refusalAnswer(error, requestId)
    throw error
  }
}

function checkHeaders({ headers }: Call): void {
  const { authorization } = headers
  if (authorization === undefined) throw new DuffelRefusal('missing_authorization_header')
  const token = /^Bearer (\S+)$/i.exec(authorization)?.[1]
  if (token === undefined) throw new DuffelRefusal('invalid_authorization_header')
  if (!token.startsWith('duffel_test_')) throw new DuffelRefusal('access_token_not_found')
  const version = headers['duffel-version']
  if (version === undefined) throw new DuffelRefusal('missing_version_header')
  if (version === 'v1' || version === 'beta') throw new DuffelRefusal('unsupported_version')
  if (version !== 'v2') throw new DuffelRefusal('invalid_version_header')
}

/** The `data` of a body; calls without a body (reads and actions) get an empty object. */
function readData(call: Call): Record<string, unknown> {
  if (call.bodyError !== undefined) throw new DuffelRefusal('bad_request')
  const needsBody = (call.method === 'POST' && !call.path.includes('/actions/')) || call.method === 'PATCH'
  if (!needsBody) return {}
  if (!isRecord(call.body) || !('data' in call.body)) throw new DuffelRefusal('missing_data_param')
  if (!isRecord(call.body.data)) throw new DuffelRefusal('invalid_data_param')
  return call.body.data
}

/** What fault rules can match on. Calls about an order carry that order's metadata. */
function factsOf(store: Store, { params, body, query }: Call): Record<string, unknown> {
  const data = member(body, 'data')
  const id = params.id ?? ''
  const orderId = String(
    member(data, 'order_id') ?? (id.startsWith('ord_') ? id : store.cancellations.get(id)?.order.id),
  )
  const order = store.orders.get(orderId)
  const selected = member(data, 'selected_offers')
  const offerId =
    order?.offer.id ?? (Array.isArray(selected) ? String(selected[0]) : id.startsWith('off_') ? id : undefined)
  const [slice] = store.offers.get(offerId ?? '')?.request.slices ?? []
  const searched = member(data, 'slices')
  const first: unknown = Array.isArray(searched) ? searched[0] : undefined
  return {
    metadata: order?.metadata ?? member(data, 'metadata'),
    orderId: order?.id,
    offerId,
    type: order?.type ?? member(data, 'type'),
    origin: slice?.origin.code ?? member(first, 'origin'),
    destination: slice?.destination.code ?? member(first, 'destination'),
    cancellationId: id.startsWith('ore_') ? id : undefined,
    passengerName: query.get('passenger_name[]') ?? undefined,
  }
}

function stateOf({ orders, payments, cancellations, requests, webhooks }: Store) {
  return {
    offer_requests: requests.size,
    orders: [...orders.values()].map((order) => ({
      id: order.id,
      type: order.type,
      offer_id: order.offer.id,
      booking_reference: order.bookingReference,
      total_amount: decimal(order.totalMinor),
      total_currency: order.offer.currency,
      metadata: order.metadata,
      paid: order.paidAt !== null,
      cancelled: order.cancelledAt !== null,
      documents: order.tickets.map(({ number }) => number),
    })),
    payments: [...payments.values()].map(({ id, order, status }) => ({ id, order_id: order.id, status })),
    cancellations: [...cancellations.values()].map((quote) => ({
      id: quote.id,
      order_id: quote.order.id,
      refund_amount: decimal(quote.refundMinor),
      confirmed: quote.confirmedAt !== null,
    })),
    webhook_events: webhooks.events(),
    webhook_deliveries: webhooks.deliveries(),
  }
}

/** One id per call, the same in the header and in the error body. */
function createRequestIds(seed: string): (call: Call) => string {
  const ids = new WeakMap<Call, string>()
  let made = 0
  return (call) => {
    const known = ids.get(call)
    if (known !== undefined) return known
    made += 1
    const id = `F${hash(`${seed}|request|${made}`).toString(36)}${made.toString(36).padStart(6, '0')}AAAB`
    ids.set(call, id)
    return id
  }
}

/** Headers that count down per minute; nothing is ever refused because of them. */
function createRateHeaders(now: () => number): () => Record<string, string> {
  let windowEndsAt = 0
  let remaining = RATE_LIMIT
  return () => {
    if (now() >= windowEndsAt) {
      windowEndsAt = now() + 60_000
      remaining = RATE_LIMIT
    }
    remaining = Math.max(0, remaining - 1)
    return {
      'ratelimit-limit': String(RATE_LIMIT),
      'ratelimit-remaining': String(remaining),
      'ratelimit-reset': new Date(windowEndsAt).toUTCString(),
    }
  }
}
