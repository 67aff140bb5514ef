/** What the member authentication of a contract puts on a request, typed for the routes behind it, and what stands in front of those. */
import { jsonBody } from '@portolan/infra/http/server.ts'
import { type ProvokedError, provokedRefusal } from '@portolan/schemas/loyalty-errors.ts'
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'
import type { RequestHandler, Response } from 'express'
import type { CommandContext } from './event-store/handle-command.ts'

export interface MemberRequest {
  tenant: TenantSettings
  memberId: string
  /** Whose idempotency keys, written positions and limits these are: `member:<memberId>`, never a programme-wide credential. */
  principal: string
  correlationId: string
  traceparent: string | undefined
  /** `X-Mock-Error`, under TEST_MODE only. */
  mockError: string | undefined
}

/** Called by the authentication middleware once the member is known. */
export function setMemberRequest(res: Response, request: MemberRequest): void {
  res.locals.member = request
  res.locals.tenantId = request.tenant.tenantId
}

/** The authenticated member behind this request. Throws when the route is not mounted behind the authentication. */
export function memberRequest(res: Response): MemberRequest {
  const { member } = res.locals
  if (!member) throw new Error('this route needs the member authentication in front of it')
  return member
}

/** The context of a command that this member asks for. */
export function memberContext({
  tenant,
  memberId,
  correlationId,
  traceparent,
  mockError,
}: MemberRequest): CommandContext {
  const actor = { kind: 'member' as const, id: memberId }
  return { tenantId: tenant.tenantId, actor, correlationId, causationId: null, traceparent, mockError }
}

/** What stands in front of a member's route; `answeredHere`: the values of `X-Mock-Error` that the route answers by itself. */
export type MemberGuard = (...answeredHere: ProvokedError[]) => RequestHandler[]

/** Authentication, then what a test provokes (contract section 6, only under TEST_MODE), then the body: a stranger's is not parsed. */
export function createMemberGuard(authenticate: RequestHandler): MemberGuard {
  return (...answeredHere) => [
    authenticate,
    (_req, res, next) => {
      const refusal = provokedRefusal(memberRequest(res).mockError, answeredHere)
      if (refusal) throw refusal
      next()
    },
    jsonBody(),
  ]
}
