/** Where a booking stands: in our own terms, and in those of the loyalty contract (sections 3.3 and 3.4). */
import { z } from 'zod'

/** Where a booking stands in our own terms; what a client reads is `wireStatus` of it. */
export const bookingStatusSchema = z.enum([
  'processing',
  'pending_approval',
  'awaiting_supplier',
  'outcome_unknown',
  'confirmed',
  'cancelling',
  'compensating',
  'failed',
  'rejected',
  'expired',
  'cancelled',
])
export type BookingStatus = z.infer<typeof bookingStatusSchema>

export const wireStatusSchema = z.enum([
  'pending',
  'pending_approval',
  'confirmed',
  'failed',
  'rejected',
  'expired',
  'cancelled',
])
export type WireStatus = z.infer<typeof wireStatusSchema>

export const statusDetailSchema = z
  .enum(['awaiting_supplier', 'outcome_unknown', 'cancelling', 'compensating'])
  .meta({ description: 'Why a booking is still `pending` (extension)' })

/** What a client reads for a booking in `status`. `status_detail` is present only where a `pending` needs an explanation. */
export function wireStatus(status: BookingStatus): {
  status: WireStatus
  status_detail?: z.infer<typeof statusDetailSchema>
} {
  switch (status) {
    case 'processing':
      return { status: 'pending' }
    case 'awaiting_supplier':
    case 'outcome_unknown':
    case 'cancelling':
    case 'compensating':
      return { status: 'pending', status_detail: status }
    default:
      return { status }
  }
}

/**
 * The internal statuses a list shows for the filter `status`. `pending` matches every pending state; without a filter
 * `failed`, `rejected` and `expired` are left out.
 */
export function statusesListed(filter: WireStatus | undefined): BookingStatus[] {
  return bookingStatusSchema.options.filter((status) => {
    const wire = wireStatus(status).status
    if (filter === undefined) return wire !== 'failed' && wire !== 'rejected' && wire !== 'expired'
    return wire === filter || (filter === 'pending' && wire === 'pending_approval')
  })
}
