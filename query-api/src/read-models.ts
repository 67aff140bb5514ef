/**
 * How far the live read models are, for reads that must not be older than something (P11), and for saying how fresh an
 * answer is. All waiting reads of the process share one poll; a waiting read holds no connection.
 *
 * Positions only grow, across a switch of versions too (switch_projection refuses a version that is behind), so a
 * position seen once never has to be looked up again. An event that is parked was passed but not applied: to the detail of
 * its stream, and to the lists of who wrote to that stream, the model is behind; to everybody else it is not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { foreignToken, hasReached, type LogPositions, type Positions } from '@portolan/infra/consistency-token.ts'
import type { Logger } from '@portolan/infra/log.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { type ProjectionName, type TopicName, topics } from '@portolan/schemas/topics.ts'
import type pg from 'pg'

/** The topics that each read model is made from: what is written elsewhere never holds its readers up. */
const topicsOf = {
  booking_details: [topics.bookings],
  booking_list: [topics.bookings],
  ledger: [topics.bookings, topics.members],
  stays: [topics.stays],
  tenants: [topics.tenants],
} as const satisfies Record<ProjectionName, readonly TopicName[]>
export type ReadModel = keyof typeof topicsOf

export interface Wanted {
  models: readonly ReadModel[]
  /** Whose parked streams may matter; null: everybody's. */
  tenantId: string | null
  /** The one stream that the answer shows; absent for lists, where the streams that were written count. */
  stream?: string
  positions: LogPositions
  /** A token of a log that no longer exists is refused; remembered positions of one are simply over. */
  isToken: boolean
}

export interface ReadModels {
  /** Resolves when every model reflects the positions. Rejects: read-model-behind after the wait, validation-error for a foreign token. */
  waitFor(wanted: Wanted): Promise<void>
  /**
   * Age in seconds of the oldest of these models and the number of events in it; null while unknown. The row of a parked
   * stream is as old as its parking, however far the model is: `shown` names the one stream of an answer.
   */
  freshness(models: readonly ReadModel[], shown?: ShownStream): { ageSeconds: number; events: number } | null
  stop(): Promise<void>
}

/** A stream and its tenant; null: staff's, whose ids are unique over tenants. */
export interface ShownStream {
  tenantId: string | null
  stream: string
}

interface ParkedStream {
  tenantId: string
  stream: string
  topic: string
  partition: number
  position: number
  /** At the progress's `readAt`. */
  ageMs: number
}

interface Progress {
  generation: number
  positions: Positions
  parked: ParkedStream[]
  /** At `readAt`; null while nothing was applied yet. */
  ageMs: number | null
  readAt: number
}

interface Waiter extends Wanted {
  resolve(): void
  reject(error: Error): void
}

/** pool: any connection of role portolan_query_api; one is used at a time. waitMs: the bound of a wait. */
export function createReadModels(
  deps: { pool: pg.Pool; logger: Logger; metrics: Metrics },
  { waitMs, pollMs, freshnessMs = 1000 }: { waitMs: number; pollMs: number; freshnessMs?: number },
): ReadModels {
  const known = new Map<string, Progress>()
  const waiters = new Set<Waiter>()
  const stopping = new AbortController()
  let wake = new AbortController()
  const waits = deps.metrics.histogram('read_wait_seconds', 'Reads that waited for a read model', ['outcome'])

  async function poll(): Promise<void> {
    const readAt = performance.now()
    const rows = await readProgress(deps.pool)
    for (const row of rows) known.set(row.name, progressOf(row, readAt))
  }

  function settleWaiters(): void {
    for (const waiter of waiters) if (isReached(known, waiter)) waiter.resolve()
  }

  /** `work`, or the stop if that comes first. Not a race with a promise that lasts, which would keep 256 bytes of every poll. */
  function untilStopped(work: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = () => resolve()
    stopping.signal.addEventListener('abort', end)
    work.then(end)
    return promise.finally(() => stopping.signal.removeEventListener('abort', end))
  }

  async function pollRegularly(): Promise<void> {
    while (!stopping.signal.aborted) {
      // While the database is away the waiting reads run into their deadlines.
      const polled = poll().catch((error) => deps.logger.debug('positions of read models not read', { error }))
      await untilStopped(polled)
      settleWaiters()
      const delayMs = waiters.size > 0 ? pollMs : freshnessMs
      await sleep(delayMs, undefined, { signal: wake.signal }).catch(() => undefined) // woken by a new waiter or stop
    }
    for (const waiter of waiters) waiter.reject(behind())
  }

  async function wait(wanted: Wanted): Promise<void> {
    const startedAt = performance.now()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const isFirst = waiters.size === 0
    const waiter = { ...wanted, resolve, reject }
    waiters.add(waiter)
    // A timer of its own: the poll may hang with its connection.
    const timer = setTimeout(() => reject(behind()), waitMs)
    if (isFirst) {
      wake.abort()
      wake = new AbortController()
    }
    let outcome = 'reached'
    try {
      await promise
    } catch (error) {
      outcome = 'behind'
      throw error
    } finally {
      clearTimeout(timer)
      waiters.delete(waiter)
      waits.observe({ outcome }, (performance.now() - startedAt) / 1000)
    }
  }

  const polling = pollRegularly()
  return {
    waitFor: async (wanted) => {
      if (wanted.isToken) refuseForeign(known, wanted)
      if (!isReached(known, wanted)) await wait(wanted)
    },
    freshness(models, shown) {
      const all = models.map((model) => known.get(model))
      if (!all.every((progress) => progress !== undefined)) return null
      const ages = all.map(({ ageMs, readAt, parked }) => {
        const parkedMs = shown ? parked.filter((stream) => isShown(stream, shown)).map((stream) => stream.ageMs) : []
        return ageMs === null ? Number.NaN : Math.max(ageMs, ...parkedMs) + performance.now() - readAt
      })
      if (ages.some(Number.isNaN)) return null
      const events = all.flatMap(({ positions }) =>
        Object.values(positions).flatMap((partitions) => Object.values(partitions)),
      )
      return { ageSeconds: Math.max(0, ...ages) / 1000, events: events.reduce((sum, position) => sum + position, 0) }
    },
    stop: async () => {
      stopping.abort()
      wake.abort()
      await polling
    },
  }
}

