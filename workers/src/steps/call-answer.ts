/**
 * How every answer of a supplier or partner is read before anything else is done with it (design section 5).
 *
 * The one question is whether the call took effect:
 *   succeeded   it did, and the answer could be read
 *   accepted    it will or it will not, the other side says so later; never call again (202)
 *   refused     it did not and will not: a rule, or a failure that guarantees no side effect
 *   not-done    it did not, another attempt may: 429, 503, connection refused, or never sent
 *   unknown     nobody knows: timeout, connection cut after sending, 500 or an unreadable success on a creating call
 */

export type CallAnswer<T> =
  | { kind: 'succeeded'; value: T }
  | { kind: 'accepted'; result?: Record<string, unknown> }
  | { kind: 'refused'; code: string; result?: Record<string, unknown> }
  | NotDone
  | { kind: 'unknown'; code: 'timeout' | 'connection-cut' | 'server-error' }

/** `retryAfterMs` is what the other side asked for, null when it said nothing; the step runner adds back-off and jitter. */
export interface NotDone {
  kind: 'not-done'
  code: string
  retryAfterMs: number | null
}

/** A call that was not made, or had no effect. */
export function notDone(code: string, retryAfterMs: number | null = null): NotDone {
  return { kind: 'not-done', code, retryAfterMs }
}

/**
 * Reads the answer of a call that changes nothing: what would be an unknown outcome of a creating call is simply not done.
 * party: prefix of the code, `partner` or `supplier`.
 */
export function asRead<T>(answer: CallAnswer<T>, party: 'partner' | 'supplier'): CallAnswer<T> {
  if (answer.kind !== 'unknown') return answer
  return notDone(answer.code === 'timeout' ? `${party}-timeout` : `${party}-unavailable`)
}

/** Whether an answer says that the other side is in trouble; these open its circuit breaker. Refusals by a rule do not. */
export function isTrouble(answer: CallAnswer<unknown>): boolean {
  return answer.kind === 'unknown' || (answer.kind === 'not-done' && troubleCodes.has(answer.code))
}
const troubleCodes = new Set(['partner-unavailable', 'partner-timeout', 'supplier-unavailable', 'supplier-timeout'])

/**
 * Reads a Retry-After value: seconds or an HTTP date. Returns milliseconds from `nowMs`, bounded to an hour, or null.
 * Source: RFC 9110 section 10.2.3.
 */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | null {
  if (!value) return null
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - nowMs
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : null
}
