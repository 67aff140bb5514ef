/** `booking_list`: one row per booking for lists and queues, filtered and paged by its own columns. No sealed field. */
import type { ProjectedEvent, Projection, ProjectionTx } from '@portolan/infra/consumer/projection.ts'
import type { BookingProgress } from '@portolan/schemas/bookings/read-models.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { foldStreams, type StreamRow, streamKey } from '../fold-streams.ts'
import { bookingIdOf } from './booking-details.ts'
import { evolveProgress, type ShownEvent, shownEvents, startProgress, statusOf } from './booking-progress.ts'

interface Row extends StreamRow {
  bookingId: string
  progress: BookingProgress
  updatedAt: string
  /** Set by the request alone; null in rows that exist already, where they never change. */
  request: RequestColumns | null
}

interface RequestColumns {
  member_id: string
  flight_number: string
  origin: string
  destination: string
  departure_date: string
  loyalty_amount: number
  loyalty_currency: string
  created_at: string
}

export const bookingList: Projection = {
  name: 'booking_list',
  version: 1,
  handles: { [topics.bookings]: shownEvents },
  apply: (events, tx) =>
    foldStreams<Row>(events, { load: (streams) => loadRows(tx, streams), evolve, save: (rows) => saveRows(tx, rows) }),
}

function evolve(row: Row | null, projected: ProjectedEvent): Row {
  const { tenantId, streamVersion, stream } = projected
  // The consumer lifted the data to the catalogue's current version and checked it there.
  const event = projected as unknown as ShownEvent
  if (event.type === 'BookingRequested') {
    const { offer, price, memberId, at } = event.data
    const request: RequestColumns = {
      member_id: memberId,
      flight_number: offer.outbound.flightNumber,
      origin: offer.outbound.departure.airport,
      destination: offer.outbound.arrival.airport,
      departure_date: offer.outbound.departure.localTime.slice(0, 10),
      loyalty_amount: price.loyaltyAmount,
      loyalty_currency: price.loyaltyCurrency,
      created_at: at,
    }
    return { tenantId, streamVersion, bookingId: bookingIdOf(stream), progress: startProgress, updatedAt: at, request }
  }
  if (!row) throw new Error(`a booking begins with BookingRequested, not with ${event.type}`)
  return { ...row, progress: evolveProgress(row.progress, event), updatedAt: event.data.at }
}

async function loadRows(
  tx: ProjectionTx,
  streams: readonly { tenantId: string; stream: string }[],
): Promise<Map<string, Row>> {
  const { rows } = await tx.query<{
    tenant_id: string
    booking_id: string
    progress: BookingProgress
    updated_at: string
    stream_version: number
  }>({
    name: `load-${tx.schema}`,
    text: `select tenant_id, booking_id, progress, updated_at::text, stream_version from ${tx.schema}.booking_list
           where (tenant_id, booking_id) in (select * from unnest($1::text[], $2::text[]))`,
    values: [streams.map(({ tenantId }) => tenantId), streams.map(({ stream }) => bookingIdOf(stream))],
  })
  return new Map(
    rows.map((row) => [
      streamKey(row.tenant_id, `booking-${row.booking_id}`),
      {
        tenantId: row.tenant_id,
        bookingId: row.booking_id,
        progress: row.progress,
        updatedAt: row.updated_at,
        streamVersion: row.stream_version,
        request: null,
      },
    ]),
  )
}

async function saveRows(tx: ProjectionTx, rows: readonly Row[]): Promise<void> {
  const started = rows.filter(({ request }) => request !== null)
  const continued = rows.filter(({ request }) => request === null)
  if (started.length > 0)
    await tx.query({
      name: `start-${tx.schema}`,
      text: `insert into ${tx.schema}.booking_list
               (tenant_id, booking_id, member_id, status, flight_number, origin, destination, departure_date,
                loyalty_amount, loyalty_currency, progress, created_at, updated_at, stream_version)
             select tenant_id, booking_id, member_id, status, flight_number, origin, destination, departure_date,
                loyalty_amount, loyalty_currency, progress, created_at, updated_at, stream_version
             from jsonb_to_recordset($1) as r (tenant_id text, booking_id text, member_id text, status text,
               flight_number text, origin text, destination text, departure_date date, loyalty_amount bigint,
               loyalty_currency text, progress jsonb, created_at timestamptz, updated_at timestamptz, stream_version bigint)
             on conflict do nothing`,
      values: [JSON.stringify(started.map((row) => ({ ...changingColumns(row), ...row.request })))],
    })
  if (continued.length > 0)
    await tx.query({
      name: `continue-${tx.schema}`,
      text: `update ${tx.schema}.booking_list b
             set status = r.status, progress = r.progress, updated_at = r.updated_at, stream_version = r.stream_version
             from jsonb_to_recordset($1) as r (tenant_id text, booking_id text, status text, progress jsonb,
               updated_at timestamptz, stream_version bigint)
             where b.tenant_id = r.tenant_id and b.booking_id = r.booking_id and b.stream_version < r.stream_version`,
      values: [JSON.stringify(continued.map(changingColumns))],
    })
}

function changingColumns({ tenantId, bookingId, progress, updatedAt, streamVersion }: Row) {
  return {
    tenant_id: tenantId,
    booking_id: bookingId,
    status: statusOf(progress),
    progress,
    updated_at: updatedAt,
    stream_version: streamVersion,
  }
}
