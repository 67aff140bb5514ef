/** Authentication of our own processes on `/internal/*`. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { RequestHandler } from 'express'

/** Marks the refusal, so that our client does not take it for an answer about whoever it asked for. */
export const SERVICE_REALM = 'service'

const sha256 = (text: string) => createHash('sha256').update(text).digest()

/** Lets only callers with `Authorization: Bearer <serviceToken>` through, compared in constant time. Rejects: unauthorized. */
export function requireService(serviceToken: string): RequestHandler {
  const expected = sha256(serviceToken)
  return (req, _res, next) => {
    const [scheme, token] = (req.get('Authorization') ?? '').split(' ')
    if (scheme !== 'Bearer' || !token || !timingSafeEqual(sha256(token), expected)) {
      throw new Rejection('unauthorized', 'A service token is required', { realm: SERVICE_REALM })
    }
    next()
  }
}
