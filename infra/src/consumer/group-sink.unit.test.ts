/**
 * The sink of consumers without a database, with lists and parks at moments a broker would hardly give us.
 *
 * Seen failing: with the list taken for the whole of what is parked (the follower is handled before its parked event); with
 * values kept as they came (Postgres refuses them, and the partition waits for ever).
 */
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import type { KafkaPort } from '../kafka.ts'
import { createRecordingLogger } from '../testing/recording-logger.ts'
import { createGroupSink, type ParkedEvent, type Parking } from './group-sink.ts'
import type { ConsumedEvent } from './record.ts'

type Streams = Awaited<ReturnType<Parking['list']>>

const topic = topics.bookings
const noKafka = { groupOffsets: async () => [], readLastOfEach: async () => [] } as unknown as KafkaPort

/** An event that nobody can read. */
const unreadable = (position: number, value = 'not JSON'): ConsumedEvent => ({
  topic,
  partition: 0,
  offset: position,
  position,
  tenantId: 'coffeechain',
  stream: 'a',
  type: 'unknown',
  streamVersion: position,
  value,
  envelope: null,
  unreadable: 'the value is not JSON',
})

describe('the sink of a consumer without a database', () => {
  let parked: ParkedEvent[]
  let answerList: (streams: Streams) => void

  beforeEach(() => {
    parked = []
  })
  const create = () => {
    const parking = {
      list: () => new Promise<Streams>((resolve) => (answerList = resolve)),
      park: async (events: readonly ParkedEvent[]) => {
        parked.push(...events)
        return []
      },
    } as unknown as Parking
    const options = { groupId: 'g', topicPrefix: '', whenLost: 'beginning' as const, handle: async () => {} }
    return createGroupSink({ kafka: noKafka, logger: createRecordingLogger(), parking }, options)
  }
  const apply = (sink: ReturnType<typeof create>, event: ConsumedEvent) => {
    const { position, offset } = event
    const [from, to] = [
      { position: position - 1, offset },
      { position, offset: offset + 1 },
    ]
    return sink.apply({ topic, partition: 0, from, to, events: [event] }, async () => {})
  }

  it('knows what it parked while another partition waited for the list', async () => {
    const sink = create()
    const loading = sink.load([{ topic, partition: 1 }], async () => {})
    await apply(sink, unreadable(1))
    answerList([])
    await loading
    await apply(sink, unreadable(2))
    expect(parked.map(({ streamVersion, reason }) => [streamVersion, reason])).to.deep.equal([
      [1, 'the value is not JSON'],
      [2, null],
    ])
  })

  it('parks an unreadable value as Postgres can keep it', async () => {
    await apply(create(), unreadable(1, `zero \0, half \uD83D, cut ${'x'.repeat(99_979)}\u{1F600}`))
    const kept = (parked[0]?.envelope as { unreadable: string } | undefined)?.unreadable
    expect(kept).to.match(/^zero \uFFFD, half \uFFFD, cut x+/)
    expect(kept?.isWellFormed()).to.equal(true)
  })
})
