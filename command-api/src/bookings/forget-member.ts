/**
 * `POST /ops/tenants/{tenantId}/members/{memberId}/forget` (P15): the member's key goes, and with it everything it sealed, in every
 * event, copy and row at once. Refused while a booking is open, whose steps need the names, or an amount is owed to or by somebody who
 * must be reached; both end by themselves or by an operator's decision.
 */
import { STAFF_POSITIONS } from '@portolan/infra/consistency-token.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import {
  type ForgetRequest,
  type Forgotten,
  forgetRequestSchema,
  type OpsMember,
  opsMemberParamsSchema,
} from '@portolan/schemas/ops/views.ts'
import { memberAccountStream } from '@portolan/schemas/topics.ts'
import { type Request, type Response, Router } from 'express'
import { idempotencyScope } from '../http-preferences.ts'
import type { BookingDeps } from './booking-deps.ts'
import { type MemberAccount, memberAccountStreamType } from './member-account.ts'

type ForgetMember = Omit<Extract<MemberEvent, { type: 'PersonForgotten' }>['data'], 'at'>

export interface ForgetDeps extends Pick<BookingDeps, 'store' | 'noteWritten'> {
  /** Of a person: the id of their key, and when they were last forgotten; null where there is none. */
  personalKeys: {
    findKeyId(tenantId: string, personId: string): Promise<string | null>
    lastForgottenAt(tenantId: string, personId: string): Promise<string | null>
  }
  /** Makes every process drop what it has opened. */
  announce(): Promise<void>
}

/** Errors: validation-error, forbidden, member-not-found, not-forgettable, version-conflict. */
export function createForgetRoutes(deps: ForgetDeps): Router {
  const routes = Router()
  routes.post('/ops/tenants/:tenantId/members/:memberId/forget', async (req, res) => {
    const { tenantId, memberId } = parseInput(opsMemberParamsSchema, req.params)
    const request = parseInput(forgetRequestSchema, req.body)
    const { tenantScope } = staffOf(res)
    // A member outside the account's tenant does not exist for it.
    if (tenantScope !== null && tenantScope !== tenantId) throw nothingKept(memberId)
    const keyId = await deps.personalKeys.findKeyId(tenantId, memberId)
    if (keyId !== null) await forget(deps, req, res, { tenantId, memberId, keyId, ...request })
    const forgottenAt = await deps.personalKeys.lastForgottenAt(tenantId, memberId)
    if (forgottenAt === null) throw nothingKept(memberId)
    // Also for a repetition: the first announcement may have been lost.
    await deps.announce()
    const answer: Forgotten = { tenantId, memberId, forgottenAt }
    res.json(answer)
  })
  return routes
}

/** Does nothing more when another request forgot the person meanwhile. */
async function forget(
  { store, noteWritten, personalKeys }: ForgetDeps,
  req: Request,
  res: Response,
  { tenantId, memberId, keyId, reason, reference }: ForgetRequest & OpsMember & { keyId: string },
): Promise<void> {
  const { accountId } = staffOf(res)
  const { correlationId, traceparent } = contextOf(res)
  const by = `staff:${accountId}`
  const command: ForgetMember = { personId: memberId, keyId, reason, reference: reference ?? null, by }
  const scope = idempotencyScope(req, by, memberId)
  try {
    const handled = await store.singleFlight(tenantId, scope, () =>
      store.handle({
        context: { tenantId, actor: { kind: 'staff', id: accountId }, correlationId, causationId: null, traceparent },
        streams: { account: { type: memberAccountStreamType, stream: memberAccountStream(memberId) } },
        decide: ({ account }, now) => ({
          events: { account: forgetMember(account, command, now) },
          effects: [{ name: 'forget_person', args: { personId: memberId, keyId, reason, by, at: now }, alone: true }],
        }),
        idempotency: scope,
      }),
    )
    if (!handled.replayed) {
      await noteWritten(res, { tenantId: STAFF_POSITIONS, principal: by }, handled.positions, [
        memberAccountStream(memberId),
      ])
    }
  } catch (error) {
    if ((await personalKeys.findKeyId(tenantId, memberId)) === keyId) throw error
  }
}

/** Rejects: not-forgettable. That no booking is open is checked where the key is deleted. */
export function forgetMember(account: MemberAccount, command: ForgetMember, now: string): MemberEvent[] {
  const bookingIds = Object.keys({ ...account.owed, ...account.recoverable })
  if (bookingIds.length > 0) {
    throw new Rejection('not-forgettable', 'An amount is still owed to or by this member', { bookingIds })
  }
  return [{ type: 'PersonForgotten', data: { ...command, at: now } }]
}

const nothingKept = (memberId: string) =>
  new Rejection('member-not-found', `Nothing personal is kept of member '${memberId}'`)
