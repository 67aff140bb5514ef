/**
 * The relay on a real Kafka.
 *
 * Seen failing: with a batch counted as sent before it is acknowledged; with a leader that does not ask for the lock; with the
 * check for holes in the store left out; with what woke it during a batch forgotten behind it.
 */
import type { KafkaPort, KafkaRecord } from '@portolan/infra/kafka.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { eventEnvelopeSchema } from '@portolan/schemas/envelope.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { added, contextOf, counterType, createStoreFixture } from './event-store/store-fixture.ts'
import { readTails } from './relay/kafka-tail.ts'
import { createRelayMetrics } from './relay/metrics.ts'
import { startShard } from './relay/shard.ts'
import { takeOver } from './relay/take-over.ts'
import { relayConfigSchema, start } from './relay.ts'

type Fixture = Awaited<ReturnType<typeof createStoreFixture>>

const until = async (isTrue: () => unknown, what: string, withinMs = 20_000) => {
  const deadline = Date.now() + withinMs
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

describe('the relay', () => {
  let fixture: Fixture
  let store: Awaited<ReturnType<Fixture['open']>>
  let kafka: TestTopics
  let relays: Awaited<ReturnType<typeof start>>[] = []
  let nextId = 0

  beforeEach(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open({ topics: [topics.bookings], partitions: 3 })
    kafka = testTopics()
  })
  afterEach(async () => {
    for (const relay of relays) await relay.stop()
    relays = []
    await fixture.close()
    await kafka.drop()
  })

  const startRelay = async (shards = 1) => {
    const config = relayConfigSchema.parse({
      logLevel: 'error',
      httpHost: '127.0.0.1',
      port: 0,
      writeDatabaseUrl: fixture.database.url,
      kafkaBrokers: kafka.brokers.join(','),
      kafkaTopicPrefix: kafka.prefix,
      pollMs: 100,
      leaseMs: 1000,
      shards,
    })
    const relay = await start(config, { logger: silent })
    relays.push(relay)
    return relay
  }
  const commit = (events: number, streams = 1) =>
    Promise.all(
      Array.from({ length: streams }, () =>
        store.handle({
          context: contextOf(),
          streams: { counter: { type: counterType, stream: `counter-${++nextId}`, isNew: true } },
          decide: () => ({ events: { counter: Array.from({ length: events }, () => added()) } }),
        }),
      ),
    )
  const heads = async (): Promise<number[]> =>
    (await fixture.admin.query('select position from log_heads order by partition')).rows.map((row) => row.position)
  const partOf = async (url: string, part: 'log' | 'connections') => {
    const answer = (await (await fetch(`${url}/health/ready`)).json()) as { parts: Record<string, boolean> }
    return answer.parts[part]
  }
  const topicName = () => `${kafka.prefix}${topics.bookings}`
  const sentCount = async () => {
    const offsets = await kafka.kafka.topicOffsets(topicName()).catch(() => [])
    return offsets.reduce((sum, { high }) => sum + high, 0)
  }
  const createEmpty = () => {
    const config = { 'retention.ms': '-1', 'retention.bytes': '-1', 'cleanup.policy': 'delete' }
    return kafka.kafka.createTopics([{ topic: topicName(), partitions: 3, config }])
  }
  const isVerified = async () =>
    (await fixture.admin.query('select from log_verifications where incarnation = log_incarnation()')).rowCount === 3

  /** Everything Kafka holds, by partition in offset order, once it is at least `count` records. */
  async function readAll(count: number): Promise<KafkaRecord[][]> {
    const found: KafkaRecord[][] = [[], [], []]
    const consumer = kafka.kafka.createConsumer({
      groupId: `${kafka.prefix}reader-${++nextId}`,
      topics: [topicName()],
      eachBatch: async ({ partition, records }) => {
        found[partition]?.push(...records)
      },
    })
    await consumer.start()
    await until(() => found.flat().length >= count, `${count} records in Kafka`)
    await consumer.stop()
    return found
  }
  const positionsOf = (records: readonly KafkaRecord[]) => records.map(({ headers }) => Number(headers.position))
  const upTo = (head: number) => Array.from({ length: head }, (_, index) => index + 1)

  it('creates the topics as recorded and sends every committed event once, in position order', async () => {
    await commit(2, 20)
    await startRelay()
    await commit(1, 20)
    const found = await readAll(60)
    expect(found.map(positionsOf)).to.deep.equal((await heads()).map(upTo))
    const description = await kafka.kafka.describeTopic(topicName())
    expect(description).to.include({ partitions: 3 })
    expect(description?.config).to.include({ 'retention.ms': '-1', 'cleanup.policy': 'delete' })
    expect(await isVerified()).to.equal(true)
  })

  it('sends an envelope as value and says the same in headers', async () => {
    await startRelay()
    await commit(1)
    const [record] = (await readAll(1)).flat()
    const envelope = eventEnvelopeSchema.parse(JSON.parse(record?.value?.toString() ?? ''))
    expect(envelope).to.deep.include({
      topic: topics.bookings,
      tenantId: 'harbour',
      type: 'Added',
      data: { amount: 1 },
    })
    expect(record?.key).to.equal(envelope.stream)
    expect(record?.headers).to.deep.equal({
      'event-id': envelope.eventId,
      type: 'Added',
      version: '1',
      tenant: 'harbour',
      stream: envelope.stream,
      'stream-version': '1',
      position: String(envelope.position),
      'correlation-id': envelope.metadata.correlationId,
    })
  })

  it('hears of a commit at once, not only when it looks', async () => {
    const relay = await startRelay()
    await until(isVerified, 'leadership')
    const delays: number[] = []
    for (let round = 0; round < 10; round++) {
      const before = await sentCount()
      const startedAt = performance.now()
      await commit(1)
      await until(async () => (await sentCount()) > before, 'the event in Kafka')
      delays.push(performance.now() - startedAt)
    }
    expect(delays.sort((a, b) => a - b)[5]).to.be.lessThan(80)
    expect(await partOf(relay.url, 'connections')).to.equal(true)
  })

  it('cuts what is too much for one record batch', async () => {
    const instant = '2026-01-01T00:00:00.000Z'
    const large = Array.from({ length: 600 }, (_, n) => ({
      type: 'StepRequested' as const,
      data: { step: `step-${n}`, attempt: 1, dueAt: instant, deadline: instant, input: { padding: 'x'.repeat(3000) } },
    }))
    await store.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream: 'counter-large', isNew: true } },
      decide: () => ({ events: { counter: large } }),
    })
    await startRelay()
    // Nobody wants these steps, so each is withdrawn by an event of its own.
    const found = await readAll(1200)
    expect(found.map(positionsOf)).to.deep.equal((await heads()).map(upTo))
  })

  it('is led by one of two, and by the other once the leader lost its connection', async () => {
    await startRelay()
    await startRelay()
    await commit(1, 10)
    await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
    const { rowCount } = await fixture.admin.query(`
      select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and classid = 1919249505 and database = (select oid from pg_database where datname = current_database())`)
    expect(rowCount).to.equal(1)
    await commit(1, 10)
    const found = await readAll(20)
    for (const [partition, head] of (await heads()).entries()) {
      expect(firstSeen(positionsOf(found[partition] ?? []))).to.deep.equal(upTo(head))
    }
  })
  const firstSeen = (positions: readonly number[]) => [...new Set(positions)]

  it('sends nothing behind a batch that was not acknowledged', async () => {
    const pool = createPool({ url: fixture.database.url, max: 1, name: 'relay-test', pipeline: true }, silent)
    const lost = Promise.withResolvers<void>()
    const losing = losesBatch(2, kafka.kafka, lost.resolve)
    const metrics = createRelayMetrics(createMetrics('relay-test'))
    const timing = { pollMs: 50, leaseMs: 1000 }
    const options = {
      shard: 0,
      shards: 1,
      ...timing,
      replicationFactor: -1,
      topicPrefix: kafka.prefix,
      lostEventsMax: 1,
    }
    const shard = startShard({ pool, openKafka: () => losing, logger: silent, metrics }, options)
    try {
      await until(isVerified, 'leadership')
      await commit(1)
      await until(async () => (await sentCount()) === 1, 'the first event in Kafka')
      await commit(1, 9)
      await lost.promise
      await commit(1, 9)
      const found = await readAll(19)
      for (const [partition, head] of (await heads()).entries()) {
        expect(firstSeen(positionsOf(found[partition] ?? []))).to.deep.equal(upTo(head))
      }
    } finally {
      await shard.stop()
      await pool.end()
    }
  })

  it('hears of a commit that came while a batch was under way', async () => {
    const pool = createPool({ url: fixture.database.url, max: 1, name: 'relay-test', pipeline: true }, silent)
    const sending = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const holding = holdsBatch(1, kafka.kafka, sending.resolve, release.promise)
    const metrics = createRelayMetrics(createMetrics('relay-test'))
    // It would look by itself only long after this test.
    const timing = { pollMs: 60_000, leaseMs: 3000 }
    const options = {
      shard: 0,
      shards: 1,
      ...timing,
      replicationFactor: -1,
      topicPrefix: kafka.prefix,
      lostEventsMax: 1,
    }
    const shard = startShard({ pool, openKafka: () => holding, logger: silent, metrics }, options)
    const listener = await fixture.admin.connect()
    try {
      await until(isVerified, 'leadership')
      await commit(1)
      await sending.promise
      let told = 0
      listener.on('notification', () => {
        told += 1
      })
      await listener.query('listen portolan_commits')
      await commit(1)
      await until(async () => told > 0, 'the word of the second commit')
      release.resolve()
      await until(async () => (await sentCount()) === 2, 'both events in Kafka')
    } finally {
      release.resolve()
      listener.release(true)
      await shard.stop()
      await pool.end()
    }
  })

  it('resends everything when Kafka is empty, also when that happens while it leads', async () => {
    await startRelay()
    await commit(1, 10)
    await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
    await kafka.kafka.deleteTopics([topicName()])
    await commit(1, 5)
    const found = await readAll(15)
    for (const [partition, head] of (await heads()).entries()) {
      expect(firstSeen(positionsOf(found[partition] ?? []))).to.deep.equal(upTo(head))
    }
  }).timeout(40_000)

  it('leaves no gap when a topic is deleted while two shards send to it', async () => {
    await startRelay(2)
    await commit(1, 20)
    await until(async () => (await sentCount()) === 20, 'twenty events in Kafka')
    await kafka.kafka.deleteTopics([topicName()])
    const deadline = Date.now() + 5000
    while (Date.now() < deadline) {
      await commit(1, 3)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const events = (await heads()).reduce((sum, head) => sum + head, 0)
    await until(async () => (await sentCount()) >= events, 'the whole log in Kafka')
    const found = await readAll(events)
    for (const [partition, head] of (await heads()).entries()) {
      expect(firstSeen(positionsOf(found[partition] ?? []))).to.deep.equal(upTo(head))
    }
  }).timeout(60_000)

  it('creates no topic that another shard still believes in', async () => {
    const one = await store.pool.connect()
    const other = await store.pool.connect()
    const take = async (client: typeof one, partition: number) =>
      takeOver(
        client,
        kafka.kafka,
        [{ topic: topics.bookings, partition, position: 0 }],
        { topicPrefix: kafka.prefix, generation: 1, replicationFactor: 1 },
        new AbortController().signal,
      )
    try {
      // A new topic has no leader for a moment.
      await until(async () => (await take(one, 0).catch(() => [])).length > 0, 'the topic')
      await kafka.kafka.deleteTopics([topicName()])
      await until(async () => (await kafka.kafka.describeTopic(topicName())) === null, 'the deletion')
      const refusal = await take(other, 1).catch((error: Error) => error.message)
      expect(refusal).to.match(/another shard still sends to it/)
      expect(await kafka.kafka.describeTopic(topicName())).to.equal(null)
      await one.query('select pg_advisory_unlock_all()')
      await until(async () => (await take(other, 1).catch(() => [])).length > 0, 'the new topic')
    } finally {
      one.release(true)
      other.release(true)
    }
  })

  it('raises the alarm when somebody puts an empty topic under it, and sends everything again once that is deleted', async () => {
    const relay = await startRelay()
    await commit(1, 10)
    await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
    await kafka.kafka.deleteTopics([topicName()])
    await createEmpty()
    await commit(1, 10)
    const isRefused = async () => (await partOf(relay.url, 'log')) === false
    const isWhole = async () => (await sentCount()) >= 20
    await until(async () => (await isRefused()) || (await isWhole()), 'an alarm, or the whole log in Kafka')
    if (await isRefused()) await kafka.kafka.deleteTopics([topicName()])
    const found = await readAll(20)
    for (const [partition, head] of (await heads()).entries()) {
      expect(firstSeen(positionsOf(found[partition] ?? []))).to.deep.equal(upTo(head))
    }
    await until(async () => (await partOf(relay.url, 'log')) === true, 'readiness')
  }).timeout(60_000)

  it('stops without waiting while Kafka does not give its last records', async () => {
    await startRelay()
    await commit(1, 10)
    await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
    const controller = new AbortController()
    const positions = (await heads()).map((position, partition) => ({ topic: topicName(), partition, position }))
    const createConsumer = () => {
      queueMicrotask(() => controller.abort())
      return deafConsumer
    }
    const reading = readTails({ ...kafka.kafka, createConsumer }, kafka.prefix, positions, controller.signal)
    expect(await reading.catch((error: Error) => error.message)).to.match(/stopped/)
  })

  describe('refuses to send, and claims are refused', () => {
    const sendForeign = async (position: number, partition: number) => {
      const producer = await kafka.kafka.createProducer()
      const headers = { position: String(position), 'event-id': 'f0f0f0f0-0000-4000-8000-000000000000' }
      await producer.send([{ topic: topicName(), partition, key: 'x', value: '{}', headers }])
      await producer.disconnect()
    }
    const stopRelays = async () => {
      for (const relay of relays) await relay.stop()
      relays = []
    }
    const expectRefusal = async () => {
      const relay = await startRelay()
      const before = await sentCount()
      await until(async () => (await partOf(relay.url, 'log')) === false, 'the alarm')
      await commit(1)
      expect(await sentCount()).to.equal(before)
      expect(await isVerified()).to.equal(false)
    }
    const forgetVerification = () => fixture.admin.query('delete from log_verifications')

    it('when Kafka holds a position that the store does not know', async () => {
      await startRelay()
      await commit(1, 10)
      await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
      await stopRelays()
      await sendForeign(((await heads())[1] ?? 0) + 1, 1)
      await forgetVerification()
      await expectRefusal()
    })

    it('when Kafka holds another event at a position that the store knows', async () => {
      await startRelay()
      await commit(1, 10)
      await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
      await stopRelays()
      await sendForeign((await heads())[1] ?? 0, 1)
      await forgetVerification()
      await expectRefusal()
    })

    it('when a stale batch stands behind a position that the store does not know', async () => {
      await startRelay()
      await commit(1, 10)
      await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
      await stopRelays()
      await sendForeign(((await heads())[1] ?? 0) + 1, 1)
      const last = (await readAll(11))[1]?.[0]
      if (!last?.value) return expect.fail('no record')
      const producer = await kafka.kafka.createProducer()
      await producer.send([{ ...last, topic: topicName(), key: 'x', value: last.value }])
      await producer.disconnect()
      await forgetVerification()
      await expectRefusal()
    })

    it('when events are missing in Kafka before the last one', async () => {
      await startRelay()
      await commit(1, 20)
      await until(async () => (await sentCount()) === 20, 'twenty events in Kafka')
      await stopRelays()
      const last = (await readAll(20)).map((records) => records.at(-1))
      await kafka.kafka.deleteTopics([topicName()])
      await createEmpty()
      const producer = await kafka.kafka.createProducer()
      for (const record of last) {
        if (record?.value) await producer.send([{ ...record, key: 'x', value: record.value }])
      }
      await producer.disconnect()
      await forgetVerification()
      await expectRefusal()
    })

    it('when the topic has another number of partitions than the log', async () => {
      await kafka.create([topics.bookings], 5)
      await expectRefusal()
    })

    it('when the topic would lose events', async () => {
      await kafka.kafka.createTopics([{ topic: topicName(), partitions: 3, config: { 'retention.ms': '604800000' } }])
      await expectRefusal()
    })

    for (const [which, hole] of [
      ['its first event', '= 1'],
      ['every event of a partition', '> 0'],
    ]) {
      it(`when the store lacks ${which}`, async () => {
        await commit(1, 20)
        await fixture.admin.query(`delete from events where partition = 1 and position ${hole}`)
        const relay = await startRelay()
        await until(async () => (await partOf(relay.url, 'log')) === false, 'the alarm')
        const offsets = await kafka.kafka.topicOffsets(topicName())
        expect(offsets.find(({ partition }) => partition === 1)).to.include({ high: 0 })
      })
    }

    it('when the store went back while it led', async () => {
      const relay = await startRelay()
      await commit(1, 10)
      await until(async () => (await sentCount()) === 10, 'ten events in Kafka')
      await fixture.admin.query(
        'update log_heads set position = position - 1 where partition = (select min(partition) from log_heads where position > 0)',
      )
      await until(async () => (await partOf(relay.url, 'log')) === false, 'the alarm')
    })
  })
}).timeout(30_000)

