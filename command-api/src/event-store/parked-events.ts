/**
 * Events that a consumer without a database of its own could not handle, with their followers, until an operator releases
 * the stream. Rows of the platform across tenants: reached by service token and by operators only.
 */
import type pg from 'pg'

export interface ParkedEvent {
  tenantId: string
  stream: string
  streamVersion: number
  /** The envelope, or `{ unreadable: <the value> }`. */
  envelope: unknown
  /** Why it could not be handled; null for followers. */
  reason: string | null
}

export interface ParkedStream {
  tenantId: string
  stream: string
  events: number
  reason: string | null
  /** UTC instant. */
  parkedAt: string
}

const STREAMS_MAX = 10_000

/** Keeps the events; one that is parked already stays as it is. */
export async function parkEvents(pool: pg.Pool, consumer: string, events: readonly ParkedEvent[]): Promise<void> {
  await pool.query(
    `insert into parked_events (consumer, tenant_id, stream, stream_version, envelope, reason)
     select $1, tenant_id, stream, stream_version, envelope, reason
     from jsonb_to_recordset($2) as e(tenant_id text, stream text, stream_version bigint, envelope jsonb, reason text)
     on conflict do nothing`,
    [
      consumer,
      JSON.stringify(
        events.map(({ tenantId, stream, streamVersion, envelope, reason }) => ({
          tenant_id: tenantId,
          stream,
          stream_version: streamVersion,
          envelope,
          reason,
        })),
      ),
    ],
  )
}

/** The parked streams of a consumer, oldest first, at most 10,000. */
export async function listParkedStreams(pool: pg.Pool, consumer: string): Promise<ParkedStream[]> {
  const { rows } = await pool.query<{
    tenant_id: string
    stream: string
    events: number
    reason: string | null
    parked_at: Date
  }>(
    `select tenant_id, stream, count(*) as events, min(parked_at) as parked_at,
       (array_agg(reason order by stream_version) filter (where reason is not null))[1] as reason
     from parked_events
     where consumer = $1
     group by tenant_id, stream
     order by min(parked_at)
     limit $2`,
    [consumer, STREAMS_MAX],
  )
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    stream: row.stream,
    events: row.events,
    reason: row.reason,
    parkedAt: row.parked_at.toISOString(),
  }))
}

/**
 * Takes a stream's events out and returns them in stream order, for whoever handles them again; what fails is parked anew.
 * Dispatch needs nothing more than the release: the sweep finds the open steps.
 */
export async function releaseParkedStream(
  pool: pg.Pool,
  consumer: string,
  tenantId: string,
  stream: string,
): Promise<ParkedEvent[]> {
  const { rows } = await pool.query<{ stream_version: number; envelope: unknown; reason: string | null }>(
    `with released as (
       delete from parked_events where consumer = $1 and tenant_id = $2 and stream = $3
       returning stream_version, envelope, reason
     )
     select * from released order by stream_version`,
    [consumer, tenantId, stream],
  )
  return rows.map((row) => ({
    tenantId,
    stream,
    streamVersion: row.stream_version,
    envelope: row.envelope,
    reason: row.reason,
  }))
}
