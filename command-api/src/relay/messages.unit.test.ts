import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import { expect } from 'chai'
import { BATCH_BYTES_MAX, BATCH_EVENTS_MAX, cutBatch, toMessage } from './messages.ts'

const eventOf = (position: number, bytes = 10): EventEnvelope => ({
  eventId: '6a0e3e0e-3b1f-4b8e-9d53-6d3b7a8f6f01',
  type: 'Added',
  schemaVersion: 1,
  tenantId: 'harbour',
  stream: 'counter-1',
  streamVersion: position,
  topic: 'bookings.events.v1',
  partition: 3,
  position,
  recordedAt: '2026-11-21T10:00:00.000Z',
  data: { padding: 'x'.repeat(bytes) },
  metadata: { correlationId: 'c', causationId: null, actor: { kind: 'service', id: 'test' }, traceparent: 'trace' },
})
const messagesOf = (count: number, bytes?: number) =>
  Array.from({ length: count }, (_, n) => toMessage({ topicPrefix: 'test.', generation: 1 }, eventOf(n + 1, bytes)))

describe('a record', () => {
  it('goes to the prefixed topic, with the trace in its headers', () => {
    const [message] = messagesOf(1)
    expect(message).to.deep.include({ topic: 'test.bookings.events.v1', partition: 3, key: 'counter-1' })
    expect(message?.headers.traceparent).to.equal('trace')
  })

  it('of a later generation goes to a topic of its own', () => {
    const { topic } = toMessage({ topicPrefix: 'test.', generation: 2 }, eventOf(1))
    expect(topic).to.equal('test.bookings.events.v1.g2')
  })
})

describe('a batch', () => {
  it('holds everything that fits', () => {
    expect(cutBatch(messagesOf(20))).to.have.length(20)
    expect(cutBatch([])).to.have.length(0)
  })

  it('ends at the most events', () => {
    expect(cutBatch(messagesOf(BATCH_EVENTS_MAX + 1))).to.have.length(BATCH_EVENTS_MAX)
  })

  it('ends before the most bytes', () => {
    const batch = cutBatch(messagesOf(100, 10_000))
    const bytes = batch.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0)
    expect(bytes).to.be.within(BATCH_BYTES_MAX - 11_000, BATCH_BYTES_MAX)
  })

  it('holds one event however large', () => {
    expect(cutBatch(messagesOf(3, BATCH_BYTES_MAX))).to.have.length(1)
  })
})
