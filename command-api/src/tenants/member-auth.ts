/** Authentication and rate limit in front of the loyalty routes of command-api. */
import { createMemberAuth } from '@portolan/infra/http/member-auth.ts'
import type { ConsumeLimit } from '@portolan/infra/http/rate-limit.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { tenantSettingsSchema } from '@portolan/schemas/tenants/messages.ts'
import type { RequestHandler } from 'express'
import { setMemberRequest } from '../member-request.ts'
import { authenticateMember } from './authenticate.ts'
import type { FindTenant } from './tenants.ts'

export interface MemberAuthDeps {
  findTenant: FindTenant
  consumeLimit: ConsumeLimit
  addressLimitPerMinute: number
  /** TEST_MODE: X-Mock-Error is honoured, otherwise it is inert. */
  testMode: boolean
}

/** Lets only members within their tenant's limit through, as `memberRequest(res)`. Rejects: validation-error, unauthorized, rate-limit. */
export function memberAuth(deps: MemberAuthDeps): RequestHandler {
  return createMemberAuth({
    introspect: async (request) => {
      if (request.kind !== 'member') throw new Error('only members are authenticated here')
      return authenticateMember(deps.findTenant, request)
    },
    consumeLimit: deps.consumeLimit,
    addressLimitPerMinute: deps.addressLimitPerMinute,
    onMember: (req, res, { memberId, principal, tenant }) => {
      const mockError = deps.testMode ? req.get('X-Mock-Error')?.slice(0, 50) : undefined
      setMemberRequest(res, {
        tenant: tenantSettingsSchema.parse(tenant),
        memberId,
        principal,
        ...contextOf(res),
        mockError: mockError || undefined,
      })
    },
  })
}
