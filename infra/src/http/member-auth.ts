/**
 * Authentication and rate limit of requests made on behalf of a tenant's member, in one place because they answer each
 * other: a caller who is known counts against the tenant's limit, anyone else against the limit of their address, so
 * that a stranger cannot use up a tenant's requests. Every answer carries X-RateLimit-* of the limit that counted.
 */
import { Rejection } from '@portolan/schemas/errors.ts'
import type { Request, RequestHandler, Response } from 'express'
import type { Introspect, IntrospectionRequest, MemberIdentity } from './credentials.ts'
import type { ConsumeLimit, Consumption } from './rate-limit.ts'
import { contextOf } from './server.ts'

const TENANT_HEADER = 'x-tenant-id'
/** Every header in which a programme's credentials or member id may come. */
const CREDENTIAL_HEADERS = ['authorization', 'x-cc-api-key', 'x-cc-member-id'] as const
const HEADER_LENGTH_MAX = 4000

export interface MemberAuthDeps {
  introspect: Introspect
  consumeLimit: ConsumeLimit
  /** Requests per minute of one client address while its requests are not authenticated. */
  addressLimitPerMinute: number
  /** Called with the member before the routes; for what a process wants to put on its requests. */
  onMember?: (req: Request, res: Response, member: MemberIdentity) => void
}

/**
 * Lets only authenticated members within their tenant's limit through; routes behind it read `memberOf(res)`.
 * Rejects: what introspection refuses with (validation-error, unauthorized), rate-limit with `retry_after` in seconds.
 */
export function createMemberAuth(deps: MemberAuthDeps): RequestHandler {
  return async (req, res, next) => {
    const answer = await deps.introspect(credentialsOf(req), contextOf(res).correlationId)
    if (answer.kind !== 'member') {
      limit(res, await deps.consumeLimit(`address:${req.ip}`, deps.addressLimitPerMinute))
      if (answer.kind === 'refused') throw new Rejection(answer.code, answer.detail, answer.members)
      throw new Error('introspection of a member answered with staff')
    }
    res.locals.tenantId = answer.tenantId
    res.locals.memberIdentity = answer
    limit(res, await deps.consumeLimit(`tenant:${answer.tenantId}`, answer.tenant.limits.requestsPerMinute))
    deps.onMember?.(req, res, answer)
    next()
  }
}

/** The member that `createMemberAuth` let through. Throws on a route that is not behind it. */
export function memberOf(res: Response): MemberIdentity {
  const member: MemberIdentity | undefined = res.locals.memberIdentity
  if (!member) throw new Error('this route is not behind the member authentication')
  return member
}

function credentialsOf(req: Request): IntrospectionRequest {
  const tenantId = req.get(TENANT_HEADER)?.slice(0, 200)
  const present = CREDENTIAL_HEADERS.flatMap((name) => {
    const value = req.get(name)
    return value ? [[name, value.slice(0, HEADER_LENGTH_MAX)]] : []
  })
  return { kind: 'member', tenantId: tenantId || null, headers: Object.fromEntries(present) }
}

function limit(res: Response, { limit: perMinute, remaining, resetAtSeconds, ...rest }: Consumption): void {
  res.set({
    'X-RateLimit-Limit': String(perMinute),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Reset': String(resetAtSeconds),
  })
  if (rest.allowed) return
  throw new Rejection('rate-limit', 'Rate limit exceeded. Please try again later.', {
    retry_after: rest.retryAfterSeconds ?? 1,
  })
}
