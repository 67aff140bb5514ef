/** Seen failing: with records counted only, the marker stands while the last event is missing. */
import { generationMarker, ofGeneration } from '@portolan/infra/log-generation.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import type pg from 'pg'
import { announceGeneration } from './announce-generation.ts'

describe('a generation of the log', () => {
  let kafka: TestTopics

  beforeEach(() => {
    kafka = testTopics()
  })
  afterEach(() => kafka.drop())

  it('is announced when Kafka holds all of its start, not when it holds as many records', async () => {
    const names = { topicPrefix: kafka.prefix, generation: 2 }
    const topic = ofGeneration(names, topics.bookings)
    await kafka.create([`${topics.bookings}.g2`], 1)
    const producer = await kafka.kafka.createProducer()
    const send = (...positions: number[]) =>
      producer.send(
        positions.map((position) => ({
          topic,
          partition: 0,
          key: 'booking-1',
          value: '{}',
          headers: { position: String(position), 'event-id': `event-${position}` },
        })),
      )
    const client = { query: async () => ({ rows: [{ topic: topics.bookings, partition: 0, position: 3 }] }) }
    const announce = () =>
      announceGeneration(
        client as unknown as pg.ClientBase,
        kafka.kafka,
        { ...names, replicationFactor: 1 },
        AbortSignal.timeout(20_000),
      )
    const isMarked = async () => (await kafka.kafka.listTopics()).includes(generationMarker(names))

    await send(1, 2)
    expect(await announce()).to.equal(false)
    // As after a relay that died before it heard that these had arrived.
    await send(1, 2)
    expect(await announce()).to.equal(false)
    expect(await isMarked()).to.equal(false)
    // And the stale batch of a relay that was paused.
    await send(3)
    await send(1, 2)
    expect(await announce()).to.equal(true)
    expect(await isMarked()).to.equal(true)
    await producer.disconnect()
  }).timeout(40_000)
})
