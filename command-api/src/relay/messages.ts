/** Events as Kafka records: one record per event, in position order, in batches that a broker takes. */
import type { KafkaMessage } from '@portolan/infra/kafka.ts'
import { type LogTopicNames, ofGeneration } from '@portolan/infra/log-generation.ts'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'

export const BATCH_EVENTS_MAX = 500
/** All records of one partition travel in one record batch, which has a broker limit of about 1 MB. */
export const BATCH_BYTES_MAX = 512 << 10

/** The record of an event; the envelope names its topic as the store does. */
export function toMessage(names: LogTopicNames, event: EventEnvelope): KafkaMessage {
  const { correlationId, traceparent } = event.metadata
  return {
    topic: ofGeneration(names, event.topic),
    partition: event.partition,
    key: event.stream,
    value: JSON.stringify(event),
    headers: {
      'event-id': event.eventId,
      type: event.type,
      version: String(event.schemaVersion),
      tenant: event.tenantId,
      stream: event.stream,
      'stream-version': String(event.streamVersion),
      position: String(event.position),
      'correlation-id': correlationId,
      ...(traceparent && { traceparent }),
    },
  }
}

/** The longest beginning of one partition's records that fits into a record batch; at least one record. */
export function cutBatch(messages: readonly KafkaMessage[]): KafkaMessage[] {
  let bytes = 0
  const end = messages.findIndex(({ value }, index) => {
    bytes += Buffer.byteLength(value)
    return index >= BATCH_EVENTS_MAX || (index > 0 && bytes > BATCH_BYTES_MAX)
  })
  return messages.slice(0, end < 0 ? undefined : end)
}
