/**
 * Seen failing: with a survey of the newest generation only; with a search that ends at the first event that is known; without a bound on
 * what is recorded.
 */
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { type EventRow, toEnvelope } from '../event-store/read.ts'
import { added, contextOf, counterType, createStoreFixture } from '../event-store/store-fixture.ts'
import { TAIL_RECORDS } from './kafka-tail.ts'
import { BATCH_EVENTS_MAX, toMessage } from './messages.ts'
import { surveyLostEvents, TooMuchLost } from './survey.ts'

const topic = topics.bookings

describe('what a restored store lacks', function () {
  this.timeout(30_000)
  let fixture: Awaited<ReturnType<typeof createStoreFixture>>
  let store: Awaited<ReturnType<typeof fixture.open>>
  let kafka: TestTopics

  beforeEach(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open({ topics: [topic], partitions: 1 })
    kafka = testTopics()
  })
  afterEach(async () => {
    await fixture.close()
    await kafka.drop()
  })

  /** A log of that many events, in position order. */
  async function commit(count: number): Promise<EventRow[]> {
    for (let left = count; left > 0; left -= 400) {
      await store.handle({
        context: contextOf(),
        streams: { counter: { type: counterType, stream: `counter-${left}`, isNew: true } },
        decide: () => ({ events: { counter: Array.from({ length: Math.min(400, left) }, () => added()) } }),
      })
    }
    const { rows } = await fixture.admin.query<EventRow>('select * from read_log($1, $2, $3, $4, $5)', [
      [topic],
      [0],
      [0],
      count,
      1 << 30,
    ])
    expect(rows).to.have.length(count)
    return rows
  }

  async function sendToKafka(generation: number, rows: readonly EventRow[]): Promise<void> {
    const names = { topicPrefix: kafka.prefix, generation }
    await kafka.create([generation > 1 ? `${topic}.g${generation}` : topic], 1)
    const producer = await kafka.kafka.createProducer()
    for (let i = 0; i < rows.length; i += BATCH_EVENTS_MAX) {
      await producer.send(rows.slice(i, i + BATCH_EVENTS_MAX).map((row) => toMessage(names, toEnvelope(row))))
    }
    await producer.disconnect()
  }

  const goBackTo = (position: number) => fixture.admin.query('delete from events where position > $1', [position])

  async function survey({ newest = 1, lostEventsMax = 5000 } = {}): Promise<number> {
    const client = await store.pool.connect()
    try {
      const wanted = { topicPrefix: kafka.prefix, generation: 1, newest, lostEventsMax }
      return await surveyLostEvents(client, kafka.kafka, [{ topic, partition: 0 }], wanted, AbortSignal.timeout(20_000))
    } finally {
      client.release()
    }
  }

  const idsOf = (rows: readonly { event_id: string }[]) => rows.map(({ event_id }) => event_id)
  const listed = async () =>
    (await fixture.admin.query('select event_id, generation, position from lost_events order by position')).rows

  it('is found in an older generation too, when the newer one was never completed', async () => {
    const log = await commit(30)
    await sendToKafka(1, log)
    await sendToKafka(2, log.slice(0, 10))
    await goBackTo(20)
    expect(await survey({ newest: 2 })).to.equal(10)
    const lost = await listed()
    expect(idsOf(lost)).to.deep.equal(idsOf(log.slice(20)))
    expect(lost.map(({ generation }) => generation)).to.deep.equal(lost.map(() => 2))
    const { rows } = await fixture.admin.query('select generation, agreed_position::int from log_surveys')
    expect(rows).to.deep.equal([{ generation: 2, agreed_position: 20 }])
  })

  it('is found before a stale batch of what both know', async () => {
    const log = await commit(2101)
    // The last 1001 records begin with the stale batch.
    await sendToKafka(1, [...log.slice(0, 1500), ...log.slice(400, 800), ...log.slice(1500)])
    await goBackTo(900)
    expect(await survey()).to.equal(1201)
    expect(idsOf(await listed())).to.deep.equal(idsOf(log.slice(900)))
  })

  it('is not copied from Kafka without bound, as beside the wrong database', async () => {
    const log = await commit(2101)
    await sendToKafka(1, log)
    await goBackTo(1)
    for (const _ of [1, 2]) {
      const refusal = await survey({ lostEventsMax: 100 }).catch((error) => error)
      expect(refusal).to.be.instanceOf(TooMuchLost)
      expect(await listed())
        .to.have.length.above(100)
        .and.at.most(TAIL_RECORDS)
    }
    const { rows } = await fixture.admin.query('select from log_surveys')
    expect(rows).to.deep.equal([])
    await survey({ lostEventsMax: 2100 })
    expect(idsOf(await listed())).to.deep.equal(idsOf(log.slice(1)))
    expect(await survey({ lostEventsMax: 2100 }), 'again').to.equal(0)
  })
})
