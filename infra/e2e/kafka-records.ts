/** Everything that stands in Kafka right now, for tests that look for something there. */
import { randomUUID } from 'node:crypto'
import type { KafkaRecord } from '@portolan/infra/kafka.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import type { TestTopics } from '@portolan/infra/testing/topics.ts'

/** Reads every record of the test's topics, from the beginning to what was the end when it was called. */
export async function readAllRecords({ kafka, prefix }: TestTopics): Promise<KafkaRecord[]> {
  const topics = (await kafka.listTopics()).filter((topic) => topic.startsWith(prefix))
  let expected = 0
  for (const topic of topics) {
    for (const { low, high } of await kafka.topicOffsets(topic)) expected += high - low
  }
  const records: KafkaRecord[] = []
  const consumer = kafka.createConsumer({
    groupId: `${prefix}reader-${randomUUID()}`,
    topics,
    onAssigned: async (assigned) => assigned.map((partition) => ({ ...partition, offset: 0 })),
    eachBatch: async (batch) => {
      records.push(...batch.records)
    },
  })
  await consumer.start()
  try {
    await eventually(() => records.length >= expected, { withinMs: 20_000 })
  } finally {
    await consumer.stop()
  }
  return records
}
