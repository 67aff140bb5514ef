/**
 * Kafka as a bystander sees it, a process of its own beside B2's load: when the relay handed each booking's event to its producer and
 * when a consumer had it, and the yardstick, a round trip of one message of the same size through a topic of its own, twenty times a
 * second. Ends on SIGTERM with its observations as the last line.
 *
 *   node infra/bench/freshness-observer.ts '{"brokers": "127.0.0.1:27500", "topic": "bookings.events.v1"}'
 */
import { createKafka } from '@portolan/infra/kafka.ts'
import { createLogger } from '@portolan/infra/log.ts'

export interface ObserverOptions {
  brokers: string
  topic: string
}

export interface Observations {
  /** By event id: sent by the relay, had by a consumer; UTC ms. */
  events: Record<string, [sentAtMs: number, hadAtMs: number]>
  roundTripsMs: number[]
}

const ROUND_TRIP_TOPIC = 'bench.round-trip'
const ROUND_TRIP_EVERY_MS = 50
const MESSAGE_BYTES = 1_000
const nowMs = () => performance.timeOrigin + performance.now()

const { brokers, topic } = JSON.parse(process.argv[2] ?? '{}') as ObserverOptions
const logger = createLogger({ process: 'bench-observer', level: 'error' })
const kafka = createKafka({ brokers: [brokers], clientId: 'bench-observer' }, logger)
await kafka.createTopics([{ topic: ROUND_TRIP_TOPIC, partitions: 1 }])

const observations: Observations = { events: {}, roundTripsMs: [] }
const watching = kafka.createConsumer({
  groupId: 'bench-observer.events',
  topics: [topic],
  fromBeginning: false,
  concurrency: 4,
  eachBatch: async ({ records }) => {
    const hadAtMs = nowMs()
    for (const { headers, sentAtMs } of records) observations.events[headers['event-id'] ?? ''] = [sentAtMs, hadAtMs]
  },
})
const returning = kafka.createConsumer({
  groupId: 'bench-observer.round-trip',
  topics: [ROUND_TRIP_TOPIC],
  eachBatch: async ({ records }) => {
    const atMs = nowMs()
    for (const { key } of records) observations.roundTripsMs.push(atMs - Number(key))
  },
})
await Promise.all([watching.start(), returning.start()])
const producer = await kafka.createProducer()
const value = 'x'.repeat(MESSAGE_BYTES)
let isEnding = false

process.once('SIGTERM', () => {
  isEnding = true
})
process.stderr.write('· watching Kafka\n')
while (!isEnding) {
  const nextAtMs = nowMs() + ROUND_TRIP_EVERY_MS
  await producer.send([{ topic: ROUND_TRIP_TOPIC, partition: 0, key: String(nowMs()), value, headers: {} }])
  await new Promise((resolve) => setTimeout(resolve, nextAtMs - nowMs()))
}
await producer.disconnect()
await Promise.all([watching.stop(), returning.stop()])
await kafka.disconnect()
process.stdout.write(`${JSON.stringify(observations)}\n`)
