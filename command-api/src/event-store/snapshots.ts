/**
 * Snapshots of streams that grow for ever (a member's account): the folded state up to some event, kept beside the log, so that loading
 * reads the snapshot and the events behind it. A snapshot is a cache and never the truth: it is written after the commit and outside of
 * it, counts only while the very event it was folded up to is there, and is ignored when its shape is not the current one.
 */
import { withTenant } from '@portolan/infra/postgres.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type pg from 'pg'
import type { StreamType } from './stream-type.ts'

export interface Snapshot {
  tenantId: string
  stream: string
  schema: number
  /** The last event in `state`, by its number and its id: after a restore another one may have the number. */
  version: number
  eventId: string
  /** Plain JSON. */
  state: unknown
}

/**
 * Keeps a snapshot in place of the one of its shape. The later writer wins, even with an older state: a snapshot from before a restore would
 * otherwise stand for ever. pool: with `pipeline`.
 */
export async function writeSnapshot(pool: pg.Pool, snapshot: Snapshot): Promise<void> {
  const { tenantId, stream, schema, version, eventId, state } = snapshot
  await withTenant(pool, tenantId, [
    {
      name: 'write-snapshot',
      text: `
        insert into stream_snapshots (tenant_id, stream, schema, version, event_id, state)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (tenant_id, stream, schema) do update
        set version = excluded.version, event_id = excluded.event_id, state = excluded.state`,
      values: [tenantId, stream, schema, version, eventId, JSON.stringify(state)],
    },
  ])
}

/** What is known of a stream after a command. */
export interface AfterCommand {
  tenantId: string
  stream: string
  type: StreamType<unknown, { type: string; data: unknown }>
  state: unknown
  version: number
  /** Of its last event. */
  eventId: string
  /** Events that were folded behind the snapshot, or from the beginning. */
  folded: number
}

/** Writes snapshots behind the commands' backs; nobody waits for one, and one that fails is made by a later command. */
export function createSnapshots(pool: pg.Pool, metrics: Metrics) {
  const written = metrics.counter('stream_snapshots_total', 'Snapshots of long streams', ['outcome'])
  const underWay = new Map<string, Promise<void>>()

  /** Takes a snapshot when enough events lie behind the last one. */
  function keep({ type, folded, ...after }: AfterCommand): void {
    const { tenantId, stream } = after
    const key = `${tenantId}/${stream}`
    if (!type.snapshots || folded < type.snapshots.everyEvents || underWay.has(key)) return
    const writing = writeSnapshot(pool, { ...after, schema: type.snapshots.schema })
      .then(() => written.inc({ outcome: 'written' }))
      .catch(() => written.inc({ outcome: 'failed' }))
      .finally(() => underWay.delete(key))
    underWay.set(key, writing)
  }

  /** Waits for those being written. */
  const settle = async (): Promise<void> => void (await Promise.all(underWay.values()))

  return { keep, settle }
}
