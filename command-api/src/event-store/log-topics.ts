/** Which topics the log has, how many partitions each was created with, and where a stream lives. */
import { crc32 } from 'node:zlib'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type pg from 'pg'

export interface LogTopics {
  /** Rises when the log is republished; positions of different generations cannot be compared. */
  generation: number
  /** The one partition of a stream, the same for ever. Throws for a topic that is not registered. */
  partitionOf(topic: TopicName, tenantId: string, stream: string): number
}

/**
 * Makes topics known to the log; `partitions` counts for those that are new, the others keep what was recorded.
 * Every process that appends calls this once at its start.
 */
export async function registerTopics(
  pool: pg.Pool,
  names: readonly TopicName[],
  partitions: number,
): Promise<LogTopics> {
  await pool.query('select register_topics($1, $2)', [names, partitions])
  const topics = await pool.query<{ topic: string; partitions: number }>('select topic, partitions from log_topics')
  const state = await pool.query<{ generation: number }>('select generation from log_state')
  const recorded = new Map(topics.rows.map((row) => [row.topic, row.partitions]))
  return {
    generation: state.rows[0]?.generation ?? 1,
    partitionOf(topic, tenantId, stream) {
      const count = recorded.get(topic)
      if (count === undefined) throw new Error(`topic ${topic} is not registered in the log`)
      return crc32(`${tenantId}/${stream}`) % count
    },
  }
}
