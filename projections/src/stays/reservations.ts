/** `stay_reservations`: one row per reservation, cancelled ones included. */
import type { ProjectedEvent, ProjectionTx } from '@portolan/infra/consumer/projection.ts'
import type { Period } from '@portolan/schemas/stays/periods.ts'
import { type StreamRow, streamKey } from '../fold-streams.ts'
import type { ReservationEvent } from './stays.ts'

export interface ReservationRow extends StreamRow {
  reservationId: string
  propertyId: string
  period: Period
  status: 'reserved' | 'cancelled'
  /** What it took before the batch; null when it is new, or took nothing. */
  before: Period | null
}

/** Throws when a reservation does not begin with StayReserved: its stream is parked then. */
export function evolveReservation(
  row: ReservationRow | null,
  event: ProjectedEvent & ReservationEvent,
): ReservationRow {
  const { tenantId, streamVersion, type, data } = event
  const { reservationId, propertyId, startDate, nights } = data
  if (!row && type !== 'StayReserved') throw new Error(`a reservation begins with StayReserved, not with ${type}`)
  return {
    tenantId,
    streamVersion,
    reservationId,
    propertyId,
    period: { startDate, nights },
    status: type === 'StayCancelled' ? 'cancelled' : 'reserved',
    before: row?.before ?? null,
  }
}

interface Stored {
  tenant_id: string
  reservation_id: string
  property_id: string
  start_date: string
  nights: number
  status: 'reserved' | 'cancelled'
  stream_version: number
}

export async function loadReservations(
  tx: ProjectionTx,
  streams: readonly { tenantId: string; stream: string }[],
): Promise<Map<string, ReservationRow>> {
  const { rows } = await tx.query<Stored>({
    text: `select tenant_id, reservation_id, property_id, start_date::text, nights, status, stream_version
           from ${tx.schema}.stay_reservations
           where (tenant_id, reservation_id) in (select * from unnest($1::text[], $2::uuid[]))`,
    values: [streams.map(({ tenantId }) => tenantId), streams.map(({ stream }) => stream.slice('reservation-'.length))],
  })
  return new Map(rows.map((row) => [streamKey(row.tenant_id, `reservation-${row.reservation_id}`), rowOf(row)]))
}

export async function saveReservations(tx: ProjectionTx, rows: readonly ReservationRow[]): Promise<void> {
  await tx.query({
    name: `save-reservations-${tx.schema}`,
    text: `insert into ${tx.schema}.stay_reservations as s
             (tenant_id, reservation_id, property_id, start_date, nights, status, stream_version)
           select tenant_id, reservation_id, property_id, start_date, nights, status, stream_version
           from jsonb_to_recordset($1) as r (tenant_id text, reservation_id uuid, property_id text, start_date date, nights integer,
             status text, stream_version bigint)
           on conflict (tenant_id, reservation_id) do update
           set start_date = excluded.start_date, nights = excluded.nights, status = excluded.status, stream_version = excluded.stream_version
           where s.stream_version < excluded.stream_version`,
    values: [JSON.stringify(rows.map(storedOf))],
  })
}

function rowOf({ start_date: startDate, nights, status, ...row }: Stored): ReservationRow {
  const period = { startDate, nights }
  return {
    tenantId: row.tenant_id,
    reservationId: row.reservation_id,
    propertyId: row.property_id,
    period,
    status,
    before: status === 'reserved' ? period : null,
    streamVersion: row.stream_version,
  }
}

const storedOf = ({ tenantId, reservationId, propertyId, period, status, streamVersion }: ReservationRow): Stored => ({
  tenant_id: tenantId,
  reservation_id: reservationId,
  property_id: propertyId,
  start_date: period.startDate,
  nights: period.nights,
  status,
  stream_version: streamVersion,
})
