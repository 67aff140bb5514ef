/** The sink of consumers without a database, on a real broker. Parking is the port's own fake: command-api stands behind it in production. */
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { createLogger } from '../log.ts'
import { createMetrics } from '../telemetry.ts'
import { type EventLog, testLog } from '../testing/event-log.ts'
import { eventually } from '../testing/eventually.ts'
import { type TestTopics, testTopics } from '../testing/topics.ts'
import { consume, type RunningConsumer } from './consume.ts'
import { createGroupSink, type ParkedEvent, type Parking, type ReadableEvent } from './group-sink.ts'
import { startParkedRetries } from './retry-parked.ts'

const logger = createLogger({ process: 'test', level: process.env.LOG_LEVEL ?? 'none' })

describe('a consumer that keeps its progress in Kafka', () => {
  let kafkaTopics: TestTopics
  let log: EventLog
  let running: RunningConsumer[]
  let handled: string[]
  let parkedEvents: ParkedEvent[]
  let parking: Parking & { isAway: boolean; asked: Set<string> }

  beforeEach(async () => {
    kafkaTopics = testTopics()
    await kafkaTopics.create([topics.bookings], 2)
    log = await testLog(kafkaTopics.kafka, kafkaTopics.prefix, 2)
    running = []
    handled = []
    parkedEvents = []
    parking = {
      isAway: false,
      asked: new Set(),
      list: async () => parkedEvents,
      count: async () => ({ streams: parkedEvents.length, asked: parking.asked.size }),
      park: async (events) => {
        if (parking.isAway) throw new Error('command-api is away')
        const isParked = ({ stream, reason }: ParkedEvent) =>
          reason !== null || parkedEvents.some((known) => known.stream === stream)
        parkedEvents.push(...events.filter(isParked))
        return events.filter((event) => !isParked(event))
      },
      claim: async () => {
        const [stream] = parking.asked
        const events = parkedEvents.filter((event) => event.stream === stream)
        return stream === undefined ? null : { tenantId: 'coffeechain', stream, events }
      },
      settle: async ({ stream, handledUpTo }) => {
        parkedEvents = parkedEvents.filter((event) => event.stream !== stream || event.streamVersion > handledUpTo)
        parking.asked.delete(stream)
      },
    }
  })
  afterEach(async () => {
    await Promise.all(running.map((consumer) => consumer.stop()))
    await log.close()
    await kafkaTopics.drop()
  })

  const groupId = () => `${kafkaTopics.prefix}workers.dispatch`
  const start = async (whenLost: 'beginning' | 'end', onEvent: (event: ReadableEvent) => void = () => {}) => {
    const sink = createGroupSink(
      { kafka: kafkaTopics.kafka, logger, parking },
      {
        groupId: groupId(),
        topicPrefix: kafkaTopics.prefix,
        whenLost,
        handle: async (events) => {
          for (const event of events) onEvent(event)
          handled.push(...events.map(({ envelope }) => String((envelope.data as { n: number }).n)))
        },
      },
    )
    const consumer = consume(
      { kafka: kafkaTopics.kafka, logger, metrics: createMetrics('test') },
      {
        name: 'dispatch',
        groupId: groupId(),
        topics: [topics.bookings],
        topicPrefix: kafkaTopics.prefix,
        sink,
        retryDelaysMs: [20],
        waitDelaysMs: [50],
      },
    )
    running.push(consumer)
    await consumer.joined
    return consumer
  }
  const numbered = (stream: string, n: number) => ({ topic: topics.bookings, stream, type: 'Happened', data: { n } })
  const committed = async () =>
    Object.fromEntries(
      (await kafkaTopics.kafka.groupOffsets(groupId(), [kafkaTopics.prefix + topics.bookings])).map(
        ({ partition, offset, metadata }) => [partition, { offset, metadata }],
      ),
    )

  it('commits the offset with the log position after the effects, and goes on there', async () => {
    const partition = log.partitionOf('a')
    const first = await start('beginning')
    const envelopes = await log.append(numbered('a', 1), numbered('a', 2))
    await log.publish(...envelopes)
    await log.append(numbered('a', 3))
    await eventually(async () => expect((await committed())[partition]).to.deep.equal({ offset: 5, metadata: '3' }))
    await first.stop()
    await log.append(numbered('a', 4))
    await start('beginning')
    await eventually(() => expect(handled).to.deep.equal(['1', '2', '3', '4']))
  })

  it('starts at the end when its offset is lost and its work is derived again elsewhere', async () => {
    await log.append(numbered('a', 1), numbered('a', 2))
    const partition = log.partitionOf('a')
    const first = await start('end')
    await eventually(async () => expect((await committed())[partition]).to.deep.equal({ offset: 2, metadata: '2' }))
    await log.append(numbered('a', 3))
    await eventually(() => expect(handled).to.deep.equal(['3']))
    await first.stop()
  })

  it('starts at the beginning when its offset is lost and repeated effects are refused elsewhere', async () => {
    await log.append(numbered('a', 1), numbered('b', 2))
    await start('beginning')
    await eventually(() => expect([...handled].sort()).to.deep.equal(['1', '2']))
  })

  it('parks the stream of an event that cannot be handled, with its followers', async () => {
    await start('beginning', ({ envelope }) => {
      if ((envelope.data as { n: number }).n === 2) throw new TypeError('cannot handle 2')
    })
    await log.append(numbered('a', 1), numbered('a', 2), numbered('a', 3), numbered('b', 4), numbered('b', 5))
    await eventually(() => expect(new Set(handled)).to.deep.equal(new Set(['1', '4', '5'])))
    await eventually(() =>
      expect(parkedEvents.map(({ stream, streamVersion, reason }) => [stream, streamVersion, reason])).to.deep.equal([
        ['a', 2, 'cannot handle 2'],
        ['a', 3, null],
      ]),
    )
  })

  it('handles a parked stream in order when a retry is asked for, and what follows behind it', async () => {
    let isBroken = true
    const handler = ({ envelope }: ReadableEvent) => {
      if (isBroken && (envelope.data as { n: number }).n === 2) throw new TypeError('cannot handle 2')
    }
    await start('beginning', handler)
    const metrics = createMetrics('test')
    const handle = async (events: readonly ReadableEvent[]) => {
      for (const event of events) handler(event)
      handled.push(...events.map(({ envelope }) => String((envelope.data as { n: number }).n)))
    }
    const retries = startParkedRetries({ parking, logger, metrics }, { consumer: 'dispatch', everyMs: 20, handle })
    try {
      const parked = () => parkedEvents.map(({ streamVersion }) => streamVersion)
      await log.append(numbered('a', 1), numbered('a', 2), numbered('a', 3))
      await eventually(() => expect(parked()).to.deep.equal([2, 3]))
      await eventually(async () =>
        expect(await metrics.registry.metrics()).to.match(/portolan_parked_streams{consumer="dispatch".*} 2/),
      )
      parking.asked.add('a')
      await eventually(() => parking.asked.size === 0)
      expect(parked(), 'it failed again').to.deep.equal([2, 3])
      isBroken = false
      parking.asked.add('a')
      await eventually(() => expect(parked()).to.deep.equal([]))
      await log.append(numbered('a', 4))
      await eventually(() => expect(handled).to.deep.equal(['1', '2', '3', '4']))
    } finally {
      await retries.stop()
    }
  })

  it('parks an event that cannot be read in its place in the stream, before its followers', async () => {
    await start('beginning')
    await log.append(numbered('d', 1))
    expect(log.partitionOf('d')).to.equal(log.partitionOf('a'))
    const position = await log.publishRaw({ topic: topics.bookings, stream: 'a', value: 'not JSON' })
    const [follower] = await log.append(numbered('a', 2))
    expect(follower?.streamVersion, 'the same number, of another kind').to.equal(position)
    await eventually(() =>
      expect(parkedEvents.map(({ streamVersion, reason }) => [streamVersion, reason])).to.deep.equal([
        [1, 'the value is not JSON'],
        [2, null],
      ]),
    )
  })

  it('waits with its partition while a park cannot be recorded', async () => {
    parking.isAway = true
    await start('beginning', ({ envelope }) => {
      if ((envelope.data as { n: number }).n === 1) throw new TypeError('cannot handle 1')
    })
    const other = log.partitionOf('a') === log.partitionOf('b') ? 'c' : 'b'
    await log.append(numbered('a', 1), numbered('a', 2), numbered(other, 9))
    await eventually(() => expect(handled).to.include('9'))
    expect((await committed())[log.partitionOf('a')]?.offset ?? null).to.equal(null)
    parking.isAway = false
    await eventually(() => expect(parkedEvents.map(({ streamVersion }) => streamVersion)).to.deep.equal([1, 2]))
    await eventually(async () => expect((await committed())[log.partitionOf('a')]?.offset).to.equal(2))
  })

  it('retries without parking while what it needs is away', async () => {
    let failures = 3
    await start('beginning', () => {
      if (failures-- > 0) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    })
    await log.append(numbered('a', 1))
    await eventually(() => expect(handled).to.deep.equal(['1']))
    expect(parkedEvents).to.deep.equal([])
  })
})
