/** What of a Kafka is Portolan's: by exact names, since others may use the same Kafka and a prefix may be empty. */
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import { consumerGroups, projectionNames, topics } from '@portolan/schemas/topics.ts'
import { Obstacle } from './say.ts'

const TOPICS: readonly string[] = Object.values(topics)
const GROUPS: readonly string[] = Object.values(consumerGroups)
/** What log-generation.ts puts behind a name. */
const GENERATION = /\.g[1-9]\d*$/
const MARKER = /^log\.g[1-9]\d*$/
const PROJECTION_GROUP = new RegExp(`^projections\\.(${projectionNames.join('|')})\\.v\\d+$`)

/** Whether this is one of our topics under the prefix, of whatever generation of the log. */
export function isOurTopic(name: string, prefix: string): boolean {
  const own = name.slice(prefix.length)
  return name.startsWith(prefix) && (TOPICS.includes(own.replace(GENERATION, '')) || MARKER.test(own))
}

/** Whether this is a group of one of our consumers, of any version, under the prefix. */
export function isOurGroup(name: string, prefix: string): boolean {
  const own = name.slice(prefix.length)
  return name.startsWith(prefix) && (GROUPS.includes(own.replace(GENERATION, '')) || PROJECTION_GROUP.test(own))
}

/**
 * Deletes our consumers' progress, then our topics. Returns the topics. Rejects with an Obstacle, and then no topic is
 * gone, when a group still has members.
 */
export async function deleteKafkaData(
  kafka: Pick<KafkaPort, 'listTopics' | 'deleteTopics' | 'listGroups' | 'deleteGroups'>,
  prefix: string,
): Promise<string[]> {
  const groups = (await kafka.listGroups()).filter((name) => isOurGroup(name, prefix))
  await kafka.deleteGroups(groups).catch((error: Error) => {
    throw new Obstacle(
      `Kafka keeps the consumer groups ${groups.join(', ')} (${error.message}): stop whatever still reads there, or wait a minute, then reset again.`,
    )
  })
  const ours = (await kafka.listTopics()).filter((name) => isOurTopic(name, prefix))
  await kafka.deleteTopics(ours)
  return ours
}
