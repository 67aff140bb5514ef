/**
 * The relay's yardstick, a process of its own: the same records, read back from the relay's topic beforehand, handed to a
 * producer alone: acks=all, one request in flight, batches as the relay's (per partition 500 records or 512 kB).
 *
 *   node infra/bench/producer-yardstick.ts '{"brokers": …, "topic": "bookings.events.v1"}'
 */
import { createKafka, type KafkaMessage } from '@portolan/infra/kafka.ts'
import { createLogger } from '@portolan/infra/log.ts'

export interface YardstickOptions {
  brokers: string
  topic: string
}

export interface YardstickResult {
  recordsPerSecond: number
  bytesPerRecord: number
}

const BATCH_RECORDS = 500
const BATCH_BYTES = 512 << 10
const COPY = 'bench.copy'

const { brokers, topic } = JSON.parse(process.argv[2] ?? '{}') as YardstickOptions
const logger = createLogger({ process: 'producer-yardstick', level: 'error' })
const kafka = createKafka({ brokers: [brokers], clientId: 'producer-yardstick' }, logger)
const offsets = await kafka.topicOffsets(topic)
await kafka.createTopics([{ topic: COPY, partitions: offsets.length }])
const byPartition = await readAll()
const producer = await kafka.createProducer()
await sendAll(byPartition.map((messages) => messages.slice(0, 50))) // warms up
process.send?.('measuring')
const beganAt = performance.now()
await sendAll(byPartition)
const seconds = (performance.now() - beganAt) / 1000
const messages = byPartition.flat()
const bytes = messages.reduce((sum, { value }) => sum + value.length, 0)
await producer.disconnect()
await kafka.disconnect()
const result: YardstickResult = {
  recordsPerSecond: messages.length / seconds,
  bytesPerRecord: bytes / messages.length,
}
process.stdout.write(`${JSON.stringify(result)}\n`)

async function readAll(): Promise<KafkaMessage[][]> {
  const found: KafkaMessage[][] = offsets.map(() => [])
  let left = offsets.reduce((sum, { high }) => sum + high, 0)
  const done = Promise.withResolvers<void>()
  const consumer = kafka.createConsumer({
    groupId: 'producer-yardstick',
    topics: [topic],
    eachBatch: async ({ partition, records }) => {
      for (const { key, value, headers } of records)
        found[partition]?.push({ topic: COPY, partition, key: key ?? '', value: value ?? '', headers })
      left -= records.length
      if (left <= 0) done.resolve()
    },
  })
  await consumer.start()
  await done.promise
  await consumer.stop()
  return found
}

/** One batch of every partition at a time, the next ones when all are acknowledged. */
async function sendAll(partitions: readonly KafkaMessage[][]): Promise<void> {
  const at = partitions.map(() => 0)
  for (;;) {
    const round = partitions.flatMap((messages, partition) => {
      const batch = cut(messages, at[partition] ?? 0)
      at[partition] = (at[partition] ?? 0) + batch.length
      return batch
    })
    if (round.length === 0) return
    await producer.send(round)
  }
}

function cut(all: readonly KafkaMessage[], from: number): KafkaMessage[] {
  let bytes = 0
  let to = from
  while (to < all.length && to - from < BATCH_RECORDS) {
    bytes += all[to]?.value.length ?? 0
    if (bytes > BATCH_BYTES && to > from) break
    to += 1
  }
  return all.slice(from, to)
}
