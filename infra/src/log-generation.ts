/**
 * Generations of the log in Kafka. Republishing the log starts the next one: topics of its own, filled from the store from the
 * first event on. Names carry the generation, so that no reader can mix two of them up; the first one has plain names.
 *
 * A generation counts for consumers once its marker exists: an empty topic that the relay creates when everything the log
 * held at the generation's start has been sent. Until then the older one goes on being read.
 */
import type { TopicName } from '@portolan/schemas/topics.ts'
import type { KafkaPort } from './kafka.ts'
import { startRegularly } from './regularly.ts'

/** Topics of one environment and one generation. */
export interface LogTopicNames {
  /** KAFKA_TOPIC_PREFIX. */
  topicPrefix: string
  generation: number
}

/** Name in Kafka of a topic, or of a consumer group that must not carry its progress over: `portolan.bookings.events.v1.g2`. */
export function ofGeneration({ topicPrefix, generation }: LogTopicNames, name: string): string {
  return topicPrefix + name + (generation > 1 ? `.g${generation}` : '')
}

/** Name of the empty topic that says: this generation is complete up to its start. */
export const generationMarker = ({ topicPrefix, generation }: LogTopicNames): string =>
  `${topicPrefix}log.g${generation}`

/** The newest generation that consumers may read; 1 when the log was never republished. existing: all names in Kafka. */
export function publishedGeneration(existing: readonly string[], topicPrefix: string): number {
  return highest(existing, (generation) => generationMarker({ topicPrefix, generation }))
}

/** The newest generation of which Kafka holds any of these topics, complete or not. */
export function newestGeneration(
  existing: readonly string[],
  topicPrefix: string,
  topics: readonly (TopicName | string)[],
): number {
  const ofTopics = topics.map((topic) => highest(existing, (n) => ofGeneration({ topicPrefix, generation: n }, topic)))
  return Math.max(publishedGeneration(existing, topicPrefix), ...ofTopics)
}

/** Names in Kafka of a topic in `generation` and every later one, complete or not. */
export function topicsSince(
  existing: readonly string[],
  { topicPrefix, generation }: LogTopicNames,
  topic: TopicName | string,
): string[] {
  return existing.filter((name) => {
    const own = generationIn(name)
    return own >= generation && ofGeneration({ topicPrefix, generation: own }, topic) === name
  })
}

function highest(existing: readonly string[], nameOf: (generation: number) => string): number {
  const own = existing.filter((name) => nameOf(generationIn(name)) === name)
  return Math.max(1, ...own.map(generationIn))
}

/** What a name says, whoever's topic it is. */
const generationIn = (name: string): number => Number(/\.g([1-9]\d{0,8})$/.exec(name)?.[1] ?? 1)

/**
 * Calls `follow` with the newest published generation now and whenever it rises, one call after the other, until `stop`.
 * kafka: a port of its own, asked for nothing but names: a client never forgets a topic that it was asked about, and fails
 * once that is deleted. Kafka being away is waited for; `follow` may reject and is then called again.
 */
export function followGenerations(
  deps: { kafka: Pick<KafkaPort, 'listTopics'>; onError(error: unknown): void },
  { topicPrefix, pollMs }: { topicPrefix: string; pollMs: number },
  follow: (generation: number) => Promise<void>,
): { stop(): Promise<void> } {
  let followed = 0
  async function look(stopping: AbortSignal): Promise<void> {
    const generation = publishedGeneration(await deps.kafka.listTopics(), topicPrefix)
    if (generation <= followed || stopping.aborted) return
    await follow(generation)
    followed = generation
  }
  return startRegularly(look, { everyMs: pollMs, onError: deps.onError })
}