/** Never gives a record. */
const deafConsumer = {
  start: async () => {},
  stop: async () => {},
  assigned: () => [],
  pause: () => {},
  resume: () => {},
  seek: () => {},
  commit: async () => {},
}

/** A port whose `nth` batch, over all its producers, is sent only when it is released. */
function holdsBatch(nth: number, port: KafkaPort, onHeld: () => void, released: Promise<void>): KafkaPort {
  let batches = 0
  return {
    ...port,
    disconnect: async () => {}, // it is the test's
    createProducer: async () => {
      const producer = await port.createProducer()
      return {
        ...producer,
        async send(messages) {
          batches += 1
          if (batches === nth) {
            onHeld()
            await released
          }
          return producer.send(messages)
        },
      }
    },
  }
}

/** A port whose `nth` batch, over all its producers, never reaches Kafka; the producer says so a while later. */
function losesBatch(nth: number, port: KafkaPort, onLost: () => void): KafkaPort {
  let batches = 0
  return {
    ...port,
    disconnect: async () => {}, // it is the test's
    createProducer: async () => {
      const producer = await port.createProducer()
      return {
        ...producer,
        async send(messages) {
          batches += 1
          if (batches !== nth) return producer.send(messages)
          onLost()
          await new Promise((resolve) => setTimeout(resolve, 300))
          throw new Error('not acknowledged')
        },
      }
    },
  }
}

const silent = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
}
