/** From rows to what staff see of bookings. Pure. */
import type { BookingDetails, BookingProgress } from '@portolan/schemas/bookings/read-models.ts'
import { routeLabel } from '@portolan/schemas/bookings/views.ts'
import type {
  OpsBookingDetail,
  OpsBookingList,
  PendingApprovalList,
  UnknownOutcomeList,
} from '@portolan/schemas/ops/views.ts'
import type { BookingRow } from './read-bookings.ts'

export interface QueuedRow extends BookingRow {
  progress: BookingProgress
}

export function staffRow(row: BookingRow): OpsBookingList['bookings'][number] {
  return {
    tenantId: row.tenant_id,
    bookingId: row.booking_id,
    memberId: row.member_id,
    status: row.status,
    flightNumber: row.flight_number,
    route: routeLabel(row.origin, row.destination),
    departureDate: row.departure_date,
    loyaltyAmount: row.loyalty_amount,
    loyaltyCurrency: row.loyalty_currency,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  }
}

export function approvalRow(row: QueuedRow): PendingApprovalList['approvals'][number] {
  const { approval } = row.progress
  if (!approval) throw new Error('a booking that waits for approval names it')
  return { ...staffRow(row), approvalReason: approval.reason, expiresAt: approval.expiresAt }
}

export function troubleRow(row: QueuedRow): UnknownOutcomeList['outcomes'][number] {
  const trouble = troubleOf(row.progress)
  if (!trouble) throw new Error('a booking with an unknown outcome names it')
  return { ...staffRow(row), ...trouble }
}

/** tenantName: as the tenants' read model has it. names: of the passengers, in order. */
export function staffDetail(
  row: BookingRow & { stream_version: number },
  details: BookingDetails,
  tenantName: string,
  names: readonly string[],
): OpsBookingDetail {
  return {
    ...staffRow(row),
    tenantName,
    usdEquivalentMinor: details.price.amountMinor,
    supplier: details.order ?? { orderId: null, bookingReference: null },
    passengers: details.passengers.map((_, index) => {
      const ticket = details.tickets.find(({ passengerIndex }) => passengerIndex === index)
      return { name: names[index] ?? '', ticketNumber: ticket?.ticketNumber ?? null, seat: ticket?.seat ?? null }
    }),
    approval: details.progress.approval,
    trouble: troubleOf(details.progress),
    failureReason: details.failureReason,
    refund: details.refund,
    streamVersion: row.stream_version,
  }
}

/** What a person decides goes before what machines still reconcile. */
function troubleOf({ operator, unknown }: BookingProgress): OpsBookingDetail['trouble'] {
  const trouble = operator ?? unknown
  return trouble && { ...trouble, needsDecision: operator !== null }
}
