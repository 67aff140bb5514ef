/** The event store of one process, put together: what `main.ts` opens and hands to routes. */
import { randomUUID } from 'node:crypto'
import type { Logger } from '@portolan/infra/log.ts'
import type { createRedis } from '@portolan/infra/redis.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { type TopicName, topics as topicNames } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import { createAppender } from './append.ts'
import { type Clock, startDatabaseClock } from './clock.ts'
import { createCommitSignal } from './commit-signal.ts'
import { createHandle } from './handle-command.ts'
import { registerTopics } from './log-topics.ts'
import { startMaintenance } from './maintenance.ts'
import { type Loaded, loadStream } from './read.ts'
import type { StreamType } from './stream-type.ts'
import { createStreamWaits } from './wait-for-stream.ts'

export interface EventStoreDeps {
  /** Loads: `createPool({ pipeline: true, max: 6, … })`. */
  pool: pg.Pool
  /** Appends only: `createPool({ max: lanes + 2, statementTimeoutMs: 10_000, … })`, not pipelined. */
  appendPool: pg.Pool
  redis: ReturnType<typeof createRedis>
  subscriber: ReturnType<typeof createRedis>
  keyPrefix: string
  logger: Logger
  metrics: Metrics
}

export interface EventStoreOptions {
  /** Of topics that the log does not know yet. */
  partitions?: number
  topics?: readonly TopicName[]
  lanes?: number
  /** How long a command that meets locked rows is tried again. */
  busyMaxMs?: number
  idempotencyKeepHours?: number
  /** Tests inject one; otherwise the database's. */
  clock?: Clock
}

export type EventStore = Awaited<ReturnType<typeof openEventStore>>

/**
 * Opens the store: checks the server's settings and our role, registers the topics, measures the clock.
 * Rejects when the database does not answer, would lose commits, or would not bind our role to a tenant.
 */
export async function openEventStore(deps: EventStoreDeps, options: EventStoreOptions = {}) {
  const { pool, appendPool, logger, metrics } = deps
  await checkServer(pool)
  const topics = await registerTopics(pool, options.topics ?? Object.values(topicNames), options.partitions ?? 16)
  const clock = options.clock ?? (await startDatabaseClock(pool, logger))
  const waits = createStreamWaits({ ...deps, sawGeneration: topics.sawGeneration })
  const signal = createCommitSignal(appendPool)
  const appender = createAppender(
    {
      pool: appendPool,
      onCommit(moved) {
        signal()
        if (moved.length > 0) waits.announce(moved)
      },
      metrics,
    },
    { lanes: options.lanes, busyMaxMs: options.busyMaxMs },
  )
  const maintenance = startMaintenance(pool, options.idempotencyKeepHours ?? 24, logger)
  const { settle, ...commands } = createHandle({ pool, appender, topics, clock, metrics, newId: randomUUID })
  return {
    ...commands,
    load: async <State, Event extends { type: string; data: unknown }>(
      tenantId: string,
      type: StreamType<State, Event>,
      stream: string,
    ): Promise<Loaded<State>> => {
      const loaded = await loadStream(pool, tenantId, type, stream)
      topics.sawGeneration(loaded.generation)
      return loaded
    },
    waitFor: waits.waitFor,
    clock,
    /** Of the log, now; belongs into every Consistency-Token. */
    generation: topics.generation,
    /** Ends waits early and stops timers; the caller ends pools and connections afterwards. */
    async stop() {
      await waits.stop()
      await maintenance.stop()
      await settle()
      clock.stop()
    },
  }
}

async function checkServer(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ commit: string; name: string; unbound: boolean }>(`
    select current_setting('synchronous_commit') as commit, rolname as name,
      rolsuper or rolbypassrls or exists (
        select from pg_class c where relrowsecurity and pg_has_role(r.oid, relowner, 'usage')
      ) as unbound
    from pg_roles r where rolname = current_user`)
  const server = rows[0]
  if (server?.commit === 'off') {
    throw new Error('synchronous_commit is off on the write database: a crash would lose what was answered as done')
  }
  if (server?.unbound) {
    throw new Error(
      `WRITE_DATABASE_URL works as ${server.name}, whom row-level security does not bind: add ?options=-c%20role%3Dportolan_command_api`,
    )
  }
}
