/**
 * `POST /api/v1/bookings` (contract 3.2) and `POST /api/v1/bookings/{bookingId}/cancel` (3.5): parse, hand over the command, wait for
 * the outcome. A booking is requested in one transaction with the claim of its offer; a cancellation is asked for once, and waited for
 * until the refund's fate is known.
 */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import { passengerDetailsSchema } from '@portolan/schemas/bookings/messages.ts'
import {
  bookingNotFound,
  type CancelBookingRequest,
  type CreateBookingRequest,
  cancelBookingRequestSchema,
  createBookingRequestSchema,
} from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { bookingStream, memberAccountStream } from '@portolan/schemas/topics.ts'
import { type Response, Router } from 'express'
import type { IdempotencyScope } from '../event-store/idempotency.ts'
import { idempotencyScope, waitSeconds } from '../http-preferences.ts'
import { type MemberGuard, type MemberRequest, memberContext, memberRequest } from '../member-request.ts'
import {
  cancelledAnswer,
  createdAnswer,
  createProblem,
  isCancelDecided,
  isCreateDecided,
  isCreateSettled,
  pendingAnswer,
} from './answers.ts'
import type { Booking, BookingState } from './booking.ts'
import type { BookingDeps, SealingKey } from './booking-deps.ts'
import { cancelBooking, type RequestBooking, requestBooking, type States } from './decider.ts'
import { memberAccountStreamType } from './member-account.ts'
import { endsNeedVerifiedLog } from './needs-verified-log.ts'
import { afterExpiry } from './overdue.ts'
import { contactDetails } from './passengers.ts'
import { type PreparedBooking, prepareBooking } from './prepare-booking.ts'

/**
 * Rejects: what `prepareBooking` and the decider reject; booking-not-found, not-cancellable; the problem a booking ended in; unavailable
 * for a cancellation while the log has not been compared with its copy.
 */
export function createBookingRoutes(deps: BookingDeps, members: MemberGuard): Router {
  const routes = Router()

  // The partner calls of a booking answer the other values of X-Mock-Error.
  routes.post('/api/v1/bookings', ...members('invalid-member'), async (req, res) => {
    const member = memberRequest(res)
    const request = parseInput(createBookingRequestSchema, req.body)
    const waitMs = waitSeconds(req, deps.waitDefaultSeconds) * 1000
    const newId = deps.newId('bkg')
    const scope = idempotencyScope(req, member.principal, newId)
    const bookingId = await deps.store.singleFlight(member.tenant.tenantId, scope, () =>
      requestOnce(deps, member, request, newId, scope, res),
    )
    await answerCreated(deps, member, bookingId, waitMs, res)
  })

  // The refund is called for after the answer was promised, and a failure travelling with it would keep the booking from ever ending.
  const answeredHere = ['auth-failed', 'invalid-member', 'true'] as const
  routes.post('/api/v1/bookings/:bookingId/cancel', ...members(...answeredHere), async (req, res) => {
    const member = memberRequest(res)
    const bookingId = String(req.params.bookingId)
    const request = parseInput(cancelBookingRequestSchema, req.body)
    const waitMs = waitSeconds(req, deps.waitDefaultSeconds) * 1000
    const scope = idempotencyScope(req, member.principal, bookingId)
    const handled = await cancelOnce(deps, member, bookingId, request, scope)
    // Noted before the wait too: a client that gives up meanwhile must still see what it did.
    const who = { tenantId: member.tenant.tenantId, principal: member.principal }
    if (!handled.replayed) await deps.noteWritten(res, who, handled.positions, [bookingStream(bookingId)])
    if (!handled.replayed && handled.refusal) throw handled.refusal
    await answerCancelled(deps, member, bookingId, waitMs, res)
  })

  return routes
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
    const preparing = prepareBooking(deps, member, request, newId)
    preparing.catch(() => undefined)
    const handled = await deps.personalData.withKey(tenantId, member.memberId, async (key) =>
      requestBookingOf(deps, member, request, await preparing, key, scope),
    )
    if (handled.replayed) return handled.reference ?? newId
    // Noted before the wait too: a client that gives up meanwhile must still find its booking.
    await deps.noteWritten(res, { tenantId, principal: member.principal }, handled.positions, [bookingStream(newId)])
    return newId
  } catch (error) {
    return (await store.recordRejection(tenantId, scope, error)).reference ?? newId
  }
}

