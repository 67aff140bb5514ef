/** What a member is answered, from a booking's state: the created and cancelled bookings of the contract, or the problem it ended in. */
import type { FailureReason, PassengerDetails } from '@portolan/schemas/bookings/messages.ts'
import { type BookingStatus, wireStatus } from '@portolan/schemas/bookings/statuses.ts'
import {
  type CancelledBooking,
  type ConfirmedBooking,
  insufficientBalance,
  type PendingApprovalBooking,
  type PendingBooking,
} from '@portolan/schemas/bookings/views.ts'
import { type ProblemCode, Rejection } from '@portolan/schemas/errors.ts'
import type { Booking } from './booking.ts'

/** Where the booking stands, in the words of the read models and the contract. */
export function bookingStatus(b: Booking): BookingStatus {
  if (b.phase === 'arranging' || b.phase === 'undoing') {
    if (b.unknown || b.operator) return 'outcome_unknown'
    if (b.awaiting) return 'awaiting_supplier'
    if (b.phase === 'arranging') return 'processing'
    return b.undo?.to === 'cancelled' ? 'cancelling' : 'compensating'
  }
  return b.phase
}

/** Whether the member who creates a booking can be answered: it is confirmed, waits for approval, will not be, or nobody knows. */
export function isCreateDecided(b: Booking): boolean {
  return b.phase !== 'arranging' || b.unknown !== null || b.operator !== null
}

/**
 * Whether the answer to a create stands for good, so that a retry long after gets the same one. An unknown outcome does not: a retry
 * of that request joins the wait for it.
 */
export function isCreateSettled(b: Booking): boolean {
  return b.phase === 'pending_approval' || b.phase === 'confirmed' || b.endedAt !== null || Boolean(b.undo?.reason)
}

/** Whether the member who cancels can be answered: it has ended, or a person must decide first. */
export function isCancelDecided(b: Booking): boolean {
  return b.endedAt !== null || b.operator !== null || b.unknown !== null
}

/** The documented body of a created booking that is confirmed or waits for approval; null while it is pending. */
export function createdAnswer(
  b: Booking,
  tenantId: string,
  passengers: readonly (PassengerDetails | undefined)[],
): ConfirmedBooking | PendingApprovalBooking | null {
  const common = { booking_id: b.bookingId, tenant_id: tenantId }
  if (b.phase === 'pending_approval') {
    return {
      data: {
        ...common,
        status: 'pending_approval',
        approval_required: true,
        approval_reason: b.approval?.reason ?? '',
        estimated_approval_time: 'PT24H',
      },
    }
  }
  if (b.phase !== 'confirmed') return null
  const { outbound } = b.offer
  return {
    data: {
      ...common,
      status: 'confirmed',
      member_id: b.memberId,
      flight: {
        id: b.offer.flightId,
        flight_number: outbound.flightNumber,
        departure: outbound.departure.time,
        arrival: outbound.arrival.time,
      },
      passengers: b.passengers.map((_, index) => ({
        name: fullName(passengers[index]),
        ticket_number: b.tickets.find((ticket) => ticket.passengerIndex === index)?.ticketNumber ?? null,
      })),
      payment: {
        loyalty_amount: b.price.loyaltyAmount,
        loyalty_currency: b.price.loyaltyCurrency,
        usd_equivalent: b.price.amountMinor,
      },
      created_at: b.requestedAt,
      expires_at: null,
    },
  }
}

/** 202: the outcome is open. */
export function pendingAnswer(b: Booking, tenantId: string): PendingBooking {
  const { status_detail } = wireStatus(bookingStatus(b))
  return {
    data: {
      booking_id: b.bookingId,
      status: 'pending',
      ...(status_detail ? { status_detail } : {}),
      tenant_id: tenantId,
      member_id: b.memberId,
    },
  }
}

/** 200 of cancel; null while the booking has not ended as cancelled. */
export function cancelledAnswer(b: Booking): CancelledBooking | null {
  if (b.phase !== 'cancelled' || !b.endedAt) return null
  const amount = b.deduction?.amount ?? 0
  const isGivenBack = b.givenBack !== null
  return {
    data: {
      booking_id: b.bookingId,
      status: 'cancelled',
      cancelled_at: b.cancellation?.at ?? b.endedAt,
      refund: {
        status: !b.deduction
          ? 'not_applicable'
          : !b.givenBack
            ? 'not_requested'
            : b.givenBack.as === 'refunded'
              ? 'processed'
              : 'pending',
        loyalty_amount: amount,
        loyalty_currency: b.price.loyaltyCurrency,
        fee: 0,
        net_refund: isGivenBack ? amount : 0,
        processed_at: b.givenBack?.as === 'refunded' ? b.givenBack.at : null,
      },
    },
  }
}

/** The problem a booking that will not be confirmed, or whose outcome nobody knows, is answered with; null when there is none. */
export function createProblem(b: Booking): Rejection | null {
  const members = { booking_id: b.bookingId }
  if (b.unknown || b.operator) {
    const timedOut = b.unknown?.code === 'timeout' || b.unknown?.code === 'no-report'
    return timedOut
      ? new Rejection('partner-timeout', 'The partner did not answer in time; the booking is being reconciled', members)
      : new Rejection('partner-unavailable', 'The outcome is not known yet; the booking is being reconciled', members)
  }
  const reason = b.undo?.reason
  if (b.phase === 'cancelled' && !reason)
    return new Rejection('conflict', 'The booking was cancelled before it was confirmed', members)
  if (!reason || b.phase === 'confirmed' || b.phase === 'arranging') return null
  if (reason === 'insufficient-balance') {
    const { loyaltyAmount: required, loyaltyCurrency: currency } = b.price
    const refusal = insufficientBalance({ required, available: b.undo?.availableBalance ?? 0, currency })
    return new Rejection(refusal.code, refusal.detail, { ...refusal.members, ...members })
  }
  const { code, detail } = failures[reason]
  return new Rejection(code, detail, members)
}

const noLongerAvailable = {
  code: 'offer-no-longer-available',
  detail: 'The flight is no longer available at this price',
} as const

const failures: Readonly<
  Record<Exclude<FailureReason, 'insufficient-balance'>, { code: ProblemCode; detail: string }>
> = {
  'member-not-found': { code: 'member-not-found', detail: 'The member is not known to the programme' },
  'partner-unauthorized': { code: 'unauthorized', detail: 'Invalid or expired authentication credentials' },
  'partner-unavailable': {
    code: 'partner-unavailable',
    detail: 'The loyalty programme is not available; nothing was deducted',
  },
  'partner-timeout': {
    code: 'partner-timeout',
    detail: 'The loyalty programme did not answer in time; nothing was deducted',
  },
  'partner-refused': { code: 'conflict', detail: 'The loyalty programme refused the payment' },
  'supplier-unavailable': { code: 'partner-unavailable', detail: 'The flight supplier is not available' },
  'supplier-refused': { code: 'conflict', detail: 'The flight supplier refused the booking' },
  'offer-unavailable': noLongerAvailable,
  'hold-expired': noLongerAvailable,
  'price-increased': noLongerAvailable,
  'approval-expired': { code: 'conflict', detail: 'The approval expired' },
  'passenger-gone': { code: 'conflict', detail: "The passengers' data was forgotten" },
  'operator-decision': { code: 'conflict', detail: 'The booking was ended by an operator' },
}

function fullName(details: PassengerDetails | undefined): string {
  return details ? `${details.firstName} ${details.lastName}` : ''
}
