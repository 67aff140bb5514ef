/** What staff ask of `booking_list` and `booking_details`. Texts differ with the filter, so that each uses its index. */
import type { BookingStatus } from '@portolan/schemas/bookings/statuses.ts'
import type pg from 'pg'
import { bookingRowColumns } from './read-bookings.ts'

export interface BookingFilter {
  tenantId?: string
  status?: BookingStatus
  /** Only those of which a conclusion is disputed and nothing is unknown: the rest of the queue of unknown outcomes. */
  isDisputed?: true
  /** UTC days, inclusive. */
  createdFromDate?: string
  createdToDate?: string
  /** Rows wanted. */
  limit: number
  /** Sort key of the row before the page: created_at, tenant, booking. */
  after: readonly [string, string, string] | null
  order: 'newest first' | 'oldest first'
}

/** One page, and one row more when there is a next page. */
export function bookingPage(filter: BookingFilter): pg.QueryConfig {
  const values: unknown[] = []
  const value = (given: unknown) => `$${values.push(given)}`
  const { tenantId, status, isDisputed, createdFromDate, createdToDate, after, order } = filter
  const isNewestFirst = order === 'newest first'
  const conditions = [
    ...(tenantId ? [`tenant_id = ${value(tenantId)}`] : []),
    ...(status ? [`status = ${value(status)}`] : []),
    // As the index says it; a key that only these rows have.
    ...(isDisputed ? [`progress -> 'disputed' is not null`, `status <> 'outcome_unknown'`] : []),
    ...(createdFromDate ? [`created_at >= ${value(`${createdFromDate}T00:00:00Z`)}`] : []),
    ...(createdToDate ? [`created_at < ${value(`${createdToDate}T00:00:00Z`)}::timestamptz + interval '1 day'`] : []),
    ...(after
      ? [`(created_at, tenant_id, booking_id) ${isNewestFirst ? '<' : '>'} (${after.map(value).join(', ')})`]
      : []),
  ]
  const direction = isNewestFirst ? 'desc' : 'asc'
  return {
    text: `select ${bookingRowColumns}, progress from read_models.booking_list
           ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
           order by created_at ${direction}, tenant_id ${direction}, booking_id ${direction}
           limit ${value(filter.limit + 1)}`,
    values,
  }
}

/** One booking's list row, details and tenant. Both models are of one snapshot, yet one may be a version ahead: details decide. */
export function bookingForStaff(tenantId: string, bookingId: string): pg.QueryConfig {
  return {
    name: 'booking-for-staff',
    text: `select ${bookingRowColumns
      .split(',')
      .map((column) => `l.${column.trim()}`)
      .join(', ')}, d.details, d.stream_version, coalesce(t.name, l.tenant_id) as tenant_name
           from read_models.booking_list l
           join read_models.booking_details d using (tenant_id, booking_id)
           left join read_models.tenants t using (tenant_id)
           where tenant_id = $1 and booking_id = $2`,
    values: [tenantId, bookingId],
  }
}
