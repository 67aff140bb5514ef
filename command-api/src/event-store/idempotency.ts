/**
 * Retries are harmless (P10): the record of what a key's first request came to, looked up before deciding and inserted with
 * the events. It keeps a reference or a rejection, never a body and no personal data.
 */
import { hash } from 'node:crypto'
import { type ProblemCode, problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import type pg from 'pg'

/** What makes two requests the same one. The tenant comes from the command. */
export interface IdempotencyScope {
  /** Member, user or key; never a programme-wide credential. */
  principal: string
  method: string
  /** Full path of the request. */
  path: string
  /** The client's key, at most 255 characters. */
  key: string
  /** From `hashBody`. */
  bodyHash: string
  /** What an answer to a repetition is built from, usually the stream. */
  reference: string | null
}

/** What the first request came to. */
export interface IdempotencyRecord {
  reference: string | null
}

interface IdempotencyRow {
  body_hash: string
  reference: string | null
  rejection: { code: ProblemCode; detail: string; members: Record<string, unknown> } | null
}

const recordedKinds: readonly string[] = ['forbidden', 'not-found', 'conflict']

/** Whether a rejection is a rule's answer, to be given again to a repetition. Validation, 401, 429 and faults are not. */
export function isRecorded(rejection: Rejection): boolean {
  return recordedKinds.includes(problemCodes[rejection.code].kind) && rejection.code !== 'idempotency-busy'
}

/** SHA-256 over the body with its members in sorted order, so that only a change of content is another body. Rejects: validation-error for a body nested too deeply. */
export function hashBody(body: unknown): string {
  return hash('sha256', canonical(body), 'base64url')
}

/** Deeper than any body of ours; beyond it the recursion would end in a fault instead of an answer. */
const NESTING_MAX = 64

function canonical(value: unknown, depth = 0): string {
  if (depth > NESTING_MAX)
    throw new Rejection('validation-error', 'The request body is nested too deeply', { errors: [] })
  if (Array.isArray(value)) return `[${value.map((member) => canonical(member, depth + 1)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  const sorted = members.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member, depth + 1)}`).join(',')}}`
}

/** The query that looks a record up; run it as the tenant. */
export function recordQuery(tenantId: string, scope: IdempotencyScope): pg.QueryConfig {
  return {
    name: 'idempotency-record',
    text: `
      select body_hash, reference, rejection from idempotency_keys
      where tenant_id = $1 and principal = $2 and method = $3 and path = $4 and key = $5`,
    values: [tenantId, scope.principal, scope.method, scope.path, scope.key],
  }
}

/**
 * What an earlier request with this key came to; null when there was none.
 * Rejects: idempotency-mismatch when it had another body, and what the earlier request was rejected with.
 */
export function replay(result: pg.QueryResult | undefined, scope: IdempotencyScope): IdempotencyRecord | null {
  const row = result?.rows[0] as IdempotencyRow | undefined
  if (!row) return null
  if (row.body_hash !== scope.bodyHash) {
    throw new Rejection('idempotency-mismatch', 'This Idempotency-Key was used before with a different request body')
  }
  if (row.rejection) throw new Rejection(row.rejection.code, row.rejection.detail, row.rejection.members)
  return { reference: row.reference }
}

/**
 * Parallel requests of one key in one process share the first one's work, so that what precedes a command (lookups, a
 * partner's answer) is not repeated. A request with another body waits for the first and then runs for itself: it finds the
 * record, or, when the first left none, is the first.
 * joinMaxMs: how long somebody else's work is waited for; for ever by default. Rejects: idempotency-busy when that was not enough.
 */
export function createSingleFlight() {
  const inFlight = new Map<string, { bodyHash: string; work: Promise<unknown> }>()
  return async function singleFlight<T>(
    tenantId: string,
    scope: IdempotencyScope | undefined,
    work: () => Promise<T>,
    { joinMaxMs }: { joinMaxMs?: number } = {},
  ): Promise<T> {
    if (!scope) return work()
    const endsAt = joinMaxMs === undefined ? undefined : performance.now() + joinMaxMs
    const id = JSON.stringify([tenantId, scope.principal, scope.method, scope.path, scope.key])
    for (;;) {
      const first = inFlight.get(id)
      if (!first) break
      // One scope names one route and body, so the shared work answers with the same type.
      if (first.bodyHash === scope.bodyHash) return before(endsAt, first.work as Promise<T>)
      await before(
        endsAt,
        first.work.catch(() => undefined),
      )
    }
    const mine = { bodyHash: scope.bodyHash, work: work() }
    inFlight.set(id, mine)
    try {
      return await mine.work
    } finally {
      inFlight.delete(id)
    }
  }
}

/** endsAt: by performance.now(). Rejects: idempotency-busy when the work is not done by then; it goes on. */
async function before<T>(endsAt: number | undefined, work: Promise<T>): Promise<T> {
  if (endsAt === undefined) return work
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () =>
      reject(new Rejection('idempotency-busy', 'The first request with this Idempotency-Key is still being worked on')),
    endsAt - performance.now(),
  )
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
