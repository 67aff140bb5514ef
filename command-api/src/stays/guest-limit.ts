/** The limit in front of the guests' routes: of a client address, since a token is any UUID and a caller can make up as many as it likes. */
import type { Consumption } from '@portolan/infra/http/rate-limit.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { Router } from 'express'

/** Mounted in front of `createReservationRoutes`. Rejects: rate-limit with `retry_after` in seconds. */
export function createGuestLimit(consumeLimit: (key: string) => Promise<Consumption>): Router {
  const limit = Router()
  limit.use('/api/v1/reservations', async (req, _res, next) => {
    const { allowed, retryAfterSeconds } = await consumeLimit(`guests:${req.ip}`)
    if (!allowed)
      throw new Rejection('rate-limit', 'Too many requests from this address', { retry_after: retryAfterSeconds ?? 1 })
    next()
  })
  return limit
}
