/** Telling consumers that a generation of the log may be read: the marker topic of log-generation.ts. */
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import { generationMarker, type LogTopicNames, ofGeneration } from '@portolan/infra/log-generation.ts'
import type pg from 'pg'
import { readTails } from './kafka-tail.ts'

interface Start {
  topic: string
  partition: number
  position: number
}

/**
 * Creates the marker once Kafka holds everything that the log held when the generation began, whichever relay sent it. Kafka is
 * asked, not remembered: it may have been wiped. Returns whether the marker stands; the first generation needs none. Rejects as
 * `readTails` does, to be tried again.
 */
export async function announceGeneration(
  client: pg.ClientBase,
  kafka: KafkaPort,
  options: LogTopicNames & { replicationFactor: number },
  signal: AbortSignal,
): Promise<boolean> {
  if (options.generation === 1) return true
  const existing = await kafka.listTopics()
  const marker = generationMarker(options)
  if (existing.includes(marker)) return true
  const { rows } = await client.query<Start>(
    'select topic, partition, position from log_generation_starts where generation = $1 and position > 0',
    [options.generation],
  )
  const starts = rows.map((row) => ({
    ...row,
    topic: ofGeneration(options, row.topic),
    position: Number(row.position),
  }))
  for (const [name, ofTopic] of Map.groupBy(starts, (start) => start.topic)) {
    if (!existing.includes(name)) return false
    const held = new Map((await kafka.topicOffsets(name)).map(({ partition, low, high }) => [partition, high - low]))
    // With fewer records than positions some are missing; cheap to see, and true of nearly every look.
    if (ofTopic.some(({ partition, position }) => (held.get(partition) ?? 0) < position)) return false
  }
  // With as many some may still be missing, since records may repeat; never skipped, they are all there once the last one is.
  const tails = await readTails(kafka, options.topicPrefix, starts, signal)
  if (tails.some(({ position }, nth) => position < (starts[nth]?.position ?? 0))) return false
  await kafka.createTopics([{ topic: marker, partitions: 1, replicationFactor: options.replicationFactor }])
  return true
}
