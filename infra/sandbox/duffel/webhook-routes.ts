/** `/air/webhooks`: endpoints, pings, events and deliveries. */
import type { Answer, Call } from '../sandbox-server.ts'
import { DuffelRefusal } from './errors.ts'
import { pageOf } from './paging.ts'
import { findIn, type Store, WEBHOOK_EVENTS } from './store.ts'
import type { WebhookEndpoint } from './webhooks.ts'
import { iso } from './wire.ts'

/** Handlers of the webhook operations; each throws DuffelRefusal for what it refuses. */
export function webhookHandlers({ webhooks, settings }: Store) {
  return {
    createWebhook: (_call: Call, data: Record<string, unknown>): Answer => {
      const url = readUrl(data.url)
      if ([...webhooks.endpoints.values()].some((endpoint) => endpoint.url === url))
        throw new DuffelRefusal('unsafe_unique', { pointer: '/url' })
      const endpoint = webhooks.add(url, readEvents(data.events))
      // The secret is shown once, here.
      return { status: 201, body: { data: { ...wire(endpoint), secret: endpoint.secret } } }
    },
    listWebhooks: ({ query }: Call): Answer => {
      const { data, meta } = pageOf([...webhooks.endpoints.values()], query, ({ id }) => id)
      return { status: 200, body: { data: data.map(wire), meta } }
    },
    updateWebhook: ({ params }: Call, data: Record<string, unknown>): Answer => {
      const endpoint = findIn(webhooks.endpoints, params.id)
      if (data.url !== undefined) endpoint.url = readUrl(data.url)
      if (data.events !== undefined) endpoint.events = readEvents(data.events)
      if (typeof data.active === 'boolean') endpoint.active = data.active
      endpoint.updatedAt = settings.now()
      return { status: 200, body: { data: wire(endpoint) } }
    },
    deleteWebhook: ({ params }: Call): Answer => {
      webhooks.endpoints.delete(findIn(webhooks.endpoints, params.id).id)
      return { status: 204 }
    },
    pingWebhook: ({ params }: Call): Answer => {
      webhooks.ping(findIn(webhooks.endpoints, params.id))
      return { status: 204 }
    },
    getWebhookEvent: ({ params }: Call): Answer => {
      const event = webhooks.event(params.id ?? '')
      if (!event) throw new DuffelRefusal('not_found')
      return { status: 200, body: { data: event } }
    },
    redeliverWebhookEvent: ({ params }: Call): Answer => {
      if (!webhooks.redeliver(params.id ?? '')) throw new DuffelRefusal('not_found')
      return { status: 204 }
    },
    listWebhookDeliveries: ({ query }: Call): Answer => {
      const [type, endpointId, success] = ['type', 'endpoint_id', 'delivery_success'].map((name) => query.get(name))
      const wanted = webhooks
        .deliveries()
        .filter((delivery) => (type ?? delivery.type) === delivery.type)
        .filter((delivery) => (endpointId ?? delivery.endpoint_id) === delivery.endpoint_id)
        .filter((delivery) => (success ?? String(delivery.delivery_success)) === String(delivery.delivery_success))
      const { data, meta } = pageOf(wanted, query, ({ id }) => id)
      return { status: 200, body: { data, meta } }
    },
  }
}

function readUrl(value: unknown): string {
  if (typeof value === 'string' && URL.canParse(value) && /^https?:/.test(value)) return value
  throw new DuffelRefusal('validation_format', { message: "Field 'url' must be an http(s) address", pointer: '/url' })
}

function readEvents(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new DuffelRefusal('validation_required', { pointer: '/events' })
  for (const [index, event] of value.entries())
    if (!WEBHOOK_EVENTS.includes(event))
      throw new DuffelRefusal('validation_inclusion', { pointer: `/events/${index}` })
  return value.map(String)
}

function wire({ id, url, events, active, createdAt, updatedAt }: WebhookEndpoint) {
  return { id, url, events, active, live_mode: false, created_at: iso(createdAt), updated_at: iso(updatedAt) }
}
