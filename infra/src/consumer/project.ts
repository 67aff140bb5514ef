/**
 * Projections: events in, rows out. One transaction per batch holds the checkpoint's compare-and-set, the rows, and what
 * had to be parked, so a killed process, an evicted group member or a repeated batch leaves no trace or a whole one. Batches of
 * other partitions that came during a transaction share the next one.
 *
 * When a batch fails on its content it is applied again event by event, each under a savepoint; the event that fails is
 * parked and so are, from then on, all later events of its stream (`parking.ts`). Everything else flows.
 */
import type pg from 'pg'
import { reach } from '../kill-points.ts'
import { inTransaction } from '../postgres.ts'
import { type Checkpoint, CheckpointMoved, type EventBatch, type Partition, type Sink } from './consume.ts'
import { keyOfStream, parkEvent, parkFollowers } from './parking.ts'
import { applyUnderSavepoint, type ProjectionTarget, projected, projectionTx, type ReadEvent } from './projection.ts'
import type { ConsumedEvent } from './record.ts'
import { isTransient } from './transient.ts'

/** Events per transaction when a batch is applied event by event, so that it still ends within a second. */
const carefulBatchSize = 50

interface WaitingBatch {
  batch: EventBatch
  resolve(): void
  reject(error: unknown): void
}

/** The sink that keeps progress in `projection_checkpoints` beside the rows. pool: role portolan_projections. */
export function createPostgresSink(
  deps: { pool: pg.Pool; readEvent: ReadEvent; onParked?(event: ConsumedEvent, reason: string): void },
  target: ProjectionTarget,
): Sink {
  const { pool } = deps

  let waiting: WaitingBatch[] = []
  let isApplying = false

  async function applyInTurn(batch: EventBatch): Promise<void> {
    const turn = Promise.withResolvers<void>()
    waiting.push({ batch, ...turn })
    if (!isApplying) void applyWaiting()
    return turn.promise
  }

  async function applyWaiting(): Promise<void> {
    isApplying = true
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      try {
        await applyTogether(group.map(({ batch }) => batch))
        for (const { resolve } of group) resolve()
      } catch (error) {
        // Whose fault it was only each alone can tell.
        if (group.length === 1 || isTransient(error)) for (const { reject } of group) reject(error)
        else for (const { batch, resolve, reject } of group) await applyTogether([batch]).then(resolve, reject)
      }
    }
    isApplying = false
  }

  /** Batches of different partitions. */
  async function applyTogether(batches: readonly EventBatch[]): Promise<void> {
    await inTransaction(pool, async (tx) => {
      const parked = await moveCheckpoints(tx, target, batches)
      for (const { events } of batches) await applyEvents(tx, events, parked)
      reach('before-commit')
    })
  }

  async function applyEvents(tx: pg.PoolClient, events: EventBatch['events'], parked: Set<string>): Promise<void> {
    const handled = events.filter((event) => handles(target, event))
    await parkFollowers(
      tx,
      target,
      handled.filter((event) => parked.has(keyOfStream(event))),
    )
    const due = handled.filter((event) => !parked.has(keyOfStream(event)))
    if (due.length === 0) return
    const read = due.map((event) => projected(deps.readEvent, event))
    await target.projection.apply(read, projectionTx(tx, target))
  }

  async function applyOneByOne(batch: EventBatch): Promise<void> {
    let from = batch.from
    for (let start = 0; start < batch.events.length; start += carefulBatchSize) {
      const events = batch.events.slice(start, start + carefulBatchSize)
      const newest = events.at(-1)
      const isLast = start + carefulBatchSize >= batch.events.length
      const to = isLast || !newest ? batch.to : { position: newest.position, offset: newest.offset + 1 }
      await inTransaction(pool, (tx) => applyCarefully(tx, { ...batch, from, to, events }))
      from = to
    }
  }

  async function applyCarefully(tx: pg.PoolClient, batch: EventBatch): Promise<void> {
    const parked = await moveCheckpoints(tx, target, [batch])
    for (const event of batch.events) {
      if (!handles(target, event)) continue
      if (parked.has(keyOfStream(event))) {
        await parkFollowers(tx, target, [event])
        continue
      }
      const failure = await applyUnderSavepoint(tx, () =>
        target.projection.apply([projected(deps.readEvent, event)], projectionTx(tx, target)),
      )
      if (failure === null) continue
      parked.add(keyOfStream(event))
      await parkEvent(tx, target, event, failure)
      deps.onParked?.(event, failure)
    }
    reach('before-commit')
  }

  return {
    load: (partitions) => loadCheckpoints(pool, target, partitions),
    async apply(batch) {
      try {
        if (batch.events.some((event) => handles(target, event))) await applyInTurn(batch)
        else await passBy(pool, target, batch)
        reach('after-commit')
      } catch (error) {
        if (error instanceof CheckpointMoved || isTransient(error)) throw error
        await applyOneByOne(batch)
      }
    },
    caughtUp: (partitions, askedAt) => noteCaughtUp(pool, target, partitions, askedAt),
  }
}

function handles({ projection }: ProjectionTarget, { topic, type, envelope }: ConsumedEvent): boolean {
  // What cannot be read might be anything, so it counts as handled.
  return envelope === null || (projection.handles[topic]?.includes(type) ?? false)
}

/**
 * Moves the checkpoints, which locks them against every other member of the group until commit, and returns the keys of the
 * batches' streams that are parked, locked against a retry that may be under way. Throws CheckpointMoved.
 *
 * One statement, so one snapshot, is enough for both: whoever parks a stream of these partitions moves its checkpoint in the same
 * transaction, so that a park this snapshot does not see makes the compare-and-set fail.
 */
