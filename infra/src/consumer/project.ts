/**
 * Projections: events in, rows out. One transaction per batch holds the checkpoint's compare-and-set, the rows, and what
 * had to be parked, so a killed process, an evicted group member or a repeated batch leaves no trace or a whole one.
 *
 * When a batch fails on its content it is applied again event by event, each under a savepoint; the event that fails is
 * parked and so are, from then on, all later events of its stream (`parking.ts`). Everything else flows.
 */
import type pg from 'pg'
import { reach } from '../kill-points.ts'
import { inTransaction } from '../postgres.ts'
import { type Checkpoint, CheckpointMoved, type EventBatch, type Partition, type Sink } from './consume.ts'
import { keyOfStream, lockParked, parkEvent, parkFollowers } from './parking.ts'
import { applyUnderSavepoint, type ProjectionTarget, projected, projectionTx, type ReadEvent } from './projection.ts'
import type { ConsumedEvent } from './record.ts'
import { isTransient } from './transient.ts'

/** Events per transaction when a batch is applied event by event, so that it still ends within a second. */
const carefulBatchSize = 50

/** The sink that keeps progress in `projection_checkpoints` beside the rows. pool: role portolan_projections. */
export function createPostgresSink(
  deps: { pool: pg.Pool; readEvent: ReadEvent; onParked?(event: ConsumedEvent, reason: string): void },
  target: ProjectionTarget,
): Sink {
  const { pool } = deps

  async function applyTogether(batch: EventBatch): Promise<void> {
    await inTransaction(pool, async (tx) => {
      const parked = await moveCheckpoint(tx, target, batch)
      await parkFollowers(
        tx,
        target,
        batch.events.filter((event) => handles(target, event) && parked.has(keyOfStream(event))),
      )
      const due = batch.events.filter((event) => handles(target, event) && !parked.has(keyOfStream(event)))
      if (due.length > 0) {
        await target.projection.apply(
          due.map((event) => projected(deps.readEvent, event)),
          projectionTx(tx, target),
        )
      }
      reach('before-commit')
    })
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
    const parked = await moveCheckpoint(tx, target, batch)
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
  }

  return {
    load: (partitions) => loadCheckpoints(pool, target, partitions),
    async apply(batch) {
      try {
        await applyTogether(batch)
      } catch (error) {
        if (error instanceof CheckpointMoved || isTransient(error)) throw error
        await applyOneByOne(batch)
      }
    },
    caughtUp: (partitions, agoMs) => noteCaughtUp(pool, target, partitions, agoMs),
  }
}

function handles({ projection }: ProjectionTarget, { topic, type, envelope }: ConsumedEvent): boolean {
  // What cannot be read might be anything, so it counts as handled.
  return envelope === null || (projection.handles[topic]?.includes(type) ?? false)
}

/**
 * Moves the checkpoint, which locks it against every other member of the group until commit, and returns the keys of the
 * batch's streams that are parked, locked against a retry that may be under way. Throws CheckpointMoved.
 */
async function moveCheckpoint(tx: pg.PoolClient, target: ProjectionTarget, batch: EventBatch): Promise<Set<string>> {
  const { projection, version, generation } = target
  const moved = await tx.query({
    name: 'move-checkpoint',
    text: `update projection_checkpoints set position = $6, kafka_offset = $7, applied_at = now()
           where projection = $1 and version = $2 and topic = $3 and generation = $4 and partition = $5 and position = $8`,
    values: [
      projection.name,
      version,
      batch.topic,
      generation,
      batch.partition,
      batch.to.position,
      batch.to.offset,
      batch.from.position,
    ],
  })
  if (moved.rowCount !== 1) throw new CheckpointMoved()
  return lockParked(tx, target, batch.events)
}

/** Creates missing rows, so that the compare-and-set always has one to work on. */
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
  return rows.map(({ position, kafka_offset }) => ({ position, offset: kafka_offset }))
}

/** Readers see from `current_at` how fresh an idle read model is. A lost update costs a second of it, so it need not reach the disk. */
async function noteCaughtUp(
  pool: pg.Pool,
  { projection, version, generation }: ProjectionTarget,
  partitions: readonly Partition[],
  agoMs: number,
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
        agoMs,
        partitions.map(({ topic }) => topic),
        partitions.map(({ partition }) => partition),
      ],
    })
  })
}
