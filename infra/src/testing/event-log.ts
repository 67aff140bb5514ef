/**
 * A stand-in for store and relay in tests of consumers: numbers events as the store does and publishes them as the relay
 * does, so that a test needs neither.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type { KafkaMessage, KafkaPort, KafkaProducer } from '../kafka.ts'

export interface NewEvent {
  topic: TopicName
  tenantId?: string
  stream: string
  type: string
  schemaVersion?: number
  data: unknown
}

export interface EventLog {
  /** Numbers the events, publishes them in order, and returns their envelopes. */
  append(...events: NewEvent[]): Promise<EventEnvelope[]>
  /** Numbers events without publishing them. */
  number(...events: NewEvent[]): EventEnvelope[]
  /** Publishes envelopes, also a second time or out of order. */
  publish(...envelopes: EventEnvelope[]): Promise<void>
  /** Publishes a record as it is; its position and version are taken by it. Returns the position. */
  publishRaw(raw: { topic: TopicName; tenantId?: string; stream: string; value: string }): Promise<number>
  partitionOf(stream: string): number
  close(): Promise<void>
}

/** A log over topics that exist with `partitions` partitions each. */
export async function testLog(kafka: KafkaPort, prefix: string, partitions: number): Promise<EventLog> {
  const producer: KafkaProducer = await kafka.createProducer()
  const heads = new Map<string, number>()
  const versions = new Map<string, number>()
  const next = (counts: Map<string, number>, key: string): number => {
    const value = (counts.get(key) ?? 0) + 1
    counts.set(key, value)
    return value
  }
  const partitionOf = (stream: string) => createHash('md5').update(stream).digest().readUInt32BE(0) % partitions

  const number = (...events: NewEvent[]): EventEnvelope[] =>
    events.map(({ topic, tenantId = 'coffeechain', stream, type, schemaVersion = 1, data }) => {
      const partition = partitionOf(stream)
      return {
        eventId: randomUUID(),
        type,
        schemaVersion,
        tenantId,
        stream,
        streamVersion: next(versions, `${tenantId} ${stream}`),
        topic,
        partition,
        position: next(heads, `${topic} ${partition}`),
        recordedAt: new Date().toISOString(),
        data,
        metadata: { correlationId: 'test', causationId: null, actor: { kind: 'service', id: 'test' } },
      }
    })

  const message = (envelope: EventEnvelope): KafkaMessage => ({
    topic: prefix + envelope.topic,
    partition: envelope.partition,
    key: envelope.stream,
    value: JSON.stringify(envelope),
    headers: {
      position: String(envelope.position),
      'stream-version': String(envelope.streamVersion),
      tenant: envelope.tenantId,
      stream: envelope.stream,
      type: envelope.type,
    },
  })
  const publish = async (...envelopes: EventEnvelope[]) => {
    // One record batch per partition has a size limit.
    for (let start = 0; start < envelopes.length; start += 200)
      await producer.send(envelopes.slice(start, start + 200).map(message))
  }

  return {
    number,
    publish,
    partitionOf,
    append: async (...events) => {
      const envelopes = number(...events)
      await publish(...envelopes)
      return envelopes
    },
    publishRaw: async ({ topic, tenantId = 'coffeechain', stream, value }) => {
      const partition = partitionOf(stream)
      const position = next(heads, `${topic} ${partition}`)
      const version = String(next(versions, `${tenantId} ${stream}`))
      const belonging = { position: String(position), tenant: tenantId, stream, 'stream-version': version }
      const headers = { ...belonging, type: 'Unknown' }
      await producer.send([{ topic: prefix + topic, partition, key: stream, value, headers }])
      return position
    },
    close: () => producer.disconnect(),
  }
}
