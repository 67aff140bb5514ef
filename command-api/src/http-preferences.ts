/** How a client wants to be answered: `Prefer` (RFC 7240) and `Idempotency-Key`, read the same way on every route. */
import { Rejection } from '@portolan/schemas/errors.ts'
import type { Request } from 'express'
import { hashBody, type IdempotencyScope } from './event-store/idempotency.ts'

const waitSecondsMax = 30

/**
 * How long to wait for an outcome, in seconds: `Prefer: respond-async` is 0, `Prefer: wait=N` is N up to 30, anything else the route's
 * default. Preferences that are not understood are ignored, as RFC 7240 asks.
 */
export function waitSeconds(req: Request, defaultSeconds: number): number {
  const preferences = (req.get('Prefer') ?? '').split(',').map((part) => part.trim().toLowerCase())
  if (preferences.includes('respond-async')) return 0
  const wait = preferences.map((part) => /^wait\s*=\s*"?(\d{1,6})"?$/.exec(part)?.[1]).find(Boolean)
  return wait === undefined ? defaultSeconds : Math.min(Number(wait), waitSecondsMax)
}

/**
 * The scope of the request's `Idempotency-Key`, undefined without one. principal: the member, user or key. body: what makes it the same request.
 * Rejects: validation-error for a key that is empty, longer than 255 characters or not printable ASCII.
 */
export function idempotencyScope(
  req: Request,
  principal: string,
  reference: string | null,
  body: unknown = req.body ?? null,
): IdempotencyScope | undefined {
  const key = req.get('Idempotency-Key')
  if (key === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    const message = 'Must be 1 to 255 printable ASCII characters'
    throw new Rejection('validation-error', `Idempotency-Key: ${message}`, {
      errors: [{ field: 'Idempotency-Key', message }],
    })
  }
  const path = req.originalUrl.split('?', 1)[0] ?? req.path
  return { principal, method: req.method, path, key, bodyHash: hashBody(body), reference }
}
