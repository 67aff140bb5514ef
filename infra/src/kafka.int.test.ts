// Sabotage seen to fail: not making a new consumer after a crash that kafkajs calls final; not pausing partitions until `onAssigned`
// has answered.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { ConsumerOptions, KafkaConsumer, KafkaMessage, KafkaProducer } from './kafka.ts'
import { createKafka } from './kafka.ts'
import { eventually } from './testing/eventually.ts'
import { createRecordingLogger } from './testing/recording-logger.ts'
import { type TestTopics, testTopics } from './testing/topics.ts'

describe('Kafka', () => {
  const logger = createRecordingLogger()
  let topics: TestTopics
  let producer: KafkaProducer
  let topic: string
  let groups = 0
  const consumers: KafkaConsumer[] = []

  before(async () => {
    topics = testTopics(logger)
    producer = await topics.kafka.createProducer()
  })
  beforeEach(async () => {
    logger.lines.length = 0
    ;[topic = ''] = await topics.create([`topic-${groups++}`], 3)
  })
  afterEach(async () => {
    await Promise.all(consumers.splice(0).map((consumer) => consumer.stop()))
  })
  after(async () => {
    await producer.disconnect()
    await topics.drop()
  })

  const messages = (count: number, partition = 0): KafkaMessage[] =>
    Array.from({ length: count }, (_, index) => ({
      topic,
      partition,
      key: 'stream-1',
      value: `${index}`,
      headers: { position: `${index + 1}`, traceparent: 'ü' },
    }))
  /** Starts a consumer that notes the values it gets, in order. */
  const consume = (options: Partial<ConsumerOptions> = {}) => {
    const values: string[] = []
    const consumer = topics.kafka.createConsumer({
      groupId: `${topic}.group`,
      topics: [topic],
      eachBatch: async ({ records }) => {
        values.push(...records.map(({ value }) => String(value)))
      },
      ...options,
    })
    consumers.push(consumer)
    return { consumer, values, joined: consumer.start() }
  }
  const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, index) => `${from + index}`)

  it('keeps the order of a partition, with key and headers', async () => {
    await producer.send(messages(500, 2))
    const seen: unknown[] = []
    const { values } = consume({
      eachBatch: async ({ records, highWatermark, partition }) => {
        values.push(...records.map(({ value }) => String(value)))
        seen.push({ ...records[0], highWatermark, partition })
      },
    })
    await eventually(() => values.length === 500)
    expect(values).to.deep.equal(upTo(500))
    expect(seen[0]).to.deep.include({
      topic,
      partition: 2,
      offset: 0,
      key: 'stream-1',
      headers: { position: '1', traceparent: 'ü' },
      highWatermark: 500,
    })
  })

  it('starts partitions where their reader says, after the reader has said it', async () => {
    await producer.send([...messages(10, 0), ...messages(10, 1)])
    const { promise: known, resolve: tell } = Promise.withResolvers<void>()
    const assigned: number[] = []
    const { values, joined } = consume({
      onAssigned: async (partitions) => {
        assigned.push(...partitions.map(({ partition }) => partition))
        await known
        return [{ topic, partition: 0, offset: 7 }]
      },
    })
    await joined
    await eventually(() => assigned.length === 3)
    // Long enough for several fetches, had the partitions not been paused: another group reads them meanwhile.
    const other = consume({ groupId: `${topic}.other` })
    await eventually(() => other.values.length === 20)
    expect(values).to.deep.equal([])
    tell()
    await eventually(() => values.length === 13)
    expect([...values].sort()).to.deep.equal([...upTo(10, 7), ...upTo(10)].sort())
  })

  it('asks the reader again when it could not say', async () => {
    await producer.send(messages(5))
    let asked = 0
    const { values } = consume({
      onAssigned: async () => {
        if (++asked === 1) throw new Error('database away')
        return [{ topic, partition: 0, offset: 3 }]
      },
    })
    await eventually(() => values.length === 2)
    expect(values).to.deep.equal(['3', '4'])
  })

  it('keeps what a group committed, with its metadata, for the next member', async () => {
    await producer.send(messages(5))
    const first = consume()
    await eventually(() => first.values.length === 5)
    await first.consumer.commit([{ topic, partition: 0, offset: 4, metadata: 'position=4' }])
    await first.consumer.stop()
    const committed = await topics.kafka.groupOffsets(`${topic}.group`, [topic])
    expect(committed.find(({ partition }) => partition === 0)).to.deep.equal({
      topic,
      partition: 0,
      offset: 4,
      metadata: 'position=4',
    })
    expect(committed.find(({ partition }) => partition === 1)?.offset).to.equal(null)
    const next = consume()
    await eventually(() => next.values.length > 0)
    expect(next.values).to.deep.equal(['4'])
  })

  it('begins at the end only when told so', async () => {
    await producer.send(messages(3))
    const { consumer, values, joined } = consume({ fromBeginning: false })
    await joined
    // The group's start is fixed with its first fetch; until then a message could still count as old.
    await eventually(async () => {
      await producer.send(messages(1))
      return values.length > 0
    })
    expect(values).to.not.include('1')
    expect(consumer.assigned()).to.have.length(3)
  })

  it('lets a reader pause, seek and resume a partition', async () => {
    await producer.send(messages(4))
    const { consumer, values } = consume()
    await eventually(() => values.length === 4)
    consumer.pause({ topic, partition: 0 })
    await producer.send([...messages(1), ...messages(1, 1)])
    await eventually(() => values.length === 5)
    consumer.seek({ topic, partition: 0, offset: 2 })
    consumer.resume({ topic, partition: 0 })
    await eventually(() => values.length === 8)
    expect(values.slice(5)).to.deep.equal(['2', '3', '0'])
  })

  it('divides partitions among members and gives them back when one leaves', async () => {
    const first = consume()
    await first.joined
    const second = consume()
    await eventually(() => first.consumer.assigned().length + second.consumer.assigned().length === 3)
    await eventually(() => second.consumer.assigned().length > 0)
    await second.consumer.stop()
    expect(second.consumer.assigned()).to.deep.equal([])
    await eventually(() => first.consumer.assigned().length === 3)
  })

  // Seen failing: when only assignments with partitions were told.
  it('tells a reader that was left without partitions', async () => {
    const owned = new Map<number, number>()
    const join = (member: number) =>
      consume({
        onAssigned: async (partitions) => {
          owned.set(member, partitions.length)
          return []
        },
      })
    await join(0).joined
    for (const member of [1, 2, 3]) join(member)
    await eventually(() => expect([...owned.values()].sort()).to.deep.equal([0, 1, 1, 1]), { withinMs: 20_000 })
  })

  it('is consumed on after an error that kafkajs calls final', async () => {
    await producer.send(messages(3))
    let failures = 0
    const { values } = consume({
      eachBatch: async ({ records }) => {
        if (failures++ === 0) throw new TypeError('a bug that kafkajs does not retry')
        values.push(...records.map(({ value }) => String(value)))
      },
    })
    await eventually(() => values.length === 3)
    expect(
      logger.lines.some(({ message, fields }) => message === 'consumer crashed' && !fields.restartsItself),
    ).to.equal(true)
  })

  it('repeats a batch whose handling failed', async () => {
    await producer.send(messages(3))
    let failures = 0
    const { values } = consume({
      eachBatch: async ({ records }) => {
        if (failures++ < 2) throw new Error('try again')
        values.push(...records.map(({ value }) => String(value)))
      },
    })
    await eventually(() => values.length === 3)
    expect(values).to.deep.equal(upTo(3))
  })

  it('waits for topics that nobody has created yet', async () => {
    const late = `${topics.prefix}late`
    const { values } = consume({ topics: [late], groupId: `${late}.group` })
    // The client's own complaint about the missing topic.
    await eventually(() => logger.lines.some(({ message }) => message === 'kafka client'))
    await topics.create(['late'], 1)
    await producer.send([{ topic: late, partition: 0, key: 'k', value: 'at last', headers: {} }])
    await eventually(() => values.length === 1, { withinMs: 15_000 })
  })

  it('finishes the batch at hand when told to stop, and starts no other', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
    await producer.send(messages(1))
    const { consumer, values } = consume({
      eachBatch: async ({ records, isRunning }) => {
        begin()
        await mayEnd
        values.push(...records.map(({ value }) => `${value} ${isRunning()}`))
      },
    })
    await begun
    await producer.send(messages(1, 1))
    const stopped = consumer.stop()
    end()
    await stopped
    expect(values).to.deep.equal(['0 false'])
  })

  it('tells the last record of each partition', async () => {
    await producer.send([...messages(5, 0), ...messages(1, 2)])
    const wanted = [0, 1, 2].map((partition) => ({ topic, partition }))
    const [first, second, third] = await topics.kafka.readLastOfEach(wanted)
    expect(first).to.deep.include({ partition: 0, offset: 4 })
    expect(first?.headers.position).to.equal('5')
    expect(second).to.equal(null)
    expect(third).to.deep.include({ partition: 2, offset: 0 })
    expect(await topics.kafka.topicOffsets(topic)).to.deep.equal([
      { partition: 0, low: 0, high: 5 },
      { partition: 1, low: 0, high: 0 },
      { partition: 2, low: 0, high: 1 },
    ])
  })

  it('leaves no group behind when the last records were read', async () => {
    await producer.send(messages(1))
    await topics.kafka.readLastOfEach([{ topic, partition: 0 }])
    expect((await topics.kafka.listGroups()).filter((group) => group.includes('read-last'))).to.deep.equal([])
  })

  // Seen failing: with kafkajs's own retries, after which the message stood in the new topic.
  it('is sent nothing any more once a batch was refused, whatever is made in its topic’s place', async () => {
    const sender = await topics.kafka.createProducer()
    try {
      await sender.send(messages(1))
      await topics.kafka.deleteTopics([topic])
      await eventually(async () => !(await topics.kafka.listTopics()).includes(topic))
      const refused = sender.send(messages(1)).catch((error: unknown) => error)
      // The topic comes back while somebody who goes on trying would still do so.
      await Promise.race([refused, sleep(1000)])
      await topics.kafka.createTopics([{ topic, partitions: 3 }])
      expect(await refused).to.be.instanceOf(Error)
      await eventually(async () => (await topics.kafka.topicOffsets(topic)).length === 3)
      expect((await topics.kafka.topicOffsets(topic)).map(({ high }) => high)).to.deep.equal([0, 0, 0])
    } finally {
      await sender.disconnect()
    }
  })

  it('creates topics with their settings and leaves existing ones alone', async () => {
    const config = { 'retention.ms': '-1', 'cleanup.policy': 'delete' }
    const name = `${topics.prefix}settings`
    await topics.kafka.createTopics([{ topic: name, partitions: 2, config }])
    await topics.kafka.createTopics([{ topic: name, partitions: 4, config: { 'retention.ms': '1' } }])
    expect(await topics.kafka.describeTopic(name)).to.deep.include({ topic: name, partitions: 2, replicationFactor: 1 })
    expect((await topics.kafka.describeTopic(name))?.config).to.include(config)
    expect(await topics.kafka.describeTopic(`${topics.prefix}nothing`)).to.equal(null)
  })

  it('that is away is an error for a producer, and something a consumer waits and can stop for', async () => {
    const away = createKafka({ brokers: ['127.0.0.1:1'], clientId: 'nobody' }, logger)
    const consumer = away.createConsumer({ groupId: 'g', topics: ['t'], eachBatch: async () => {} })
    const started = consumer.start()
    await consumer.stop()
    await started
    expect(await away.createProducer().catch((error) => error)).to.be.instanceOf(Error)
    await away.disconnect()
  })
})
