/**
 * The index of a version: which property stands where, and which nights of it are taken (migration 000022).
 *
 * One batch at a time changes it: the lock of the version is taken after the rows are written and held until commit. Whoever gives a night back
 * therefore sees every reservation whose bit is set already, and one whose row it cannot see yet sets its bit afterwards.
 *
 * Statements that join have no name, here and beside: prepared on the empty tables of a rebuild they would scan them for as long as the
 * connection lasts.
 */
import type { ProjectionTx } from '@portolan/infra/consumer/projection.ts'
import { NIGHTS_MAX } from '@portolan/schemas/stays/periods.ts'
import type { PropertyRow } from './properties.ts'
import type { ReservationRow } from './reservations.ts'

/** Nights of a property. */
interface Taken {
  tenantId: string
  propertyId: string
  startDate: string
  nights: number
}

const none = "repeat('0', 1024)::bit(1024)"
const oneSlot = `bit_or(set_bit(${none}, x.slot, 1))`

/** Brings the index up to the rows that a batch changed. */
export async function indexStays(
  tx: ProjectionTx,
  properties: readonly PropertyRow[],
  reservations: readonly ReservationRow[],
): Promise<void> {
  const taken = reservations.flatMap((row) => (row.status === 'reserved' ? nightsOf(row, row.period) : []))
  const left = reservations.flatMap((row) => (row.before ? nightsOf(row, row.before) : []))
  await tx.query({
    name: `lock-index-${tx.schema}`,
    text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))',
    values: [tx.schema],
  })
  await place(tx, [...properties, ...reservations])
  if (left.length > 0) await giveBack(tx, left)
  if (taken.length > 0) await take(tx, taken)
  if (properties.length > 0) await show(tx, properties)
}

async function place(tx: ProjectionTx, rows: readonly { tenantId: string; propertyId: string }[]): Promise<void> {
  await tx.query({
    name: `place-${tx.schema}`,
    text: `select place_stay_properties($1, tenant, array_agg(property))
           from unnest($2::text[], $3::text[]) as t (tenant, property) group by tenant`,
    values: [tx.schema, rows.map(({ tenantId }) => tenantId), rows.map(({ propertyId }) => propertyId)],
  })
}

async function take(tx: ProjectionTx, nights: readonly Taken[]): Promise<void> {
  await tx.query({
    text: `insert into ${tx.schema}.index_nights as n (tenant_id, block, day, taken)
           select x.tenant_id, x.block, t.start_date + nth, ${oneSlot}
           from unnest($1::text[], $2::text[], $3::date[], $4::integer[]) as t (tenant_id, property_id, start_date, nights)
           join ${tx.schema}.index_places x using (tenant_id, property_id)
           cross join generate_series(0, t.nights - 1) as nth
           group by 1, 2, 3
           on conflict (tenant_id, block, day) do update set taken = n.taken | excluded.taken`,
    values: columnsOf(nights),
  })
}

/**
 * But for the nights that another reservation of the property has: it may have been made, and applied, before this one was given up. Those of a
 * property are read once, by range, however many nights are given back.
 */
async function giveBack(tx: ProjectionTx, nights: readonly Taken[]): Promise<void> {
  await tx.query({
    text: `with given as (
             select * from unnest($1::text[], $2::text[], $3::date[], $4::integer[]) as t (tenant_id, property_id, start_date, nights)
           ),
           held as (
             select r.tenant_id, r.property_id, r.start_date + nth as day
             from (
               select tenant_id, property_id, min(start_date) as first_day, max(start_date + nights) as end_day from given group by 1, 2
             ) as span
             join ${tx.schema}.stay_reservations r
               on r.tenant_id = span.tenant_id and r.property_id = span.property_id and r.status = 'reserved'
               and r.start_date > span.first_day - ${NIGHTS_MAX} and r.start_date < span.end_day
             cross join generate_series(0, r.nights - 1) as nth
           ),
           left_nights as (
             select tenant_id, property_id, start_date + nth as day from given cross join generate_series(0, nights - 1) as nth
             except select * from held
           ),
           free as (
             select x.tenant_id, x.block, l.day, ${oneSlot} as slots
             from left_nights l join ${tx.schema}.index_places x using (tenant_id, property_id) group by 1, 2, 3
           )
           update ${tx.schema}.index_nights n set taken = n.taken & ~free.slots
           from free where n.tenant_id = free.tenant_id and n.block = free.block and n.day = free.day`,
    values: columnsOf(nights),
  })
}

/** Registered properties are found, retired ones are not. */
async function show(tx: ProjectionTx, properties: readonly PropertyRow[]): Promise<void> {
  await tx.query({
    text: `with changed as (
             select x.tenant_id, x.block, ${oneSlot} as slots, coalesce(${oneSlot} filter (where not t.is_retired), ${none}) as live
             from unnest($1::text[], $2::text[], $3::boolean[]) as t (tenant_id, property_id, is_retired)
             join ${tx.schema}.index_places x using (tenant_id, property_id)
             group by 1, 2
           )
           update ${tx.schema}.index_blocks b set live = (b.live & ~changed.slots) | changed.live
           from changed where b.tenant_id = changed.tenant_id and b.block = changed.block`,
    values: [
      properties.map(({ tenantId }) => tenantId),
      properties.map(({ propertyId }) => propertyId),
      properties.map(({ isRetired }) => isRetired),
    ],
  })
}

const nightsOf = (
  { tenantId, propertyId }: ReservationRow,
  { startDate, nights }: { startDate: string; nights: number },
): Taken[] => [{ tenantId, propertyId, startDate, nights }]

const columnsOf = (nights: readonly Taken[]) => [
  nights.map(({ tenantId }) => tenantId),
  nights.map(({ propertyId }) => propertyId),
  nights.map(({ startDate }) => startDate),
  nights.map(({ nights: count }) => count),
]
