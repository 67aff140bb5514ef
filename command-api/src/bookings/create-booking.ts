/**
 * `POST /api/v1/bookings` (contract 3.2): checks what only the outside knows, member and balance first, then the approval; requests the
 * booking in one transaction with the claim of its offer; waits for the outcome.
 */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { type BookedOffer, type BookingPrice, passengerDetailsSchema } from '@portolan/schemas/bookings/messages.ts'
import {
  type CreateBookingRequest,
  createBookingRequestSchema,
  insufficientBalance,
} from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { approvalCheckAnswerSchema, memberBalanceAnswerSchema } from '@portolan/schemas/flights/lookups.ts'
import { bookingStream } from '@portolan/schemas/topics.ts'
import type { Request, Response } from 'express'
import type { IdempotencyScope } from '../event-store/idempotency.ts'
import { idempotencyScope, waitSeconds } from '../http-preferences.ts'
import { type MemberRequest, memberContext, memberRequest } from '../member-request.ts'
import { createdAnswer, createProblem, isCreateDecided, isCreateSettled, pendingAnswer } from './answers.ts'
import type { Booking, BookingState } from './booking.ts'
import type { BookingDeps, SealingKey } from './booking-deps.ts'
import { type RequestBooking, requestBooking } from './decider.ts'
import { contactDetails, type PassengerToSeal, passengersToSeal } from './passengers.ts'

type Offer = { offer: BookedOffer; price: BookingPrice }

/** The handler of the route; mounted behind the member authentication. */
export function createBookingHandler(deps: BookingDeps) {
  return async function createBooking(req: Request, res: Response): Promise<void> {
    const member = memberRequest(res)
    const request = parseInput(createBookingRequestSchema, req.body)
    const waitMs = waitSeconds(req, deps.waitDefaultSeconds) * 1000
    const newId = deps.newId('bkg')
    const scope = idempotencyScope(req, member.principal, newId)
    const bookingId = await deps.store.singleFlight(member.tenant.tenantId, scope, () =>
      requestOnce(deps, member, request, newId, scope, res),
    )
    await answer(deps, member, bookingId, waitMs, res)
  }
}

/** The id of the booking this request, or the first one with its key, made. */
async function requestOnce(
  deps: BookingDeps,
  member: MemberRequest,
  request: CreateBookingRequest,
  newId: string,
  scope: IdempotencyScope | undefined,
  res: Response,
): Promise<string> {
  const { store } = deps
  const { tenantId } = member.tenant
  const earlier = scope && (await store.findRecord(tenantId, scope))
  if (earlier) return earlier.reference ?? newId
  try {
    // Started before the key is looked up, so that both cost one round trip; awaited with the key at hand.
    const preparing = prepare(deps, member, request, newId)
    preparing.catch(() => undefined)
    const handled = await deps.personalData.withKey(tenantId, member.memberId, async (key) =>
      requestBookingOf(deps, member, request, await preparing, key, scope),
    )
    if (handled.replayed) return handled.reference ?? newId
    // Noted before the wait too: a client that gives up meanwhile must still find its booking.
    await deps.noteWritten(res, { tenantId, principal: member.principal }, handled.positions)
    return newId
  } catch (error) {
    return (await store.recordRejection(tenantId, scope, error)).reference ?? newId
  }
}

interface Prepared extends Offer {
  bookingId: string
  passengers: PassengerToSeal[]
  approval: RequestBooking['approval']
}

/** Everything that must hold before a booking is requested, in the contract's order of checks. */
async function prepare(
  deps: BookingDeps,
  member: MemberRequest,
  request: CreateBookingRequest,
  bookingId: string,
): Promise<Prepared> {
  const found = await deps.findOffer(member.tenant.tenantId, member.memberId, request.flight_id)
  const flight = bookable(found, request)
  const passengers = passengersToSeal(request, flight.offer, deps.store.clock.now().slice(0, 10))
  await requireBalance(deps.lookups, member, flight.price)
  const approval = await approvalNeeded(deps.lookups, member, flight.price, bookingId)
  return { bookingId, ...flight, passengers, approval }
}

/** The command itself: seals what is personal and claims the offer in the same transaction. */
function requestBookingOf(
  { store, bookingType, times }: BookingDeps,
  member: MemberRequest,
  request: CreateBookingRequest,
  { bookingId, offer, price, passengers, approval }: Prepared,
  key: SealingKey,
  scope: IdempotencyScope | undefined,
) {
  const { memberId } = member
  const command: RequestBooking = {
    bookingId,
    memberId,
    personId: memberId,
    offer,
    price,
    passengers: passengers.map(({ details, ...passenger }) => ({ ...passenger, sealed: key.seal(details) })),
    contactSealed: key.seal(contactDetails(request)),
    approval,
  }
  const claimOffer = { name: 'claim_offer', args: { flightId: offer.flightId, memberId, bookingId } }
  return store.handle({
    context: memberContext(member),
    streams: { booking: { type: bookingType, stream: bookingStream(bookingId), isNew: true } },
    decide: (_, now) => ({
      events: { booking: requestBooking(command, now, times) },
      effects: [claimOffer, ...key.effects],
    }),
    idempotency: scope,
  })
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

/** Waits for the outcome and answers 201, 202 or the problem it came to. A retry of an old request gets the answer of then. */
async function answer(
  deps: BookingDeps,
  member: MemberRequest,
  bookingId: string,
  waitMs: number,
  res: Response,
): Promise<void> {
  const { tenantId } = member.tenant
  const upToTheAnswer = {
    ...deps.bookingType,
    evolve: (state: BookingState, event: Parameters<typeof deps.bookingType.evolve>[1]) =>
      state && isCreateSettled(state) ? state : deps.bookingType.evolve(state, event),
  }
  const { state, positions } = await deps.store.waitFor(
    tenantId,
    upToTheAnswer,
    bookingStream(bookingId),
    (booking) => booking !== null && isCreateDecided(booking),
    { timeoutMs: waitMs },
  )
  await deps.noteWritten(res, { tenantId, principal: member.principal }, positions)
  if (!state) throw new Error('a booking that was just requested cannot be loaded')
  const problem = createProblem(state)
  if (problem) throw problem
  res.set('Location', `/api/v1/bookings/${bookingId}`)
  const created = createdAnswer(state, tenantId, await namesOf(deps, tenantId, state))
  if (created) res.status(201).json(created)
  else res.status(202).json(pendingAnswer(state, tenantId))
}

/** Names are only shown with a confirmed booking. */
async function namesOf(deps: BookingDeps, tenantId: string, b: Booking) {
  if (b.phase !== 'confirmed') return []
  const sealed = b.passengers.map((passenger) => ({ personId: b.personId, sealed: passenger.sealed }))
  const unsealed = await deps.personalData.unsealAll(tenantId, sealed)
  return unsealed.map((item) => ('value' in item ? passengerDetailsSchema.parse(item.value) : undefined))
}
