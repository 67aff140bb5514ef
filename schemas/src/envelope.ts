/**
 * The envelope every event carries from the store to its last reader, and the small types that
 * describe who caused it. Pure: shapes and inferred types only.
 */
import { z } from 'zod'

/** Who caused a message. `id` is a member id, a staff account id, or the name of a process; never a name or an e-mail. */
export const actorSchema = z.object({
  kind: z.enum(['member', 'staff', 'service']),
  id: z.string().min(1).max(100),
})
export type Actor = z.infer<typeof actorSchema>

export const metadataSchema = z.object({
  /** Same for everything one request set in motion. */
  correlationId: z.string().min(1).max(100),
  /** Id of the message (command or event) that directly caused this one; null for a request from outside. */
  causationId: z.string().max(100).nullable(),
  actor: actorSchema,
  /** W3C trace context of the request, when it sent one. */
  traceparent: z.string().max(100).optional(),
  /** `X-Mock-Error` of the request; only ever set under TEST_MODE, forwarded to this booking's partner calls. */
  mockError: z.string().max(50).optional(),
})
export type Metadata = z.infer<typeof metadataSchema>

export const eventEnvelopeSchema = z.object({
  eventId: z.uuid(),
  type: z.string().min(1).max(100),
  /** Version of `data`'s shape, from 1. Readers upcast to the current one. */
  schemaVersion: z.int().min(1),
  tenantId: z.string().min(1).max(50),
  stream: z.string().min(1).max(200),
  /** The event's number within its stream, from 1. */
  streamVersion: z.int().min(1),
  topic: z.string().min(1).max(200),
  partition: z.int().min(0),
  /** Dense number within (topic, partition), from 1, given in commit order. */
  position: z.int().min(1),
  /** UTC instant the store's database gave at commit. */
  recordedAt: z.iso.datetime(),
  data: z.unknown(),
  metadata: metadataSchema,
})
export type EventEnvelope = z.infer<typeof eventEnvelopeSchema>

/** One event as deciders and projections see it: upcast to the current version, data typed by the vertical. */
export interface DomainEvent {
  type: string
  data: unknown
}

/** UTC instant, ISO 8601 with `Z`. */
export const instantSchema = z.iso.datetime()
/** Calendar day, `YYYY-MM-DD`. */
export const dateSchema = z.iso.date()

/** Years that Postgres, JavaScript and a day's or an offset's shift of either can all express. */
const isInUsualYears = (text: string): boolean => text >= '1900' && text < '9999'
const usualYears = 'Must be within the years 1900 to 9998'
/** A day somebody asks about, as a bound of a query. */
export const queriedDateSchema = dateSchema.refine(isInUsualYears, usualYears)
/** An instant somebody asks about, with any offset. */
export const queriedInstantSchema = z.iso.datetime({ offset: true }).refine(isInUsualYears, usualYears)