async function moveCheckpoints(
  tx: pg.PoolClient,
  { projection, version, generation }: ProjectionTarget,
  batches: readonly EventBatch[],
): Promise<Set<string>> {
  const events = batches.flatMap((batch) => batch.events)
  const { rows } = await tx.query<{ moved: number; tenant_id: string | null; stream: string }>({
    name: 'move-checkpoints',
    text: `with moved as (
             update projection_checkpoints c
             set position = w.position, kafka_offset = w.kafka_offset, applied_at = now()
             from unnest($4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[])
               as w (topic, partition, moved_from, position, kafka_offset)
             where c.projection = $1 and c.version = $2 and c.generation = $3
               and c.topic = w.topic and c.partition = w.partition and c.position = w.moved_from
             returning 1),
           count as (select count(*) as moved from moved),
           parked as (
             select p.tenant_id, p.stream from count cross join parked_streams p
             where p.projection = $1 and p.version = $2
               and (p.tenant_id, p.stream) in (select * from unnest($9::text[], $10::text[]))
             order by p.tenant_id, p.stream
             for update of p)
           select count.moved, parked.tenant_id, parked.stream from count left join parked on true`,
    values: [
      projection.name,
      version,
      generation,
      batches.map(({ topic }) => topic),
      batches.map(({ partition }) => partition),
      batches.map(({ from }) => from.position),
      batches.map(({ to }) => to.position),
      batches.map(({ to }) => to.offset),
      events.map(({ tenantId }) => tenantId),
      events.map(({ stream }) => stream),
    ],
  })
  if (rows[0]?.moved !== batches.length) throw new CheckpointMoved()
  return new Set(
    rows.flatMap(({ tenant_id: tenantId, stream }) => (tenantId === null ? [] : keyOfStream({ tenantId, stream }))),
  )
}

/**
 * Moves the checkpoint behind events that the projection does not handle. Nothing was written for them, so the move need not
 * reach the disk: after a crash they are passed by once more. Throws CheckpointMoved.
 */
async function passBy(
  pool: pg.Pool,
  { projection, version, generation }: ProjectionTarget,
  { topic, partition, from, to }: EventBatch,
): Promise<void> {
  const moved = await pool.query({
    name: 'pass-by',
    text: `with quick as materialized (select set_config('synchronous_commit', 'off', true)),
           moved as (
             update projection_checkpoints set position = $6, kafka_offset = $7, applied_at = now()
             where projection = $1 and version = $2 and topic = $3 and generation = $4 and partition = $5 and position = $8
             returning 1)
           select from quick, moved`,
    values: [projection.name, version, topic, generation, partition, to.position, to.offset, from.position],
  })
  if (moved.rowCount !== 1) throw new CheckpointMoved()
}

/**
 * Creates missing rows, so that the compare-and-set always has one to work on. Rejects for a version that is retired, whose
 * rows the database refuses: its consumer is about to be stopped and must not begin again.
 */
async function loadCheckpoints(
  pool: pg.Pool,
  { projection, version, generation }: ProjectionTarget,
  partitions: readonly Partition[],
): Promise<Checkpoint[]> {
  const columns = [partitions.map(({ topic }) => topic), partitions.map(({ partition }) => partition)]
  await pool.query({
    text: `insert into projection_checkpoints (projection, version, topic, generation, partition, position, kafka_offset)
           select $1, $2, topic, $3, partition, 0, 0 from unnest($4::text[], $5::int[]) as wanted (topic, partition)
           on conflict do nothing`,
    values: [projection.name, version, generation, ...columns],
  })
  const { rows } = await pool.query<{ position: number; kafka_offset: number }>({
    text: `select position, kafka_offset
           from unnest($4::text[], $5::int[]) with ordinality as wanted (topic, partition, place)
           join projection_checkpoints using (topic, partition)
           where projection = $1 and version = $2 and generation = $3
           order by place`,
    values: [projection.name, version, generation, ...columns],
  })
  if (rows.length < partitions.length) throw new Error(`${projection.name}.v${version} is retired`)
  return rows.map(({ position, kafka_offset }) => ({ position, offset: kafka_offset }))
}

/**
 * Readers see from `current_at` how fresh an idle read model is, and a new generation goes live by it: it may be too old, never too
 * young. A lost update costs a second of it, so it need not reach the disk.
 */
async function noteCaughtUp(
  pool: pg.Pool,
  { projection, version, generation }: ProjectionTarget,
  partitions: readonly Partition[],
  askedAt: number,
): Promise<void> {
  await inTransaction(pool, async (tx) => {
    await tx.query('set local synchronous_commit = off')
    await tx.query({
      name: 'note-caught-up',
      // Rows that a batch holds are skipped: that batch brings its own news.
      text: `update projection_checkpoints set current_at = now() - $4 * interval '1 millisecond'
             where (projection, version, topic, generation, partition) in (
               select projection, version, topic, generation, partition
               from projection_checkpoints
               where projection = $1 and version = $2 and generation = $3
                 and (topic, partition) in (select * from unnest($5::text[], $6::int[]))
               for update skip locked)`,
      values: [
        projection.name,
        version,
        generation,
        // now() is the instant of `begin`, which lies behind us: waiting, before it or from here on, makes nothing younger.
        performance.now() - askedAt,
        partitions.map(({ topic }) => topic),
        partitions.map(({ partition }) => partition),
      ],
    })
  })
}