function behind(): Rejection {
  return new Rejection('read-model-behind', 'The data is not up to date yet; try again', { retry_after: 1 })
}

function refuseForeign(known: ReadonlyMap<string, Progress>, { models, positions }: Wanted): void {
  const generations = models.map((model) => known.get(model)?.generation ?? 0)
  if (generations.length > 0 && generations.every((generation) => generation > positions.generation))
    throw foreignToken()
}

function isReached(known: ReadonlyMap<string, Progress>, wanted: Wanted): boolean {
  return wanted.models.every((model) => {
    const progress = known.get(model)
    const used = topicsOf[model]
    const { generation, positions } = wanted.positions
    if (used.every((topic) => positions[topic] === undefined)) return true
    if (!progress || generation > progress.generation) return false
    // Everything of an older generation is part of the republished log that this model was built from; what of it is parked
    // only the streams can tell.
    const isOlder = generation < progress.generation
    const isMissing = (parked: ParkedStream) =>
      concerns(wanted, parked) && (isOlder || isParkedWithin(positions, parked))
    return (isOlder || hasReached(progress.positions, positions, used)) && !progress.parked.some(isMissing)
  })
}

const isShown = (parked: ParkedStream, { tenantId, stream }: ShownStream): boolean =>
  parked.stream === stream && (tenantId === null || parked.tenantId === tenantId)

function concerns({ tenantId, stream, positions: { streams } }: Wanted, parked: ParkedStream): boolean {
  if (tenantId !== null && parked.tenantId !== tenantId) return false
  const shown = stream === undefined ? streams : [stream]
  return !shown || shown.includes(parked.stream)
}

const isParkedWithin = (positions: Positions, { topic, partition, position }: ParkedStream): boolean =>
  (positions[topic]?.[partition] ?? 0) >= position

interface ProgressRow {
  name: string
  positions: { topic: string; generation: number; partition: number; position: number }[] | null
  parked:
    | { tenant_id: string; stream: string; topic: string; partition: number; position: number; age_seconds: number }[]
    | null
  age_seconds: number | null
}

function progressOf({ positions, parked, age_seconds }: ProgressRow, readAt: number): Progress {
  const generation = Math.max(0, ...(positions ?? []).map((row) => row.generation))
  const ofTopic: Record<string, Record<string, number>> = {}
  for (const row of positions ?? []) {
    if (row.generation !== generation) continue
    ofTopic[row.topic] ??= {}
    Object.assign(ofTopic[row.topic] ?? {}, { [row.partition]: row.position })
  }
  return {
    generation,
    positions: ofTopic,
    parked: (parked ?? []).map(({ tenant_id, age_seconds, ...rest }) => ({
      tenantId: tenant_id,
      ageMs: age_seconds * 1000,
      ...rest,
    })),
    ageMs: age_seconds === null ? null : age_seconds * 1000,
    readAt,
  }
}

/** One statement and so one snapshot: an event below a position is in the rows or among the parked. */
async function readProgress(pool: pg.Pool): Promise<ProgressRow[]> {
  const { rows } = await pool.query<ProgressRow>({
    name: 'read-progress',
    text: `select v.name,
             (select jsonb_agg(jsonb_build_object('topic', topic, 'generation', generation, 'partition', partition, 'position', position))
              from projection_checkpoints c where c.projection = v.name and c.version = v.version) as positions,
             (select extract(epoch from now() - min(coalesce(current_at, applied_at)))::float8
              from projection_checkpoints c where c.projection = v.name and c.version = v.version) as age_seconds,
             (select jsonb_agg(jsonb_build_object('tenant_id', tenant_id, 'stream', stream, 'topic', topic, 'partition', partition, 'position', position,
                'age_seconds', extract(epoch from now() - parked_at)::float8))
              from parked_streams p where p.projection = v.name and p.version = v.version) as parked
           from projection_versions v
           where v.status = 'live'`,
  })
  return rows
}
