/** Which topics the log has, how many partitions each was created with, and where a stream lives. */
import { crc32 } from 'node:zlib'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type pg from 'pg'

export interface LogTopics {
  /**
   * The newest one that this process has seen. It rises when the log is republished; positions of different generations cannot be
   * compared. Every load and every append says which one it saw, so none is ever named that is older than the positions beside it,
   * however long the process was paused. It falls only when the store was restored to an earlier generation.
   */
  generation(): number
  /** generation: 0 says nothing. */
  sawGeneration(generation: number): void
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
  const recorded = new Map(topics.rows.map((row) => [row.topic, row.partitions]))
  let newest = await readGeneration(pool)
  let isLooking = false

  /**
   * An older one was seen: the answer was overtaken by others, or the store was restored. Asked after the newest was seen, a store
   * that was not restored knows at least that.
   */
  async function lookAgain(): Promise<void> {
    if (isLooking) return
    isLooking = true
    const before = newest
    try {
      const now = await readGeneration(pool)
      if (newest === before) newest = now
    } catch {
      // The next one that is older asks again.
    } finally {
      isLooking = false
    }
  }

  return {
    generation: () => newest,
    sawGeneration: (generation) => {
      if (generation > 0 && generation < newest) void lookAgain()
      newest = Math.max(newest, generation)
    },
    partitionOf(topic, tenantId, stream) {
      const count = recorded.get(topic)
      if (count === undefined) throw new Error(`topic ${topic} is not registered in the log`)
      return crc32(`${tenantId}/${stream}`) % count
    },
  }
}

async function readGeneration(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ generation: number }>('select generation from log_state')
  return rows[0]?.generation ?? 1
}
