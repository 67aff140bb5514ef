/** What Kafka holds at the end of each partition: where a new leader goes on. */
import { randomUUID } from 'node:crypto'
import type { KafkaPort, KafkaRecord, StartOffset } from '@portolan/infra/kafka.ts'

export interface Tail {
  topic: string
  partition: number
  /** Highest position found, and the id of its event. Position 0: the partition is empty. */
  position: number
  eventId: string
  /** A record whose position is higher than the number of records up to it: positions before it are missing. Null: none. */
  gapBefore: number | null
}

const READ_TIMEOUT_MS = 30_000
/**
 * A paused leader may send one stale batch after its successor's records, so the last record is not always the highest
 * position. Two such batches fit into what is looked at.
 */
const TAIL_RECORDS = 1001

/**
 * Reads the highest position of each partition. heads: the store's; names with the environment's prefix.
 * Where Kafka holds as many records as the store has events nothing was sent twice, and the last record is enough.
 * Rejects when a record is not one of the relay's, when Kafka takes longer than 30 s, or when `signal` ends the wait.
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
  const starts: StartOffset[] = []
  const unread = new Map<string, number>()
  const lows = new Map<string, number>()
  for (const topic of new Set(heads.map((head) => head.topic))) {
    for (const { partition, low, high } of await kafka.topicOffsets(topic)) {
      const head = heads.find((one) => one.topic === topic && one.partition === partition)
      if (!head || high === low) continue
      starts.push({ topic, partition, offset: high === head.position ? high - 1 : Math.max(low, high - TAIL_RECORDS) })
      unread.set(keyOf({ topic, partition }), high - 1)
      lows.set(keyOf({ topic, partition }), low)
    }
  }
  if (starts.length === 0) return tails

  const found = Promise.withResolvers<void>()
  const note = (record: KafkaRecord) => {
    const tail = tails.find((one) => keyOf(one) === keyOf(record))
    const position = Number(record.headers.position)
    if (!tail) return
    if (!Number.isSafeInteger(position) || !record.headers['event-id']) {
      found.reject(new Error(`Kafka's ${record.topic}/${record.partition} holds a record that no relay wrote`))
    }
    // Records may repeat, so there are at least as many as positions; with fewer some are missing.
    if (position > record.offset - (lows.get(keyOf(tail)) ?? 0) + 1) tail.gapBefore ??= position
    if (position >= tail.position) Object.assign(tail, { position, eventId: record.headers['event-id'] })
    if (record.offset >= (unread.get(keyOf(record)) ?? 0)) unread.delete(keyOf(record))
    if (unread.size === 0) found.resolve()
  }
  const groupId = `${groupPrefix}relay-tail.${randomUUID()}`
  const consumer = kafka.createConsumer({
    groupId,
    topics: [...new Set(starts.map(({ topic }) => topic))],
    // Partitions of other shards begin at their end.
    fromBeginning: false,
    onAssigned: async () => starts,
    eachBatch: async ({ records }) => records.forEach(note),
  })
  const timer = setTimeout(
    () => found.reject(new Error('Kafka did not give its last records in time')),
    READ_TIMEOUT_MS,
  )
  const abandon = () => found.reject(new Error('stopped while Kafka was read'))
  signal.addEventListener('abort', abandon)
  try {
    signal.throwIfAborted()
    void consumer.start()
    await found.promise
    return tails
  } finally {
    signal.removeEventListener('abort', abandon)
    clearTimeout(timer)
    await consumer.stop()
    await kafka.deleteGroups([groupId]).catch(() => undefined) // an empty group expires by itself
  }
}

const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
