/**
 * Keeps one consumer running per version of a projection that is not retired. The list of versions is a table, so a
 * rebuild is begun, switched to and given up from outside, and every process follows within a second.
 *
 * A version is built from one generation of the log. When the log is republished, each projection gets a version of the new
 * generation, which goes live by itself once it has everything (follow-log.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { consume, type RunningConsumer } from '@portolan/infra/consumer/consume.ts'
import { retryParked } from '@portolan/infra/consumer/parking.ts'
import { createPostgresSink } from '@portolan/infra/consumer/project.ts'
import type { Projection, ProjectionTarget, ReadEvent } from '@portolan/infra/consumer/projection.ts'
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import { startLogFollower } from './follow-log.ts'

export interface RunVersionsDeps {
  pool: pg.Pool
  /** One port per generation: a client never forgets a topic, and fails once that is deleted. */
  openKafka: () => KafkaPort
  logger: Logger
  metrics: Metrics
  projections: readonly Projection[]
  readEvent: ReadEvent
  topicPrefix: string
  pollMs: number
}

export interface RunningVersions {
  /** Whether the list of versions could be read lately and no partition stands still with an alarm. */
  parts(): Record<string, boolean>
  stop(): Promise<void>
}

interface Version {
  name: string
  version: number
  generation: number
}

/** Retries of one version carried out per look, so that other versions get their turn. */
const retriesMax = 20

/** Starts in the background; a database or broker that is away is waited for. */
export function runVersions(deps: RunVersionsDeps): RunningVersions {
  const { pool, logger, metrics } = deps
  const ports = new Map<number, KafkaPort>()
  const log = startLogFollower(deps)
  const running = new Map<string, { target: ProjectionTarget; consumer: RunningConsumer }>()
  const parkedGauge = metrics.gauge('parked_streams', 'Streams that wait for an operator', ['consumer'])
  const stopping = new AbortController()
  let isListRead = false

  function portOf(generation: number): KafkaPort {
    const port = ports.get(generation) ?? deps.openKafka()
    ports.set(generation, port)
    return port
  }

  async function closeUnusedPorts(): Promise<void> {
    const used = new Set([...running.values()].map(({ target }) => target.generation))
    for (const [generation, port] of ports) {
      if (used.has(generation)) continue
      ports.delete(generation)
      await port.disconnect()
    }
  }

  function start({ name, version, generation }: Version): void {
    const projection = codeOf(deps.projections, name, version)
    if (!projection) {
      logger.warn('projection is not known to this release', { projection: name, version })
      return
    }
    const target = { projection, version, generation }
    const groupId = `${deps.topicPrefix}projections.${name}.v${version}`
    const onParked = (
      { tenantId, stream, position, type }: { tenantId: string; stream: string; position: number; type: string },
      reason: string,
    ) => logger.error('stream parked', { projection: name, version, tenantId, stream, position, type, reason })
    const consumer = consume(
      { kafka: portOf(generation), logger, metrics },
      {
        name: `${name}.v${version}`,
        groupId,
        topics: Object.keys(projection.handles) as TopicName[],
        topicPrefix: deps.topicPrefix,
        generation,
        sink: createPostgresSink({ pool, readEvent: deps.readEvent, onParked }, target),
      },
    )
    running.set(keyOf({ name, version }), { target, consumer })
    logger.info('projection started', { projection: name, version, generation })
  }

  async function follow(): Promise<void> {
    const wanted = await readVersions(pool)
    for (const version of wanted) if (!running.has(keyOf(version))) start(version)
    const wantedKeys = new Set(wanted.map(keyOf))
    for (const [key, { consumer }] of running) {
      if (wantedKeys.has(key)) continue
      running.delete(key)
      await consumer.stop()
      parkedGauge.remove({ consumer: key })
      logger.info('projection stopped', { projection: key })
    }
    await closeUnusedPorts()
    const parked = await countParked(pool)
    for (const key of running.keys()) parkedGauge.set({ consumer: key }, parked.get(key) ?? 0)
    for (const { target } of running.values()) await retryAsked(target)
  }

  async function retryAsked(target: ProjectionTarget): Promise<void> {
    for (let i = 0; i < retriesMax && !stopping.signal.aborted; i += 1) {
      const outcome = await retryParked({ pool, readEvent: deps.readEvent }, target)
      if (!outcome) return
      const fields = { projection: target.projection.name, version: target.version, ...outcome }
      if (outcome.failure === null) logger.info('parked stream retried', fields)
      else logger.warn('parked stream failed again', fields)
    }
  }

  async function followRegularly(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await follow()
        isListRead = true
      } catch (error) {
        isListRead = false
        logger.warn('projection versions not read', { error })
      }
      await sleep(deps.pollMs, undefined, { signal: stopping.signal }).catch(() => undefined) // woken by stop
    }
  }

  const following = followRegularly()
  return {
    parts: () => ({
      database: isListRead,
      partitions: [...running.values()].every(({ consumer }) => consumer.stopped().length === 0),
    }),
    stop: async () => {
      stopping.abort()
      await Promise.all([following, log.stop()])
      await Promise.all([...running.values()].map(({ consumer }) => consumer.stop()))
      await Promise.all([...ports.values()].map((port) => port.disconnect()))
    },
  }
}

const keyOf = ({ name, version }: Pick<Version, 'name' | 'version'>): string => `${name}.v${version}`

/** The code for a version of the tables: the newest one that is not newer than the tables. */
function codeOf(projections: readonly Projection[], name: string, version: number): Projection | undefined {
  return projections
    .filter((projection) => projection.name === name && projection.version <= version)
    .sort((a, b) => b.version - a.version)[0]
}

async function readVersions(pool: pg.Pool): Promise<Version[]> {
  const { rows } = await pool.query<Version>({
    name: 'read-versions',
    text: "select name, version, generation from projection_versions where status <> 'retired' order by name, version",
  })
  return rows
}

async function countParked(pool: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ projection: string; version: number; parked: number }>({
    name: 'count-parked',
    text: 'select projection, version, count(*) as parked from parked_streams group by projection, version',
  })
  return new Map(rows.map(({ projection, version, parked }) => [keyOf({ name: projection, version }), parked]))
}
