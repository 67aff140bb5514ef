/** The log as it stands in Kafka. */
import { randomUUID } from 'node:crypto'
import { createKafka } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { Evidence } from '../evidence.ts'
import type { LogRecord } from './world.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent }
const readWithinMs = 60_000

/** Every record of the topics of this generation, from the beginning to the end of now, values as text. */
export async function readRecords(
  { brokers, topicPrefix }: Evidence['kafka'],
  generation: number,
): Promise<(LogRecord & { text: string })[]> {
  const kafka = createKafka({ brokers, clientId: `${topicPrefix}judge` }, silent)
  const names = topicNames(topicPrefix, generation)
  const records: (LogRecord & { text: string })[] = []
  try {
    // A broker that came back a moment ago may not lead every partition yet.
    const counts = await eventually(() => countRecords(kafka, names), { withinMs: readWithinMs })
    const expected = counts.reduce((total, { count }) => total + count, 0)
    if (expected === 0) return []
    const consumer = kafka.createConsumer({
      groupId: `${topicPrefix}judge-${randomUUID()}`,
      topics: [...new Set(counts.map(({ name }) => name))],
      onAssigned: async (assigned) => assigned.map((partition) => ({ ...partition, offset: 0 })),
      eachBatch: async (batch) => {
        for (const { topic, partition, offset, headers, value } of batch.records) {
          records.push({
            topic: names.get(topic) ?? topic,
            partition,
            offset,
            position: Number(headers.position),
            eventId: headers['event-id'] ?? '',
            tenantId: headers.tenant ?? '',
            stream: headers.stream ?? '',
            streamVersion: Number(headers['stream-version']),
            text: `${JSON.stringify(headers)} ${value?.toString('utf8')}`,
          })
        }
      },
    })
    try {
      await consumer.start()
      await eventually(() => records.length >= expected, { withinMs: readWithinMs, everyMs: 100 })
    } finally {
      await consumer.stop()
    }
  } finally {
    await kafka.disconnect()
  }
  return records.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition || a.offset - b.offset)
}

/** How many records each partition of this generation holds, by `<topic>/<partition>`. Rejects when Kafka is away. */
export async function readCounts(
  { brokers, topicPrefix }: Evidence['kafka'],
  generation: number,
): Promise<Map<string, number>> {
  const kafka = createKafka({ brokers, clientId: `${topicPrefix}judge` }, silent)
  try {
    const names = topicNames(topicPrefix, generation)
    const counts = await countRecords(kafka, names)
    return new Map(counts.map(({ name, partition, count }) => [`${names.get(name)}/${partition}`, count]))
  } finally {
    await kafka.disconnect()
  }
}

async function countRecords(kafka: ReturnType<typeof createKafka>, names: ReadonlyMap<string, string>) {
  const counts: { name: string; partition: number; count: number }[] = []
  for (const name of (await kafka.listTopics()).filter((one) => names.has(one)))
    for (const { partition, low, high } of await kafka.topicOffsets(name))
      counts.push({ name, partition, count: high - low })
  return counts
}

/** The same without their values. */
export async function readKafka(at: Evidence['kafka'], generation: number): Promise<LogRecord[]> {
  return (await readRecords(at, generation)).map(({ text: _, ...record }) => record)
}

/** Our names of topics by Kafka's. */
const topicNames = (topicPrefix: string, generation: number) =>
  new Map(Object.values(topics).map((topic) => [topicName(topicPrefix, topic, generation), topic]))

/** Kafka's name of a topic: every generation after the first has topics of its own. */
function topicName(topicPrefix: string, topic: string, generation: number): string {
  return generation === 1 ? topicPrefix + topic : `${topicPrefix}${topic}.g${generation}`
}
