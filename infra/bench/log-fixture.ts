/**
 * A log to measure with: bookings of eleven events each, from request to confirmation, in the shapes of the committed samples; streams
 * lie interleaved, as they do under load. Always the same events for the same number.
 */
import { readFileSync } from 'node:fs'
import { topics } from '@portolan/schemas/topics.ts'
import pg from 'pg'
import { ROOT } from '../launch/paths.ts'

/** In the order in which a booking has them. */
const LIFE = [
  'BookingRequested.v1',
  'StepRequested.v1',
  'AttemptStarted.v1',
  'HoldPlaced.v1',
  'StepRequested.v1',
  'AttemptStarted.v1',
  'AttemptEnded.v1',
  'PaymentDeducted.v1',
  'StepRequested.v1',
  'AttemptStarted.v1',
  'BookingConfirmed.v2',
]
const PARTITIONS = 16
/** A booking's next event follows after the events of this many others. */
const INTERLEAVED = 50
const BOOKINGS_PER_STATEMENT = 1_000

/** Fills an empty write database with at least `events` events of the bookings topic. adminUrl: superuser's. Returns how many. */
export async function fillLog(adminUrl: string, events: number): Promise<number> {
  const client = new pg.Client(adminUrl)
  await client.connect()
  try {
    await client.query('select register_topics($1, $2)', [Object.values(topics), PARTITIONS])
    await client.query('select extend_events()')
    const bookings = Math.ceil(events / LIFE.length)
    for (let from = 0; from < bookings; from += BOOKINGS_PER_STATEMENT) {
      await client.query(insertBookings, [
        topics.bookings,
        PARTITIONS,
        from,
        Math.min(from + BOOKINGS_PER_STATEMENT, bookings) - 1,
        JSON.stringify(LIFE.map(sample)),
        INTERLEAVED,
      ])
      await client.query(raiseHeads, [topics.bookings])
    }
    await client.query('analyze events')
    return bookings * LIFE.length
  } finally {
    await client.end()
  }
}

function sample(name: string, place: number) {
  const [type, version] = name.split('.v')
  const data = JSON.parse(readFileSync(`${ROOT}/schemas/samples/${topics.bookings}/${name}.json`, 'utf8'))
  return { type, version: Number(version), place: place + 1, data }
}

const insertBookings = `
  insert into events (topic, partition, position, event_id, tenant_id, stream, stream_version, type, schema_version, data, metadata, recorded_at)
  select $1, b % $2, h.position + row_number() over (partition by b % $2 order by b + place * $6, b), gen_random_uuid(), 'benchmark',
         'booking-' || id, place, type, version,
         case when type = 'BookingRequested' then jsonb_set(data, '{bookingId}', to_jsonb(id)) else data end,
         jsonb_build_object('correlationId', id, 'causationId', null, 'actor', '{"kind": "member", "id": "BM0000001"}'::jsonb),
         clock_timestamp()
  from generate_series($3::int, $4::int) b
  cross join lateral (select 'bkg_' || lpad(to_hex(b), 24, '0') as id) named
  cross join jsonb_to_recordset($5) as life (type text, version int, place int, data jsonb)
  join log_heads h on h.topic = $1 and h.partition = b % $2`

const raiseHeads = `
  update log_heads h set position = e.position
  from (select partition, max(position) as position from events where topic = $1 group by partition) e
  where h.topic = $1 and h.partition = e.partition`
