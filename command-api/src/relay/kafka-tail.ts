/** What Kafka holds at the end of each partition: where a new leader goes on. */
import { randomUUID } from 'node:crypto'
import type { KafkaPort, KafkaRecord, TopicPartition } from '@portolan/infra/kafka.ts'

export interface Tail {
  topic: string
  partition: number
  /** Highest position found, and the id of its event. Position 0: the partition is empty. */
  position: number
  eventId: string
  /** A record whose position is higher than the number of records up to it: positions before it are missing. Null: none. */
  gapBefore: number | null
}

/** Longest silence of Kafka while it is read. */
const READ_TIMEOUT_MS = 30_000
/**
 * A paused leader may send one stale batch after its successor's records, so the last record is not always the highest
 * position. Two such batches fit into what is looked at.
 */
export const TAIL_RECORDS = 1001

/**
 * Reads the highest position of each partition. heads: the store's; names as in Kafka.
 * Where Kafka holds as many records as the store has events nothing was sent twice, and the last record is enough.
 * Rejects when a record is not one of the relay's, when Kafka is silent for 30 s, or when `signal` ends the wait.
 */
export async function readTails(
  kafka: KafkaPort,
  groupPrefix: string,
  heads: readonly { topic: string; partition: number; position: number }[],
  signal: AbortSignal,
): Promise<Tail[]> {
  const tails = heads.map(
    ({ topic, partition }): Tail => ({ topic, partition, position: 0, eventId: '', gapBefore: null }),
  )
  const ranges: OffsetRange[] = []
  const lows = new Map<string, number>()
  for (const topic of new Set(heads.map((head) => head.topic))) {
    for (const { partition, low, high } of await kafka.topicOffsets(topic)) {
      const head = heads.find((one) => one.topic === topic && one.partition === partition)
      if (!head || high === low) continue
      const from = high === head.position ? high - 1 : Math.max(low, high - TAIL_RECORDS)
      ranges.push({ topic, partition, from, to: high })
      lows.set(keyOf({ topic, partition }), low)
    }
  }
  await readRanges({ kafka, groupPrefix, signal }, ranges, async (records) => {
    for (const record of records) {
      const tail = tails.find((one) => keyOf(one) === keyOf(record))
      if (!tail) continue
      const { position, eventId } = placeOf(record)
      // Records may repeat, so there are at least as many as positions; with fewer some are missing.
      if (position > record.offset - (lows.get(keyOf(tail)) ?? 0) + 1) tail.gapBefore ??= position
      if (position >= tail.position) Object.assign(tail, { position, eventId })
    }
  })
  return tails
}

/** Where an event stands and which it is, by its record's headers. Throws for a record that is not one of the relay's. */
export function placeOf({ topic, partition, headers }: KafkaRecord): { position: number; eventId: string } {
  const position = Number(headers.position)
  const eventId = headers['event-id']
  if (!Number.isSafeInteger(position) || !eventId) {
    throw new Error(`Kafka's ${topic}/${partition} holds a record that no relay wrote`)
  }
  return { position, eventId }
}

/** Records from offset `from` up to and without `to`, of which there is at least one. */
export interface OffsetRange extends TopicPartition {
  from: number
  to: number
}

/**
 * Reads ranges of several partitions through a group of its own, each in offset order, a batch at a time.
 * Rejects with what `take` throws, when Kafka is silent for 30 s, or when `signal` ends the wait.
 */
export async function readRanges(
  { kafka, groupPrefix, signal }: { kafka: KafkaPort; groupPrefix: string; signal: AbortSignal },
  ranges: readonly OffsetRange[],
  take: (records: readonly KafkaRecord[]) => Promise<void>,
): Promise<void> {
  if (ranges.length === 0) return
  const unread = new Map(ranges.map((range) => [keyOf(range), range.to]))
  const done = Promise.withResolvers<void>()
  const groupId = `${groupPrefix}relay-tail.${randomUUID()}`
  const giveUp = () => done.reject(new Error('Kafka did not give its last records in time'))
  let timer = setTimeout(giveUp, READ_TIMEOUT_MS)
  const consumer = kafka.createConsumer({
    groupId,
    topics: [...new Set(ranges.map(({ topic }) => topic))],
    // Partitions of other shards begin at their end.
    fromBeginning: false,
    onAssigned: async () => ranges.map(({ topic, partition, from }) => ({ topic, partition, offset: from })),
    eachBatch: async (batch) => {
      const to = unread.get(keyOf(batch))
      if (to === undefined) return
      clearTimeout(timer)
      timer = setTimeout(giveUp, READ_TIMEOUT_MS)
      try {
        await take(batch.records.filter(({ offset }) => offset < to))
      } catch (error) {
        done.reject(error)
      }
      if ((batch.records.at(-1)?.offset ?? 0) >= to - 1) unread.delete(keyOf(batch))
      if (unread.size === 0) done.resolve()
    },
  })
  const abandon = () => done.reject(new Error('stopped while Kafka was read'))
  signal.addEventListener('abort', abandon)
  try {
    signal.throwIfAborted()
    void consumer.start()
    await done.promise
  } finally {
    signal.removeEventListener('abort', abandon)
    clearTimeout(timer)
    await consumer.stop()
    await kafka.deleteGroups([groupId]).catch(() => undefined) // an empty group expires by itself
  }
}

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`
