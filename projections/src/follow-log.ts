/**
 * Following a republished log: as soon as Kafka holds all topics of a newer generation that a projection reads, a version is built
 * from them beside the live one, and goes live once the generation is complete and the version has all of it. Readers are answered
 * by the older one until then. Nobody gives a command for it, and every process may do it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Projection } from '@portolan/infra/consumer/projection.ts'
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { newestGeneration, ofGeneration, publishedGeneration } from '@portolan/infra/log-generation.ts'
import type pg from 'pg'

export interface LogFollowerDeps {
  pool: pg.Pool
  openKafka: () => KafkaPort
  logger: Logger
  projections: readonly Projection[]
  topicPrefix: string
  pollMs: number
}

/** Looks regularly until `stop`; Kafka and the database being away are waited for. */
export function startLogFollower(deps: LogFollowerDeps): { stop(): Promise<void> } {
  const { pool, logger, topicPrefix } = deps
  // Asked for names only: a client never forgets a topic that it was asked about, and fails once that is deleted.
  const kafka = deps.openKafka()
  const topicsOf = new Map(deps.projections.map(({ name, handles }) => [name, Object.keys(handles)]))
  /** Instants of the database at which a generation was first known to be complete. */
  const completeAt = new Map<number, Date>()
  const settled = new Set<string>()
  const partitionsOf = new Map<string, number>()
  const stopping = new AbortController()

  async function follow(): Promise<void> {
    const existing = await kafka.listTopics()
    const published = publishedGeneration(existing, topicPrefix)
    const topics = [...new Set([...topicsOf.values()].flat())]
    const newest = newestGeneration(existing, topicPrefix, topics)
    if (newest > 1) await build(existing, newest)
    if (published > 1) await goLive(published)
  }

  async function build(existing: readonly string[], generation: number): Promise<void> {
    for (const [name, topics] of topicsOf) {
      if (!topics.every((topic) => existing.includes(ofGeneration({ topicPrefix, generation }, topic)))) continue
      const { rows } = await pool.query<{ created: boolean }>('select follow_generation($1, $2) as created', [
        name,
        generation,
      ])
      if (rows[0]?.created) logger.info('projection is built from a new generation', { projection: name, generation })
    }
  }

  async function goLive(generation: number): Promise<void> {
    const complete = completeAt.get(generation) ?? (await databaseNow(pool))
    completeAt.set(generation, complete)
    for (const [name, topics] of topicsOf) {
      const key = `${name} ${generation}`
      if (settled.has(key)) continue
      try {
        const partitions = partitionsOf.get(key) ?? (await countPartitions(topics, generation))
        partitionsOf.set(key, partitions)
        const { rows } = await pool.query<{ settled: boolean }>(
          'select switch_to_generation($1, $2, $3, $4) as settled',
          [name, generation, partitions, complete],
        )
        if (rows[0]?.settled) settled.add(key)
      } catch (error) {
        // Readers held the views, say: tried again at the next look.
        logger.warn('projection does not go live yet', { projection: name, generation, error })
      }
    }
  }

  async function countPartitions(topics: readonly string[], generation: number): Promise<number> {
    const port = deps.openKafka()
    try {
      const counts = await Promise.all(
        topics.map((topic) => port.topicOffsets(ofGeneration({ topicPrefix, generation }, topic))),
      )
      return counts.reduce((sum, partitions) => sum + partitions.length, 0)
    } finally {
      await port.disconnect()
    }
  }

  async function followRegularly(): Promise<void> {
    while (!stopping.signal.aborted) {
      await follow().catch((error) => logger.warn('generations of the log not followed', { error }))
      await sleep(deps.pollMs, undefined, { signal: stopping.signal }).catch(() => undefined) // woken by stop
    }
  }

  const following = followRegularly()
  return {
    stop: async () => {
      stopping.abort()
      await following
      await kafka.disconnect()
    },
  }
}

async function databaseNow(pool: pg.Pool): Promise<Date> {
  const { rows } = await pool.query<{ now: Date }>('select now() as now')
  if (!rows[0]) throw new Error('the database gave no time')
  return rows[0].now
}
