/** A member's bookings out of the read models. The tenant comes first in every function; row-level security is the second lock. */
import { withTenant } from '@portolan/infra/postgres.ts'
import type { BookingDetails } from '@portolan/schemas/bookings/read-models.ts'
import { type BookingStatus, statusesListed } from '@portolan/schemas/bookings/statuses.ts'
import type { ListBookingsQuery } from '@portolan/schemas/bookings/views.ts'
import type pg from 'pg'

export interface BookingRow {
  tenant_id: string
  booking_id: string
  member_id: string
  status: BookingStatus
  flight_number: string
  origin: string
  destination: string
  departure_date: string
  loyalty_amount: number
  loyalty_currency: string
  created_at: Date
  updated_at: Date
}

/** The columns of a BookingRow in `booking_list`. */
export const bookingRowColumns = `tenant_id, booking_id, member_id, status, flight_number, origin, destination,
  departure_date::text, loyalty_amount, loyalty_currency, created_at, updated_at`

/** One booking of this member; null for any other id, another member's and another tenant's included. */
export async function findBooking(
  pool: pg.Pool,
  tenantId: string,
  memberId: string,
  bookingId: string,
): Promise<BookingDetails | null> {
  const [found] = await withTenant(pool, tenantId, [
    {
      name: 'find-booking',
      text: `select details from read_models.booking_details
             where tenant_id = $1 and booking_id = $2 and member_id = $3`,
      values: [tenantId, bookingId, memberId],
    },
  ])
  return found?.rows[0]?.details ?? null
}

/**
 * One page of a member's bookings, newest first, and how many match in all. One statement, so that both are of one snapshot: a page and
 * a total from two would now and then disagree about whether there is more.
 */
export async function listBookings(
  pool: pg.Pool,
  tenantId: string,
  memberId: string,
  { status, createdFrom, createdBefore, limit, offset }: ListBookingsQuery,
): Promise<{ rows: BookingRow[]; total: number }> {
  const matching = `from read_models.booking_list
    where tenant_id = $1 and member_id = $2 and status = any($3)
      and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)`
  const [found] = await withTenant(pool, tenantId, [
    {
      name: 'list-bookings',
      text: `select total, page.*
        from (select count(*) as total ${matching}) counted
        left join (
          select ${bookingRowColumns} ${matching}
          order by created_at desc, booking_id desc limit $6 offset $7
        ) page on true
        order by created_at desc, booking_id desc`,
      values: [tenantId, memberId, statusesListed(status), createdFrom ?? null, createdBefore ?? null, limit, offset],
    },
  ])
  const rows = found?.rows ?? []
  // A page beyond the end is one row with the total alone.
  return { rows: rows.filter((row) => row.booking_id !== null), total: rows[0]?.total ?? 0 }
}
