/** `POST /ops/tenants/{tenantId}/bookings/{bookingId}/…`: what operators decide. Mounted behind the staff authentication. */

import { mergePositions, STAFF_POSITIONS } from '@portolan/infra/consistency-token.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { bookingNotFound } from '@portolan/schemas/bookings/views.ts'
import {
  approveRequestSchema,
  correctOutcomeRequestSchema,
  decideOutcomeRequestSchema,
  type OpsCommandAnswer,
  opsBookingParamsSchema,
  rejectRequestSchema,
  settleRecoveryRequestSchema,
  settleRefundRequestSchema,
} from '@portolan/schemas/ops/views.ts'
import { bookingStream, memberAccountStream } from '@portolan/schemas/topics.ts'
import { type Request, type Response, Router } from 'express'
import { idempotencyScope } from '../http-preferences.ts'
import { bookingStatus } from './answers.ts'
import type { BookingDeps } from './booking-deps.ts'
import { correctOutcome, settleRecovery } from './corrections.ts'
import { approveBooking, type Decision, rejectBooking, type States, settleOwedRefund } from './decider.ts'
import { memberAccountStreamType } from './member-account.ts'
import { endsNeedVerifiedLog } from './needs-verified-log.ts'
import { decideOutcome } from './operator.ts'
import { afterExpiry } from './overdue.ts'

type Decide = (states: States, by: string, now: string, resetBalance: number | undefined) => Decision

/**
 * Errors: validation-error, forbidden, booking-not-found, not-pending-approval, no-decision-needed, conflict; unavailable for what ends,
 * corrects or settles a booking while the log has not been compared with its copy.
 */
export function createOperatorRoutes(deps: BookingDeps): Router {
  const routes = Router()
  const route = (verb: string, decideFor: (body: unknown) => Decide) =>
    routes.post(`/ops/tenants/:tenantId/bookings/:bookingId/${verb}`, async (req, res) => {
      await command(deps, req, res, decideFor(req.body))
    })

  route('approve', (body) => {
    parseInput(approveRequestSchema, body)
    return (states, by, now) => ({ booking: approveBooking(states.booking, by, now), account: [] })
  })
  route('reject', (body) => {
    const { reason } = parseInput(rejectRequestSchema, body)
    return (states, by, now) => rejectBooking(states, by, reason, now, deps.times)
  })
  route('decide-outcome', (body) => {
    const { step, attempt, ...decision } = parseInput(decideOutcomeRequestSchema, body)
    const about = step !== undefined && attempt !== undefined ? { step, attempt } : undefined
    return (states, by, now, resetBalance) =>
      decideOutcome(states, { ...decision, about, by }, now, { times: deps.times, resetBalance })
  })
  route('correct-outcome', (body) => {
    const correction = parseInput(correctOutcomeRequestSchema, body)
    return (states, by, now, resetBalance) =>
      correctOutcome(states, { ...correction, by }, now, { times: deps.times, resetBalance })
  })
  route('settle-recovery', (body) => {
    const settled = parseInput(settleRecoveryRequestSchema, body)
    return (states, by, now) => ({ booking: [], account: settleRecovery(states, { ...settled, by }, now) })
  })
  route('settle-refund', (body) => {
    const settled = parseInput(settleRefundRequestSchema, body)
    return (states, by, now) => ({ booking: [], account: settleOwedRefund(states, { ...settled, by }, now) })
  })
  return routes
}

/**
 * Handles one operator's command. The member whose account takes part is only known from the booking, so it is loaded first; the command
 * itself decides on what it loads again.
 */
async function command(deps: BookingDeps, req: Request, res: Response, decide: Decide): Promise<void> {
  const { tenantId, bookingId } = parseInput(opsBookingParamsSchema, req.params)
  const staff = staffOf(res)
  // A booking outside the account's tenant does not exist for it.
  if (staff.tenantScope !== null && staff.tenantScope !== tenantId) throw bookingNotFound(bookingId)
  const stream = bookingStream(bookingId)
  const { state: known } = await deps.store.load(tenantId, deps.bookingType, stream)
  if (!known) throw bookingNotFound(bookingId)
  const account = memberAccountStream(known.memberId)
  const tenant = await deps.findTenant(tenantId)
  const { correlationId, traceparent } = contextOf(res)
  const principal = `staff:${staff.accountId}`
  const scope = idempotencyScope(req, principal, bookingId)
  const handled = await deps.store.singleFlight(tenantId, scope, () =>
    deps.store.handle({
      context: {
        tenantId,
        actor: { kind: 'staff', id: staff.accountId },
        correlationId,
        causationId: null,
        traceparent,
      },
      streams: {
        booking: { type: deps.bookingType, stream },
        account: { type: memberAccountStreamType, stream: account },
      },
      decide: (states, now) => {
        const { refusal, ...events } = afterExpiry(states, now, deps.times, (left) =>
          decide(left, principal, now, tenant?.partner.resetBalances[known.memberId]),
        )
        return { events, refusal, effects: endsNeedVerifiedLog(events) }
      },
      idempotency: scope,
    }),
  )
  const { state, positions } = await deps.store.load(tenantId, deps.bookingType, stream)
  // The member's account may have moved too, and staff's reads cross tenants.
  const reflected = handled.replayed ? positions : mergePositions(positions, handled.positions)
  await deps.noteWritten(res, { tenantId: STAFF_POSITIONS, principal }, reflected, [stream, account])
  if (!handled.replayed && handled.refusal) throw handled.refusal
  if (!state) throw bookingNotFound(bookingId)
  const answer: OpsCommandAnswer = { tenantId, bookingId, status: bookingStatus(state) }
  res.json(answer)
}
