/**
 * Events that a consumer without a database of its own could not handle, with their followers, until a retry goes through.
 * Rows of the platform across tenants: reached by service token and by operators only.
 *
 *   (handled) ──► parked ──► asked for ──► claimed ──► (handled)     every event went through
 *                   ▲                         │ ▲
 *                   └──── it failed again ────┘ └── the process that tried is gone: its claim runs out
 *
 * A stream's row is locked by whoever adds followers and by whoever settles a retry, so an event is either handled behind
 * the retried ones or becomes one of them. An event is deleted only after it was handled: a process that dies in the middle
 * of a retry repeats some, which consumers bear, and loses none.
 */
import { inTransaction } from '@portolan/infra/postgres.ts'
import type pg from 'pg'

export interface StreamName {
  tenantId: string
  stream: string
}

export interface ParkedEvent extends StreamName {
  streamVersion: number
  /** The envelope, or `{ unreadable: <the value> }`. */
  envelope: unknown
  /** Why it could not be handled; null for followers. */
  reason: string | null
}

export interface ParkedStream extends StreamName {
  events: number
  reason: string
  /** UTC instant. */
  parkedAt: string
  /** Whether a retry is asked for and not settled. */
  isAsked: boolean
}

/** Of one page. */
const streamsMax = 1000

/**
 * Keeps the events; one that is parked already stays as it is. Returns those followers whose stream is not parked any more:
 * they are the caller's to handle.
 */
export async function parkEvents(
  pool: pg.Pool,
  consumer: string,
  events: readonly ParkedEvent[],
): Promise<{ free: Pick<ParkedEvent, 'tenantId' | 'stream' | 'streamVersion'>[] }> {
  const given = JSON.stringify(
    events.map(({ tenantId, stream, streamVersion, envelope, reason }) => ({
      tenant_id: tenantId,
      stream,
      stream_version: streamVersion,
      envelope,
      reason,
    })),
  )
  const record =
    'jsonb_to_recordset($2) as e(tenant_id text, stream text, stream_version bigint, envelope jsonb, reason text)'
  return inTransaction(pool, async (tx) => {
    await tx.query(
      `insert into parked_streams (consumer, tenant_id, stream, reason)
       select distinct on (tenant_id, stream) $1, tenant_id, stream, reason from ${record}
       where reason is not null order by tenant_id, stream, stream_version
       -- Locks a row that is there, and waits for one that is about to go: then it is a new one.
       on conflict on constraint parked_streams_pkey do update set reason = parked_streams.reason`,
      [consumer, given],
    )
    // A statement of its own, so that the next one sees what this one had to wait for.
    await tx.query(
      `select from parked_streams where consumer = $1 and (tenant_id, stream) in (select tenant_id, stream from ${record})
       order by tenant_id, stream for update`,
      [consumer, given],
    )
    const { rows } = await tx.query<{ tenant_id: string; stream: string; stream_version: number }>(
      `with parked as (
         insert into parked_events (consumer, tenant_id, stream, stream_version, envelope, reason)
         select $1, tenant_id, stream, stream_version, envelope, e.reason
         from ${record} join parked_streams using (tenant_id, stream)
         where consumer = $1
         on conflict do nothing)
       select tenant_id, stream, stream_version from ${record}
       where not exists (select from parked_streams p where p.consumer = $1 and (p.tenant_id, p.stream) = (e.tenant_id, e.stream))
       order by stream_version`,
      [consumer, given],
    )
    return {
      free: rows.map((row) => ({ tenantId: row.tenant_id, stream: row.stream, streamVersion: row.stream_version })),
    }
  })
}

/** The next parked streams of a consumer behind `after` (default: the first), by tenant and name; a page is empty behind the last. */
export async function listParkedStreams(
  pool: pg.Pool,
  consumer: string,
  after: StreamName = { tenantId: '', stream: '' },
): Promise<ParkedStream[]> {
  const { rows } = await pool.query<{
    tenant_id: string
    stream: string
    events: number
    reason: string
    parked_at: Date
    is_asked: boolean
  }>(
    `select tenant_id, stream, reason, parked_at, retry_requested_at is not null as is_asked,
       (select count(*) from parked_events e where (e.consumer, e.tenant_id, e.stream) = (p.consumer, p.tenant_id, p.stream)) as events
     from parked_streams p
     where consumer = $1 and (tenant_id, stream) > ($2, $3)
     order by tenant_id, stream
     limit $4`,
    [consumer, after.tenantId, after.stream, streamsMax],
  )
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    stream: row.stream,
    events: row.events,
    reason: row.reason,
    parkedAt: row.parked_at.toISOString(),
    isAsked: row.is_asked,
  }))
}

