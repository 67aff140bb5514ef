/** Stays out of the read models, all of the one tenant that stays belong to. */
import { isTransient } from '@portolan/infra/consumer/transient.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { type Days, dayText, type Period } from '@portolan/schemas/stays/periods.ts'
import { type SearchStaysQuery, STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import type pg from 'pg'

export interface FoundRow {
  property_id: string
  description: string
  capacity: number | null
  price_minor: number | null
  price_currency: string | null
  latitude: number | null
  longitude: number | null
}

export interface ReservationRow extends Period {
  reservationId: string
  propertyId: string
  status: 'reserved' | 'cancelled'
}

const reservationColumns = `reservation_id as "reservationId", property_id as "propertyId", start_date::text as "startDate", nights, status`

/** Properties with none of these nights taken, by id, behind `after`: one more than the page has, where there is one. */
export async function searchStays(
  pool: pg.Pool,
  nights: Days,
  after: string | null,
  { limit, text, guests, currency, price_min, price_max, bounds }: SearchStaysQuery,
): Promise<FoundRow[]> {
  const [south = null, west = null, north = null, east = null] = bounds ?? []
  const [found] = await ofStays(pool, [
    {
      name: 'search-stays',
      text: 'select * from search_stays($1, $2::date, $3::date, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)',
      values: [
        STAYS_TENANT,
        sqlDay(nights.from),
        sqlDay(nights.until),
        after,
        limit + 1,
        text === undefined ? null : `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`,
        guests ?? null,
        currency ?? null,
        price_min ?? null,
        price_max ?? null,
        south,
        west,
        north,
        east,
      ],
    },
  ])
  return found?.rows ?? []
}

/** One reservation; null for an unknown id. */
export async function findReservation(pool: pg.Pool, reservationId: string): Promise<ReservationRow | null> {
  const [found] = await ofStays(pool, [
    {
      name: 'find-reservation',
      text: `select ${reservationColumns} from read_models.stay_reservations where tenant_id = $1 and reservation_id = $2`,
      values: [STAYS_TENANT, reservationId],
    },
  ])
  return found?.rows[0] ?? null
}

/** Reservations of a property that stand, by date, behind `after`: one more than the page has, where there is one. Null for an unknown property. */
export async function listReservations(
  pool: pg.Pool,
  propertyId: string,
  after: readonly [startDate: string, reservationId: string] | null,
  limit: number,
): Promise<ReservationRow[] | null> {
  const [property, reservations] = await ofStays(pool, [
    {
      name: 'property-exists',
      text: 'select 1 from read_models.stay_properties where tenant_id = $1 and property_id = $2',
      values: [STAYS_TENANT, propertyId],
    },
    {
      name: 'list-reservations',
      text: `select ${reservationColumns} from read_models.stay_reservations
             where tenant_id = $1 and property_id = $2 and status = 'reserved'
               and (start_date, reservation_id) > (coalesce($3::date, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
             order by start_date, reservation_id limit $5`,
      values: [STAYS_TENANT, propertyId, after?.[0] ?? null, after?.[1] ?? null, limit + 1],
    },
  ])
  return property?.rowCount === 0 ? null : (reservations?.rows ?? [])
}

/** Postgres writes years before the first one otherwise; a search under `closed` may look at the day before 0001-01-01. */
const sqlDay = (day: number): string => (day < FIRST_DAY ? '0001-01-01' : day > LAST_DAY ? '10000-01-01' : dayText(day))
const FIRST_DAY = Date.parse('0001-01-01T00:00:00Z') / 86_400_000
const LAST_DAY = Date.UTC(9999, 11, 31) / 86_400_000

/** Rejects: unavailable while the database is away or too busy. */
async function ofStays(pool: pg.Pool, queries: readonly pg.QueryConfig[]): Promise<pg.QueryResult[]> {
  try {
    return await withTenant(pool, STAYS_TENANT, queries)
  } catch (error) {
    if (isTransient(error)) throw new Rejection('unavailable', 'Try again in a moment', { retry_after: 1 })
    throw error
  }
}
