/**
 * Parked streams of projections: the event that could not be applied, its followers, the reason, and the retry.
 *
 *   applied ──► parked ──► (retry asked for) ──► applied        the whole sequence went through
 *                  ▲              └──► parked                   it failed again, at this or a later event
 *
 * The row in parked_streams is locked by whoever adds followers and by whoever retries, so an event is either applied
 * behind the retried ones or becomes one of them, never neither.
 */
import type { TopicName } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import { reach } from '../kill-points.ts'
import { inTransaction } from '../postgres.ts'
import { applyUnderSavepoint, type ProjectionTarget, projected, projectionTx, type ReadEvent } from './projection.ts'
import { type ConsumedEvent, readRecord, storable } from './record.ts'

/** A stream's identity across tenants. */
export const keyOfStream = ({ tenantId, stream }: { tenantId: string; stream: string }): string =>
  `${tenantId} ${stream}`

/** Parks a stream at the event that could not be applied. reason: at most 500 characters, no personal data. */
export async function parkEvent(
  tx: pg.PoolClient,
  target: ProjectionTarget,
  event: ConsumedEvent,
  reason: string,
): Promise<void> {
  const { tenantId, stream, topic, partition, position } = event
  await tx.query({
    text: `insert into parked_streams (projection, version, tenant_id, stream, topic, generation, partition, position, reason)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    values: [
      target.projection.name,
      target.version,
      tenantId,
      stream,
      topic,
      target.generation,
      partition,
      position,
      reason,
    ],
  })
  await parkFollowers(tx, target, [event])
}

/** Adds events to their parked streams. */
export async function parkFollowers(
  tx: pg.PoolClient,
  { projection, version }: ProjectionTarget,
  events: readonly ConsumedEvent[],
): Promise<void> {
  if (events.length === 0) return
  await tx.query({
    text: `insert into parked_events (projection, version, tenant_id, stream, position, value)
           select $1, $2, * from unnest($3::text[], $4::text[], $5::bigint[], $6::text[])
           on conflict do nothing`,
    values: [
      projection.name,
      version,
      events.map(({ tenantId }) => tenantId),
      events.map(({ stream }) => stream),
      events.map(({ position }) => position),
      // What Postgres cannot keep is unreadable with or without it.
      events.map(({ value }) => storable(value)),
    ],
  })
}

export interface RetryOutcome {
  tenantId: string
  stream: string
  applied: number
  /** Null when the stream is no longer parked. */
  failure: string | null
}

interface ParkedRow {
  tenant_id: string
  stream: string
  topic: TopicName
  partition: number
}

/** Events of one retry transaction; a longer sequence takes several, in order. */
const retryBatchSize = 200

/**
 * Retries one parked stream that somebody asked for: applies its events in order as far as they go. What went through
 * stays applied; at a failure the rest stays parked. Returns null when nobody asked for any.
 */
export async function retryParked(
  deps: { pool: pg.Pool; readEvent: ReadEvent },
  target: ProjectionTarget,
): Promise<RetryOutcome | null> {
  const { projection, version } = target
  return inTransaction(deps.pool, async (tx) => {
    const asked = await tx.query<ParkedRow>({
      text: `select tenant_id, stream, topic, partition from parked_streams
             where projection = $1 and version = $2 and retry_requested_at is not null
             order by retry_requested_at limit 1
             for update skip locked`,
      values: [projection.name, version],
    })
    const parked = asked.rows[0]
    if (!parked) return null
    const key = [projection.name, version, parked.tenant_id, parked.stream]
    const { rows } = await tx.query<{ position: number; value: string }>({
      text: `select position, value from parked_events
             where projection = $1 and version = $2 and tenant_id = $3 and stream = $4
             order by position limit $5`,
      values: [...key, retryBatchSize],
    })
    let failure: string | null = null
    let lastApplied = 0
    let applied = 0
    for (const { position, value } of rows) {
      failure = await applyUnderSavepoint(tx, async () => {
        const event = parkedEvent(parked, position, value)
        await projection.apply([projected(deps.readEvent, event)], projectionTx(tx, target))
      })
      if (failure !== null) break
      lastApplied = position
      applied += 1
    }
    await tx.query({
      text: 'delete from parked_events where projection = $1 and version = $2 and tenant_id = $3 and stream = $4 and position <= $5',
      values: [...key, lastApplied],
    })
    await settle(tx, key, failure, rows.length === retryBatchSize)
    reach('before-commit')
    return { tenantId: parked.tenant_id, stream: parked.stream, applied, failure }
  })
}

async function settle(tx: pg.PoolClient, key: unknown[], failure: string | null, isMore: boolean): Promise<void> {
  const where = 'where projection = $1 and version = $2 and tenant_id = $3 and stream = $4'
  if (failure === null && !isMore) await tx.query(`delete from parked_streams ${where}`, key)
  else
    await tx.query({
      text: `update parked_streams
             set attempts = attempts + 1, tried_at = now(), reason = coalesce($5, reason),
                 retry_requested_at = case when $5::text is null then retry_requested_at end,
                 position = coalesce((select min(position) from parked_events ${where}), position)
             ${where}`,
      values: [...key, failure],
    })
}

function parkedEvent(parked: ParkedRow, position: number, value: string): ConsumedEvent {
  const headers = { position: String(position), tenant: parked.tenant_id, stream: parked.stream }
  const event = readRecord(parked.topic, parked.partition, { offset: 0, value, headers })
  if (!event) throw new Error('a parked event has lost its place')
  return event
}
