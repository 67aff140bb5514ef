/** From a Kafka record to the event it carries, readable or not. */
import { type EventEnvelope, eventEnvelopeSchema } from '@portolan/schemas/envelope.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'

/** A record as Kafka delivers it; headers as text. */
export interface RawRecord {
  offset: number
  value: string
  headers: Readonly<Record<string, string>>
}

/** An event on its way through a consumer. Who it belongs to is known even where its content cannot be read. */
export interface ConsumedEvent {
  topic: TopicName
  partition: number
  offset: number
  /** Dense within the partition, from 1. */
  position: number
  tenantId: string
  stream: string
  type: string
  /** Null where neither the value nor the headers can be read for it. */
  streamVersion: number | null
  /** The value as published, for parking. */
  value: string
  /** Null when the value is not an envelope; `unreadable` says why. */
  envelope: EventEnvelope | null
  unreadable: string | null
}

/**
 * Reads a record. Headers name position, tenant, stream and its version a second time, so that an unreadable value can still be
 * parked with its stream. Returns null when neither says where the record belongs: nothing safe can be done with it.
 */
export function readRecord(topic: TopicName, partition: number, record: RawRecord): ConsumedEvent | null {
  const { offset, value, headers } = record
  const read = readEnvelope(value)
  if (read.envelope) {
    const { position, tenantId, stream, type, streamVersion } = read.envelope
    return { topic, partition, offset, value, position, tenantId, stream, type, streamVersion, ...read }
  }
  const position = Number(headers.position)
  const version = Number(headers['stream-version'])
  const streamVersion = Number.isSafeInteger(version) && version > 0 ? version : null
  const { tenant: tenantId, stream, type = 'unknown' } = headers
  if (!Number.isSafeInteger(position) || position < 1 || !tenantId || !stream) return null
  return { topic, partition, offset, value, position, tenantId, stream, type, streamVersion, ...read }
}

/** As Postgres can keep it: neither its text nor its JSON holds zero characters or halves of a pair, which a cut may leave. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD')

function readEnvelope(value: string): Pick<ConsumedEvent, 'envelope' | 'unreadable'> {
  let json: unknown
  try {
    json = JSON.parse(value)
  } catch {
    return { envelope: null, unreadable: 'the value is not JSON' }
  }
  const parsed = eventEnvelopeSchema.safeParse(json)
  if (parsed.success) return { envelope: parsed.data, unreadable: null }
  const fields = parsed.error.issues.map((issue) => issue.path.join('.')).slice(0, 5)
  return { envelope: null, unreadable: `the value is not an envelope: ${fields.join(', ')}` }
}
