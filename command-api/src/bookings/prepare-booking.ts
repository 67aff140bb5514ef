/**
 * Everything that must hold before a booking is requested, in the contract's order of checks (section 3.2): the offer, the passengers,
 * the member's balance and the approval. Lookups only: nothing here changes anything, inside or outside.
 */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import type { BookedOffer, BookingPrice } from '@portolan/schemas/bookings/messages.ts'
import { type CreateBookingRequest, insufficientBalance } from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { approvalCheckAnswerSchema, memberBalanceAnswerSchema } from '@portolan/schemas/flights/lookups.ts'
import type { MemberRequest } from '../member-request.ts'
import type { BookingDeps } from './booking-deps.ts'
import type { RequestBooking } from './decider.ts'
import { type PassengerToSeal, passengersToSeal } from './passengers.ts'

type Offer = { offer: BookedOffer; price: BookingPrice }

/** A booking that may be requested. */
export interface PreparedBooking extends Offer {
  bookingId: string
  passengers: PassengerToSeal[]
  approval: RequestBooking['approval']
}

/**
 * Rejects: flight-not-found, offer-already-booked, validation-error, member-not-found, insufficient-balance, partner-unavailable and the
 * partner's other refusals.
 */
export async function prepareBooking(
  deps: BookingDeps,
  member: MemberRequest,
  request: CreateBookingRequest,
  bookingId: string,
): Promise<PreparedBooking> {
  const found = await deps.findOffer(member.tenant.tenantId, member.memberId, request.flight_id)
  const flight = bookable(found, request)
  const passengers = passengersToSeal(request, flight.offer, deps.store.clock.now().slice(0, 10))
  await requireBalance(deps.lookups, member, flight.price)
  const approval = await approvalNeeded(deps.lookups, member, flight.price, bookingId)
  return { bookingId, ...flight, passengers, approval }
}

function bookable(found: (Offer & { bookedAs: string | null }) | null, request: CreateBookingRequest): Offer {
  const { flight_id: flightId, payment } = request
  if (!found) throw new Rejection('flight-not-found', `Flight with ID '${flightId}' not found or no longer available`)
  const { offer, price, bookedAs } = found
  if (bookedAs) {
    const detail = `Flight with ID '${flightId}' has already been booked`
    throw new Rejection('offer-already-booked', detail, { booking_id: bookedAs })
  }
  const errors = [
    ...(payment.amount === price.loyaltyAmount
      ? []
      : [{ field: 'payment.amount', message: `Must equal the price of the flight, ${price.loyaltyAmount}` }]),
    ...(payment.currency === price.loyaltyCurrency
      ? []
      : [{ field: 'payment.currency', message: `Must be ${price.loyaltyCurrency}` }]),
  ]
  const [first] = errors
  if (first) throw new Rejection('validation-error', `${first.field}: ${first.message}`, { errors })
  return { offer, price }
}

async function requireBalance(lookups: ServiceClient, member: MemberRequest, price: BookingPrice): Promise<void> {
  const answer = await lookup(lookups, member, 'member-balance', { memberId: member.memberId })
  const { balance: available } = memberBalanceAnswerSchema.parse(answer)
  const { loyaltyAmount: required, loyaltyCurrency: currency } = price
  if (available < required) throw insufficientBalance({ required, available, currency })
}

/** Our own threshold or the partner's check; the partner is asked either way, and when it cannot be asked there is no booking. */
async function approvalNeeded(
  lookups: ServiceClient,
  member: MemberRequest,
  price: BookingPrice,
  bookingId: string,
): Promise<RequestBooking['approval']> {
  const { rules } = member.tenant
  if (rules.approvalThreshold === null) return null
  const subject = { memberId: member.memberId, amount: price.loyaltyAmount, bookingReference: bookingId }
  const answer = await lookup(lookups, member, 'approval-check', subject)
  const { approvalRequired } = approvalCheckAnswerSchema.parse(answer)
  if (price.loyaltyAmount > rules.approvalThreshold) return { askedBy: 'threshold', reason: rules.approvalReason }
  return approvalRequired ? { askedBy: 'partner', reason: rules.approvalReason } : null
}

function lookup(
  lookups: ServiceClient,
  member: MemberRequest,
  name: string,
  subject: Record<string, unknown>,
): Promise<unknown> {
  const { correlationId, mockError, tenant } = member
  const body = { tenantId: tenant.tenantId, correlationId, mockError, ...subject }
  return lookups.post(`/internal/lookups/${name}`, body, { correlationId })
}
