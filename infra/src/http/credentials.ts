/**
 * Introspection: query-api holds no credentials, so it asks command-api whether a caller is who they say. Answers are
 * cached for at most one second, so that a revocation holds everywhere within one, and for a minute while command-api
 * cannot be asked.
 */
import { createHash } from 'node:crypto'
import { type ProblemCode, problemCodes } from '@portolan/schemas/errors.ts'
import { z } from 'zod'
import { type ServiceClient, ServiceFault, throwAsFault } from './client.ts'

const FRESH_MS = 1000
const STALE_MS = 60_000
const ENTRIES_MAX = 10_000

export const introspectionRequestSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('member'),
    /** Tenant id as the client sent it; null when it sent none. */
    tenantId: z.string().max(200).nullable(),
    /** The headers a programme's credentials may come in, lower-case, as the client sent them. */
    headers: z.record(z.string().max(50), z.string().max(4000)),
  }),
  z.object({ kind: z.literal('staff'), token: z.string().max(4000) }),
])
export type IntrospectionRequest = z.infer<typeof introspectionRequestSchema>

export const memberIdentitySchema = z.object({
  kind: z.literal('member'),
  tenantId: z.string(),
  memberId: z.string(),
  /** Whose requests, limits, idempotency keys and read positions these are; within the tenant. */
  principal: z.string(),
  /** The tenant's settings as the tenants vertical describes them; `limits` is all that is needed here. */
  tenant: z.looseObject({ limits: z.object({ requestsPerMinute: z.int().positive() }) }),
})
export type MemberIdentity = z.infer<typeof memberIdentitySchema>

export const staffIdentitySchema = z.object({
  kind: z.literal('staff'),
  accountId: z.string(),
  role: z.enum(['operator', 'tenant-admin', 'viewer']),
  /** The only tenant this account may see; null: all. */
  tenantScope: z.string().nullable(),
})
export type StaffIdentity = z.infer<typeof staffIdentitySchema>

const refusedSchema = z.object({
  kind: z.literal('refused'),
  code: z.enum(Object.keys(problemCodes) as [ProblemCode, ...ProblemCode[]]),
  detail: z.string(),
  members: z.record(z.string(), z.unknown()),
})
export type RefusedIdentity = z.infer<typeof refusedSchema>

export const introspectionAnswerSchema = z.discriminatedUnion('kind', [
  memberIdentitySchema,
  staffIdentitySchema,
  refusedSchema,
])
export type IntrospectionAnswer = z.infer<typeof introspectionAnswerSchema>

/** Says who a caller is. Throws a ServiceFault when that cannot be found out. */
export type Introspect = (request: IntrospectionRequest, correlationId: string) => Promise<IntrospectionAnswer>

/**
 * Introspection at command-api (`POST /internal/introspect`) through a cache of at most 10,000 callers.
 * A refusal is never served stale: while command-api is away only callers it vouched for within the last minute pass.
 */
export function createIntrospection(deps: { client: ServiceClient; now?: () => number }): Introspect {
  const now = deps.now ?? performance.now.bind(performance)
  const known = new Map<string, { answer: IntrospectionAnswer; askedAt: number }>()
  const asking = new Map<string, Promise<IntrospectionAnswer>>()

  async function ask(key: string, request: IntrospectionRequest, correlationId: string): Promise<IntrospectionAnswer> {
    // Taken before the question: the answer is at least as new as that.
    const askedAt = now()
    const answer = introspectionAnswerSchema.parse(
      await deps.client.post('/internal/introspect', request, { correlationId }).catch(throwAsFault),
    )
    known.delete(key)
    known.set(key, { answer, askedAt })
    const oldest = known.keys().next().value
    if (known.size > ENTRIES_MAX && oldest !== undefined) known.delete(oldest)
    return answer
  }

  return async (request, correlationId) => {
    // A hash, so that no credential is kept in memory longer than its request.
    const key = createHash('sha256').update(JSON.stringify(request)).digest('base64')
    const entry = known.get(key)
    if (entry && now() - entry.askedAt < FRESH_MS) return entry.answer
    let question = asking.get(key)
    if (!question) {
      question = ask(key, request, correlationId).finally(() => asking.delete(key))
      asking.set(key, question)
    }
    try {
      return await question
    } catch (error) {
      const mayServeStale = error instanceof ServiceFault && entry && entry.answer.kind !== 'refused'
      if (mayServeStale && now() - entry.askedAt < STALE_MS) return entry.answer
      throw error
    }
  }
}
