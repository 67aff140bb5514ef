/**
 * Duffel's webhooks: endpoints, events, and signed deliveries.
 *
 * `X-Duffel-Signature: t=<unix seconds>,v1=<hex>`, where hex is HMAC-SHA256 over `<t>.<raw body>` keyed with the
 * endpoint's secret as text (as Duffel's own Ruby client verifies it). Deliveries are at least once and unordered: a
 * receiver that does not answer 2xx within five seconds is tried again a few times.
 */
import { createHmac } from 'node:crypto'
import { iso } from './wire.ts'

const ATTEMPT_DELAYS_MS = [0, 500, 2_000, 10_000]
const DELIVERY_TIMEOUT_MS = 5_000
const EVENTS_MAX = 1_000

export interface WebhookEndpoint {
  id: string
  url: string
  events: string[]
  active: boolean
  secret: string
  createdAt: number
  updatedAt: number
}

export interface WebhookEvent {
  id: string
  type: string
  api_version: 'v2'
  live_mode: false
  /** Id of the thing the event is about: equal for equal events. */
  idempotency_key: string
  created_at: string
  identity_organisation_id: string
  data: { object: Record<string, unknown> }
}

export interface WebhookDelivery {
  id: string
  endpoint_id: string
  event_id: string
  type: string
  url: string
  live_mode: false
  created_at: string
  delivery_success: boolean
  /** 0 when the receiver could not be reached. */
  response_status_code: number
  response_body: string
}

/**
 * Creates the webhook side of the stand-in.
 *
 * now: milliseconds since the epoch. Nothing is sent to endpoints that are inactive or did not subscribe to the event.
 */
export function createWebhooks(newId: (prefix: string) => string, now: () => number) {
  const endpoints = new Map<string, WebhookEndpoint>()
  let events: WebhookEvent[] = []
  let deliveries: WebhookDelivery[] = []
  const timers = new Set<NodeJS.Timeout>()
  const open = new Set<AbortController>()

  function send(endpoint: WebhookEndpoint, event: WebhookEvent, attempt = 0): void {
    const timer = setTimeout(async () => {
      timers.delete(timer)
      const delivered = await attemptDelivery(endpoint, event)
      if (!delivered && endpoints.get(endpoint.id) === endpoint && attempt + 1 < ATTEMPT_DELAYS_MS.length)
        send(endpoint, event, attempt + 1)
    }, ATTEMPT_DELAYS_MS[attempt] ?? 0)
    timers.add(timer)
  }

  async function attemptDelivery(endpoint: WebhookEndpoint, event: WebhookEvent): Promise<boolean> {
    const body = JSON.stringify(event)
    const abort = new AbortController()
    open.add(abort)
    const answered = { status: 0, text: '' }
    try {
      const response = await fetch(endpoint.url, {
        method: 'POST',
        body,
        redirect: 'manual',
        headers: {
          'content-type': 'application/json',
          'x-duffel-signature': signatureOf(body, endpoint.secret, Math.floor(now() / 1000)),
        },
        signal: AbortSignal.any([abort.signal, AbortSignal.timeout(DELIVERY_TIMEOUT_MS)]),
      })
      answered.status = response.status
      answered.text = (await response.text()).slice(0, 500)
    } catch (error) {
      // An unreachable receiver is an ordinary outcome: it is recorded and tried again.
      answered.text = String(error)
    }
    open.delete(abort)
    const success = answered.status >= 200 && answered.status < 300
    deliveries = [...deliveries.slice(-EVENTS_MAX), deliveryOf(endpoint, event, answered, success)]
    return success
  }

  function deliveryOf(
    endpoint: WebhookEndpoint,
    event: WebhookEvent,
    answered: { status: number; text: string },
    success: boolean,
  ): WebhookDelivery {
    return {
      id: newId('wdl'),
      endpoint_id: endpoint.id,
      event_id: event.id,
      type: event.type,
      url: endpoint.url,
      live_mode: false,
      created_at: iso(now()),
      delivery_success: success,
      response_status_code: answered.status,
      response_body: answered.text,
    }
  }

  function record(type: string, key: string, object: Record<string, unknown>): WebhookEvent {
    const event: WebhookEvent = {
      id: newId('wev'),
      type,
      api_version: 'v2',
      live_mode: false,
      idempotency_key: key,
      created_at: iso(now()),
      identity_organisation_id: 'org_0000SandboxOrganisation',
      data: { object },
    }
    events = [...events.slice(-EVENTS_MAX), event]
    return event
  }

  return {
    endpoints,
    /** Adds an endpoint. secret: given, or made from the counter. */
    add: (url: string, subscribed: string[], secret?: string): WebhookEndpoint => {
      const id = newId('end')
      const endpoint = {
        id,
        url,
        events: subscribed,
        active: true,
        secret: secret ?? Buffer.from(newId('whs')).toString('base64'),
        createdAt: now(),
        updatedAt: now(),
      }
      endpoints.set(id, endpoint)
      return endpoint
    },
    /** Publishes an event to every active endpoint that subscribed to its type. */
    publish: (type: string, key: string, object: Record<string, unknown>): void => {
      const event = record(type, key, object)
      for (const endpoint of endpoints.values())
        if (endpoint.active && endpoint.events.includes(type)) send(endpoint, event)
    },
    /** Sends `ping.triggered` to one endpoint, whatever it subscribed to. */
    ping: (endpoint: WebhookEndpoint): void => {
      send(endpoint, record('ping.triggered', endpoint.id, {}))
    },
    /** Sends a past event again to every active endpoint; false when there is no such event. */
    redeliver: (eventId: string): boolean => {
      const event = events.find(({ id }) => id === eventId)
      if (event) for (const endpoint of endpoints.values()) if (endpoint.active) send(endpoint, event)
      return event !== undefined
    },
    event: (id: string) => events.find((event) => event.id === id),
    events: () => events,
    deliveries: () => deliveries,
    /** Forgets everything and sends nothing any more. */
    clear: (): void => {
      for (const timer of timers) clearTimeout(timer)
      for (const abort of open) abort.abort()
      timers.clear()
      endpoints.clear()
      events = []
      deliveries = []
    },
  }
}

export type Webhooks = ReturnType<typeof createWebhooks>

/**
 * The value of `X-Duffel-Signature`.
 *
 * body: the raw body; secret: the endpoint's secret as text; seconds: unix time. Source: Duffel's `duffel_api` Ruby client.
 */
export function signatureOf(body: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}