/** How many streams of a consumer are parked, and of how many of them a retry is asked for. */
export async function countParkedStreams(pool: pg.Pool, consumer: string): Promise<{ streams: number; asked: number }> {
  const { rows } = await pool.query<{ streams: number; asked: number }>(
    'select count(*) as streams, count(retry_requested_at) as asked from parked_streams where consumer = $1',
    [consumer],
  )
  return rows[0] ?? { streams: 0, asked: 0 }
}

/** Asks for a retry of a parked stream. Returns whether it is parked. */
export async function askForRetry(pool: pg.Pool, consumer: string, { tenantId, stream }: StreamName): Promise<boolean> {
  const { rowCount } = await pool.query(
    `update parked_streams set retry_requested_at = now()
     where consumer = $1 and tenant_id = $2 and stream = $3`,
    [consumer, tenantId, stream],
  )
  return rowCount === 1
}

/** Of one claim; a longer sequence takes several, in order. An envelope has at most 256 kB. */
const eventsPerClaim = 20

/**
 * Hands the first events of a stream whose retry was asked for to one process for `claimSeconds`, in stream order. Null when
 * there is none that nobody has.
 */
export async function claimRetry(
  pool: pg.Pool,
  consumer: string,
  claimSeconds: number,
): Promise<(StreamName & { events: ParkedEvent[] }) | null> {
  return inTransaction(pool, async (tx) => {
    const claimed = await tx.query<{ tenant_id: string; stream: string }>(
      `update parked_streams set claimed_until = now() + $2 * interval '1 second'
       where (consumer, tenant_id, stream) in (
         select consumer, tenant_id, stream from parked_streams
         where consumer = $1 and retry_requested_at is not null and (claimed_until is null or claimed_until < now())
         order by retry_requested_at limit 1
         for update skip locked)
       returning tenant_id, stream`,
      [consumer, claimSeconds],
    )
    const [row] = claimed.rows
    if (!row) return null
    const name = { tenantId: row.tenant_id, stream: row.stream }
    const { rows } = await tx.query<{ stream_version: number; envelope: unknown; reason: string | null }>(
      `select stream_version, envelope, reason from parked_events
       where consumer = $1 and tenant_id = $2 and stream = $3 order by stream_version limit $4`,
      [consumer, name.tenantId, name.stream, eventsPerClaim],
    )
    const events = rows.map(({ stream_version, envelope, reason }) => {
      return { ...name, streamVersion: stream_version, envelope, reason }
    })
    return { ...name, events }
  })
}

/**
 * Says how a claimed retry went: events up to `handledUpTo` (0: none) are handled and go; with a failure the others stay
 * parked with it, without one they are to be claimed next. A stream without events is parked no longer.
 */
export async function settleRetry(
  pool: pg.Pool,
  consumer: string,
  { tenantId, stream, handledUpTo, failure }: StreamName & { handledUpTo: number; failure: string | null },
): Promise<void> {
  const key = [consumer, tenantId, stream]
  const where = 'where consumer = $1 and tenant_id = $2 and stream = $3'
  await inTransaction(pool, async (tx) => {
    await tx.query(`select from parked_streams ${where} for update`, key)
    await tx.query(`delete from parked_events ${where} and stream_version <= $4`, [...key, handledUpTo])
    await tx.query(
      `update parked_streams
       set claimed_until = null, attempts = attempts + 1, reason = coalesce($4, reason),
         retry_requested_at = case when $4::text is null then retry_requested_at end
       ${where}`,
      [...key, failure],
    )
    await tx.query(`delete from parked_streams ${where} and not exists (select from parked_events ${where})`, key)
  })
}
