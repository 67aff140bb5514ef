/** Every event of every vertical by topic: one line per vertical. Readers and the contract generator start here. */
import { bookingEvents } from './bookings/messages.ts'
import type { EventEnvelope } from './envelope.ts'
import { type EventCatalogue, upcastEvent } from './event-catalogue.ts'
import { logEvents } from './log/messages.ts'
import { memberEvents } from './members/messages.ts'
import { staffEvents } from './staff/messages.ts'
import { stayEvents } from './stays/messages.ts'
import { tenantEvents } from './tenants/messages.ts'
import { type TopicName, topics } from './topics.ts'

export const eventCatalogues: Readonly<Record<TopicName, EventCatalogue>> = {
  [topics.bookings]: bookingEvents,
  [topics.members]: memberEvents,
  [topics.tenants]: tenantEvents,
  [topics.staff]: { ...staffEvents, ...logEvents },
  [topics.stays]: stayEvents,
}

/**
 * The event inside an envelope, its data lifted to the current version.
 * topic: the catalogue's name, without an environment's prefix. Throws when the event is unknown or does not fit its version: poison.
 */
export function readEvent(topic: TopicName, envelope: EventEnvelope): { type: string; data: unknown } {
  return {
    type: envelope.type,
    data: upcastEvent(eventCatalogues[topic], envelope.type, envelope.schemaVersion, envelope.data),
  }
}
