/** Everything the Duffel stand-in remembers, and what its routes share. */
import { DuffelRefusal } from './errors.ts'
import type { OfferRecord, OfferRequestRecord, OfferSettings } from './offers.ts'
import { bookOrder, type CancellationRecord, type NewOrder, type OrderRecord, type PaymentRecord } from './orders.ts'
import { createIds } from './random.ts'
import { createWebhooks } from './webhooks.ts'

/** Older searches are forgotten beyond this many, so that a long run does not grow without end. */
const REQUESTS_MAX = 1_000

export interface DuffelSettings extends OfferSettings {
  /** How long after a 200 or 202 an order or payment really happens. */
  asyncDelayMs: number
  /** How long the slow test route takes. */
  slowMs: number
  now: () => number
  /** Endpoints registered from the start and after each reset. */
  webhooks: { url: string; secret: string; events?: string[] }[]
}

export const WEBHOOK_EVENTS = [
  'order.created',
  'order.creation_failed',
  'order.airline_initiated_change_detected',
  'payment.created',
  'order_cancellation.created',
  'order_cancellation.confirmed',
  'ping.triggered',
]

export type Store = ReturnType<typeof createStore>

/** Creates an empty store with the configured webhook endpoints. */
export function createStore(settings: DuffelSettings, effects: Record<string, number>) {
  const waits = new Set<(passed: boolean) => void>()
  let newId = createIds(settings.seed)
  const webhooks = createWebhooks((prefix) => newId(prefix), settings.now)
  const requests = new Map<string, OfferRequestRecord>()
  const offers = new Map<string, OfferRecord>()
  const orders = new Map<string, OrderRecord>()
  const payments = new Map<string, PaymentRecord>()
  const cancellations = new Map<string, CancellationRecord>()
  const registerWebhooks = () => {
    for (const { url, secret, events } of settings.webhooks) webhooks.add(url, events ?? WEBHOOK_EVENTS, secret)
  }
  registerWebhooks()

  /** Calls back once: with true after the delay, with false when the store is cleared first. */
  function wait(delayMs: number, done: (passed: boolean) => void): void {
    const end = (passed: boolean) => {
      clearTimeout(timer)
      waits.delete(end)
      done(passed)
    }
    const timer = setTimeout(() => end(true), delayMs)
    waits.add(end)
  }

  function addRequest(request: OfferRequestRecord): void {
    requests.set(request.id, request)
    for (const offer of request.offers) offers.set(offer.id, offer)
    const [oldest] = requests.values()
    if (requests.size <= REQUESTS_MAX || !oldest) return
    requests.delete(oldest.id)
    for (const offer of oldest.offers) offers.delete(offer.id)
    oldest.offers = [] // an order keeps its offer, and with it this request
  }

  function book(order: NewOrder): OrderRecord {
    const number = orders.size + 1
    const made = bookOrder(order, newId('ord'), number, settings.seed, settings.now())
    orders.set(made.id, made)
    effects['orders.create'] = (effects['orders.create'] ?? 0) + 1
    const { id, metadata, bookingReference } = made
    webhooks.publish('order.created', id, {
      id,
      offer_id: made.offer.id,
      booking_reference: bookingReference,
      metadata,
    })
    return made
  }

  return {
    settings,
    effects,
    webhooks,
    requests,
    offers,
    orders,
    payments,
    cancellations,
    newId: (prefix: string) => newId(prefix),
    addRequest,
    book,
    /** Does something later; forgotten when the store is cleared. */
    later: (delayMs: number, action: () => void): void => {
      wait(delayMs, (passed) => passed && action())
    },
    /** Resolves after a delay, or at once when the store is cleared. */
    sleep: (delayMs: number): Promise<void> => new Promise((resolve) => wait(delayMs, () => resolve())),
    clear: (): void => {
      for (const end of [...waits]) end(false)
      webhooks.clear()
      for (const map of [requests, offers, orders, payments, cancellations]) map.clear()
      newId = createIds(settings.seed)
    },
    registerWebhooks,
  }
}

/** The record of that id. Errors: DuffelRefusal not_found. */
export function findIn<T>(records: ReadonlyMap<string, T>, id: string | undefined): T {
  const record = records.get(id ?? '')
  if (record === undefined) throw new DuffelRefusal('not_found')
  return record
}