/** The command itself: seals what is personal and claims the offer in the same transaction. */
function requestBookingOf(
  { store, bookingType, times }: BookingDeps,
  member: MemberRequest,
  request: CreateBookingRequest,
  { bookingId, offer, price, passengers, approval }: PreparedBooking,
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

/** Waits for the outcome and answers 201, 202 or the problem it came to. A retry of an old request gets the answer of then. */
async function answerCreated(
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
  await deps.noteWritten(res, { tenantId, principal: member.principal }, positions, [bookingStream(bookingId)])
  if (!state) throw new Error('a booking that was just requested cannot be loaded')
  reach('before-answer')
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

/** Asks for the cancellation; the key of the member is only wanted where a reason is to be sealed. */
function cancelOnce(
  deps: BookingDeps,
  member: MemberRequest,
  bookingId: string,
  request: CancelBookingRequest,
  scope: IdempotencyScope | undefined,
) {
  const { tenantId } = member.tenant
  const { reason } = request
  const cancel = (key: SealingKey | null) =>
    deps.store.handle({
      context: memberContext(member),
      streams: {
        booking: { type: deps.bookingType, stream: bookingStream(bookingId) },
        account: { type: memberAccountStreamType, stream: memberAccountStream(member.memberId) },
      },
      decide: (states, now) => {
        if (states.booking?.memberId !== member.memberId) throw bookingNotFound(bookingId)
        const command = {
          by: `member:${member.memberId}`,
          refundRequested: request.refund_requested,
          reasonSealed: reason && key ? key.seal(reason) : null,
        }
        const cancelled = (left: States) => naming(bookingId, () => cancelBooking(left, command, now, deps.times))
        const { refusal, ...events } = afterExpiry(states, now, deps.times, cancelled)
        const sealed = events.booking.length > 0 && key ? key.effects : []
        return { events, refusal, effects: [...sealed, ...endsNeedVerifiedLog(events)] }
      },
      idempotency: scope,
    })
  return deps.store.singleFlight(tenantId, scope, () =>
    reason ? deps.personalData.withKey(tenantId, member.memberId, cancel) : cancel(null),
  )
}

/** Waits until the cancellation has ended or a person must decide, and answers 200, 202 or that the booking ended in another way. */
async function answerCancelled(
  deps: BookingDeps,
  member: MemberRequest,
  bookingId: string,
  waitMs: number,
  res: Response,
): Promise<void> {
  const { tenantId } = member.tenant
  const { state, positions } = await deps.store.waitFor(
    tenantId,
    deps.bookingType,
    bookingStream(bookingId),
    (booking) => booking !== null && isCancelDecided(booking),
    { timeoutMs: waitMs },
  )
  await deps.noteWritten(res, { tenantId, principal: member.principal }, positions, [bookingStream(bookingId)])
  if (!state) throw bookingNotFound(bookingId)
  reach('before-answer')
  const cancelled = cancelledAnswer(state)
  if (cancelled) {
    res.status(200).json(cancelled)
  } else if (state.endedAt) {
    // The booking ended in another way before the cancellation could take effect.
    const detail = `Booking with ID '${bookingId}' is ${state.phase}`
    throw new Rejection('not-cancellable', detail, { booking_id: bookingId })
  } else {
    res.set('Location', `/api/v1/bookings/${bookingId}`)
    res.status(202).json(pendingAnswer(state, tenantId))
  }
}

/** Every problem about a booking that exists names it. */
function naming<T>(bookingId: string, decide: () => T): T {
  try {
    return decide()
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    throw new Rejection(error.code, error.detail, { ...error.members, booking_id: bookingId })
  }
}
