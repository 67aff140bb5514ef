/**
 * Taking over a shard: the topics exist with the recorded settings, and what Kafka holds is what the store knows. Only then
 * does the relay send, and only then are claims granted (`log_verifications`).
 */
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import { type LogTopicNames, newestGeneration, ofGeneration } from '@portolan/infra/log-generation.ts'
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

/** Kafka holds what the store does not know. generation: the newest one of which Kafka holds anything. */
export class StoreBehind extends Refusal {
  readonly generation: number
  constructor(message: string, generation: number) {
    super(message)
    this.generation = generation
  }
}

const topicSettings = { 'retention.ms': '-1', 'retention.bytes': '-1', 'cleanup.policy': 'delete' }

/** generation: the store's. */
export interface TakeOverOptions extends LogTopicNames {
  /** Copies of each topic created here; -1: the broker's default. */
  replicationFactor: number
}

/**
 * A shard that sends holds this lock on each of its topics, shared; whoever creates a topic needs it alone. A shard that still
 * believed in a deleted topic would otherwise go on in the new one, in the middle.
 */
const TOPIC_LOCK_CLASS = 0x72656c62

/**
 * Returns up to which position each partition was sent. From then on no relay creates these topics, until `letTopicsBeMade`
 * or the end of the connection.
 * client: the connection that holds the shard's lock. heads: all partitions of the shard. signal: ends the wait for Kafka.
 * Rejects with a Refusal when Kafka holds something the store does not know or lacks something before what it holds, or when a
 * topic's settings are wrong.
 */
export async function takeOver(
  client: pg.ClientBase,
  kafka: KafkaPort,
  heads: readonly PartitionPosition[],
  options: TakeOverOptions,
  signal: AbortSignal,
): Promise<PartitionPosition[]> {
  const { topicPrefix, generation, replicationFactor } = options
  const nameOf = (topic: string) => ofGeneration(options, topic)
  const { rows: topics } = await client.query<{ topic: string; partitions: number }>(
    'select topic, partitions from log_topics where topic = any($1) order by topic',
    [[...new Set(heads.map(({ topic }) => topic))]],
  )
  const names = topics.map(({ topic }) => topic)
  const newest = newestGeneration(await kafka.listTopics(), topicPrefix, names)
  if (newest > generation) {
    const known = `Kafka holds generation ${newest} of the log, and the store knows only ${generation}`
    throw new StoreBehind(`${known}: was the store restored to an earlier point?`, newest)
  }
  for (const { topic, partitions } of topics) {
    await ensureTopic(client, kafka, { name: nameOf(topic), partitions, replicationFactor })
  }
  await client.query('select pg_advisory_lock_shared($1, hashtext(topic)) from unnest($2::text[]) topic', [
    TOPIC_LOCK_CLASS,
    names.map(nameOf),
  ])
  const inKafka = heads.map((head) => ({ ...head, topic: nameOf(head.topic) }))
  const tails = (await readTails(kafka, topicPrefix, inKafka, signal)).map((tail, nth) => ({
    ...tail,
    topic: heads[nth]?.topic ?? '',
  }))
  requireWhole(tails, nameOf)
  await requireKnown(client, tails, generation)
  // Not for a generation that was raised meanwhile: what was compared is no longer what will be read. Who raises it waits for this.
  await client.query(
    `insert into log_verifications (topic, partition, incarnation)
     select topic, partition, log_incarnation() from unnest($1::text[], $2::integer[]) p(topic, partition), log_state s
     where s.generation = $3
     on conflict (topic, partition) do update set incarnation = excluded.incarnation, verified_at = now()`,
    [tails.map(({ topic }) => topic), tails.map(({ partition }) => partition), generation],
  )
  return tails.map(({ topic, partition, position }) => ({ topic, partition, position }))
}

/** Ends what `takeOver` began: missing topics may be created again. client, partitions: that one's, and its answer. */
export async function letTopicsBeMade(
  client: pg.ClientBase,
  partitions: readonly PartitionPosition[],
  names: LogTopicNames,
): Promise<void> {
  await client.query('select pg_advisory_unlock_shared($1, hashtext(topic)) from unnest($2::text[]) topic', [
    TOPIC_LOCK_CLASS,
    [...new Set(partitions.map(({ topic }) => ofGeneration(names, topic)))],
  ])
}

/** name: Kafka's. */
interface WantedTopic {
  name: string
  partitions: number
  replicationFactor: number
}

async function ensureTopic(client: pg.ClientBase, kafka: KafkaPort, wanted: WantedTopic): Promise<void> {
  const { name: topic, partitions } = wanted
  const found = await kafka.describeTopic(topic)
  if (!found) return createTopic(client, kafka, wanted)
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

/** Rejects, to be tried again, while another shard has not noticed yet that the topic is gone. */
async function createTopic(
  client: pg.ClientBase,
  kafka: KafkaPort,
  { name, partitions, replicationFactor }: WantedTopic,
): Promise<void> {
  const key = [TOPIC_LOCK_CLASS, name]
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as taken', key)
  if (!rows[0]?.taken) throw new Error(`topic ${name} is missing, and another shard still sends to it`)
  // Should this fail, the connection ends and with it the lock.
  await kafka.createTopics([{ topic: name, partitions, replicationFactor, config: topicSettings }])
  await client.query('select pg_advisory_unlock($1, hashtext($2))', key)
}

/** What was sent before the last record must be there: the topic may have been replaced, or cut, while a relay went on. */
function requireWhole(tails: readonly Tail[], nameOf: (topic: string) => string): void {
  for (const { topic, partition, gapBefore } of tails) {
    if (gapBefore === null) continue
    throw new Refusal(
      `Kafka lacks events of ${topic}/${partition} before position ${gapBefore}: delete the topic ${nameOf(topic)}, and everything is sent again`,
    )
  }
}

/** The store must hold the very event that Kafka holds last; otherwise it was restored to an earlier point. */
async function requireKnown(client: pg.ClientBase, tails: readonly Tail[], generation: number): Promise<void> {
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
    const held = `Kafka holds event ${eventId} at ${topic}/${partition} position ${position}`
    throw new StoreBehind(`${held}, which the store does not know: was it restored to an earlier point?`, generation)
  }
}
