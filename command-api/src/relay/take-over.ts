/**
 * Taking over a shard: the topics exist with the recorded settings, and what Kafka holds is what the store knows. Only then
 * does the relay send, and only then are claims granted (`log_verifications`).
 */
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import type pg from 'pg'
import { readTails, type Tail } from './kafka-tail.ts'

/** A partition of the shard. position: the last one that counts, in the store (head) or in Kafka (sent). */
export interface PartitionPosition {
  /** Without the environment's prefix. */
  topic: string
  partition: number
  position: number
}

/** Kafka and store contradict each other, or a topic is not what was recorded. Going on could lose or mix up events. */
export class Refusal extends Error {}

const topicSettings = { 'retention.ms': '-1', 'retention.bytes': '-1', 'cleanup.policy': 'delete' }

export interface TakeOverOptions {
  topicPrefix: string
  /** Copies of each topic created here; -1: the broker's default. */
  replicationFactor: number
}

/**
 * Returns up to which position each partition was sent.
 * client: the connection that holds the shard's lock. heads: all partitions of the shard.
 * Rejects with a Refusal when Kafka holds something the store does not know, or a topic's settings are wrong.
 */
export async function takeOver(
  client: pg.ClientBase,
  kafka: KafkaPort,
  heads: readonly PartitionPosition[],
  { topicPrefix, replicationFactor }: TakeOverOptions,
): Promise<PartitionPosition[]> {
  const { rows: topics } = await client.query<{ topic: string; partitions: number }>(
    'select topic, partitions from log_topics where topic = any($1) order by topic',
    [[...new Set(heads.map(({ topic }) => topic))]],
  )
  for (const { topic, partitions } of topics) {
    await ensureTopic(kafka, `${topicPrefix}${topic}`, partitions, replicationFactor)
  }
  const prefixed = heads.map((head) => ({ ...head, topic: topicPrefix + head.topic }))
  const tails = (await readTails(kafka, topicPrefix, prefixed)).map((tail) => ({
    ...tail,
    topic: tail.topic.slice(topicPrefix.length),
  }))
  await requireKnown(client, tails)
  await client.query(
    `insert into log_verifications (topic, partition, incarnation)
     select topic, partition, log_incarnation() from unnest($1::text[], $2::integer[]) p(topic, partition)
     on conflict (topic, partition) do update set incarnation = excluded.incarnation, verified_at = now()`,
    [tails.map(({ topic }) => topic), tails.map(({ partition }) => partition)],
  )
  return tails.map(({ topic, partition, position }) => ({ topic, partition, position }))
}

async function ensureTopic(kafka: KafkaPort, topic: string, partitions: number, replicationFactor: number) {
  const found = await kafka.describeTopic(topic)
  if (!found) {
    await kafka.createTopics([{ topic, partitions, replicationFactor, config: topicSettings }])
    return
  }
  if (found.partitions !== partitions) {
    throw new Refusal(`topic ${topic} has ${found.partitions} partitions, the log was created with ${partitions}`)
  }
  const isTiered = found.config['remote.storage.enable'] === 'true'
  const wrong = Object.entries(topicSettings).filter(
    ([name, value]) => found.config[name] !== value && !(isTiered && name.startsWith('retention')),
  )
  for (const [name, value] of wrong) {
    throw new Refusal(`topic ${topic} has ${name}=${found.config[name]} and would lose events: set it to ${value}`)
  }
}

/** The store must hold the very event that Kafka holds last; otherwise it was restored to an earlier point. */
async function requireKnown(client: pg.ClientBase, tails: readonly Tail[]): Promise<void> {
  const filled = tails.filter(({ position }) => position > 0)
  if (filled.length === 0) return
  const { rows } = await client.query<{ topic: string; partition: number; event_id: string; position: number }>(
    'select topic, partition, position, event_id from read_log($1, $2, $3, 1, 0)',
    [
      filled.map(({ topic }) => topic),
      filled.map(({ partition }) => partition),
      filled.map(({ position }) => position - 1),
    ],
  )
  for (const { topic, partition, position, eventId } of filled) {
    const known = rows.find((row) => row.topic === topic && row.partition === partition)
    if (known?.event_id === eventId && known.position === position) continue
    throw new Refusal(
      `Kafka holds event ${eventId} at ${topic}/${partition} position ${position}, which the store does not know: was the store restored to an earlier point?`,
    )
  }
}
