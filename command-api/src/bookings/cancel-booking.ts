/** `POST /api/v1/bookings/{id}/cancel` (contract 3.5): asks for the cancellation once and waits until the refund's fate is known. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { bookingNotFound, cancelBookingRequestSchema } from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { bookingStream, memberAccountStream } from '@portolan/schemas/topics.ts'
import type { Request, Response } from 'express'
import { idempotencyScope, waitSeconds } from '../http-preferences.ts'
import { memberContext, memberRequest } from '../member-request.ts'
import { cancelledAnswer, isCancelDecided, pendingAnswer } from './answers.ts'
import type { BookingDeps, SealingKey } from './booking-deps.ts'
import { cancelBooking } from './decider.ts'
import { memberAccountStreamType } from './member-account.ts'

/** The handler of the route; mounted behind the member authentication. */
export function cancelBookingHandler(deps: BookingDeps) {
  return async function cancel(req: Request, res: Response): Promise<void> {
    const member = memberRequest(res)
    const { tenantId } = member.tenant
    const bookingId = String(req.params.bookingId)
    const request = parseInput(cancelBookingRequestSchema, req.body)
    const waitMs = waitSeconds(req, deps.waitDefaultSeconds) * 1000
    const scope = idempotencyScope(req, member.principal, bookingId)
    const { reason } = request
    const cancelOnce = (key: SealingKey | null) =>
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
          const events = naming(bookingId, () => cancelBooking(states, command, now, deps.times))
          return { events: { ...events }, effects: events.booking.length > 0 && key ? key.effects : [] }
        },
        idempotency: scope,
      })
    const handled = await deps.store.singleFlight(tenantId, scope, () =>
      reason ? deps.personalData.withKey(tenantId, member.memberId, cancelOnce) : cancelOnce(null),
    )
    const who = { tenantId, principal: member.principal }
    // Noted before the wait too: a client that gives up meanwhile must still see what it did.
    if (!handled.replayed) await deps.noteWritten(res, who, handled.positions)
    const { state, positions } = await deps.store.waitFor(
      tenantId,
      deps.bookingType,
      bookingStream(bookingId),
      (booking) => booking !== null && isCancelDecided(booking),
      { timeoutMs: waitMs },
    )
    await deps.noteWritten(res, who, positions)
    if (!state) throw bookingNotFound(bookingId)
    const cancelled = cancelledAnswer(state)
    if (cancelled) {
      res.status(200).json(cancelled)
    } else if (state.endedAt) {
      // The booking ended in another way before the cancellation could take effect.
      throw new Rejection('not-cancellable', `Booking with ID '${bookingId}' is ${state.phase}`, {
        booking_id: bookingId,
      })
    } else {
      res.set('Location', `/api/v1/bookings/${bookingId}`)
      res.status(202).json(pendingAnswer(state, tenantId))
    }
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
