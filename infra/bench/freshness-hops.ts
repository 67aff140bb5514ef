/**
 * Where the time goes between a command and its visibility, from what each part wrote down itself: the commit times that Postgres keeps
 * of every row (`track_commit_timestamp`), the time at which the relay handed an event to its producer (in the Kafka record), and the
 * clocks of load and observer. All are clocks of one machine.
 */
import pg from 'pg'
import type { CommandSample } from './freshness-load.ts'
import type { Observations } from './freshness-observer.ts'

/** The instants of one command, UTC ms, in the order in which they come about. */
export interface Hops {
  sentAtMs: number
  committedAtMs: number
  relayedAtMs: number
  inKafkaAtMs: number
  projectedAtMs: number
  visibleAtMs: number
  answeredAtMs: number
}

/** From one instant to another, as the table names it. */
export const HOPS: readonly { what: string; from: keyof Hops; to: keyof Hops }[] = [
  { what: 'command sent → events committed', from: 'sentAtMs', to: 'committedAtMs' },
  { what: 'committed → answered', from: 'committedAtMs', to: 'answeredAtMs' },
  { what: 'committed → read by the relay and handed to its producer', from: 'committedAtMs', to: 'relayedAtMs' },
  { what: 'handed over → in Kafka and with a consumer', from: 'relayedAtMs', to: 'inKafkaAtMs' },
  { what: 'with a consumer → row committed by the projection', from: 'inKafkaAtMs', to: 'projectedAtMs' },
  { what: 'row committed → read over HTTP', from: 'projectedAtMs', to: 'visibleAtMs' },
  { what: 'committed → visible, in all', from: 'committedAtMs', to: 'visibleAtMs' },
]

/** Only cancellations: theirs is the last write to a booking's row, whose commit time therefore still stands. */
export async function hopsOf(
  urls: { writeDatabaseUrl: string; readDatabaseUrl: string },
  samples: readonly CommandSample[],
  observations: Observations,
): Promise<Hops[]> {
  const cancelled = samples.filter(({ kind }) => kind === 'cancel')
  const ids = cancelled.map(({ bookingId }) => bookingId)
  const appended = await commitTimes(
    urls.writeDatabaseUrl,
    `select substr(stream, 9) as id, event_id, extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000 as at_ms
     from events where stream = any($1::text[]) and type = 'BookingCancelled'`,
    ids.map((id) => `booking-${id}`),
  )
  const projected = await commitTimes(
    urls.readDatabaseUrl,
    `select booking_id as id, '' as event_id, extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000 as at_ms
     from booking_details_1.booking_details where booking_id = any($1::text[])`,
    ids,
  )
  return cancelled.flatMap(({ bookingId, sentAtMs, answeredAtMs, visibleAtMs }) => {
    const event = appended.get(bookingId)
    const [relayedAtMs, inKafkaAtMs] = observations.events[event?.eventId ?? ''] ?? []
    const projectedAtMs = projected.get(bookingId)?.atMs
    if (!event || !relayedAtMs || !inKafkaAtMs || !projectedAtMs) return []
    return [{ sentAtMs, committedAtMs: event.atMs, relayedAtMs, inKafkaAtMs, projectedAtMs, answeredAtMs, visibleAtMs }]
  })
}

async function commitTimes(url: string, text: string, ids: readonly string[]) {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const { rows } = await client.query<{ id: string; event_id: string; at_ms: string }>(text, [ids])
    return new Map(rows.map(({ id, event_id, at_ms }) => [id, { eventId: event_id, atMs: Number(at_ms) }]))
  } finally {
    await client.end()
  }
}
