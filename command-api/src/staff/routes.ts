/** Signing in as staff: `POST /api/v1/staff/auth/{login,refresh,logout}`. */
import { createHash } from 'node:crypto'
import { parseInput } from '@portolan/infra/http/problem.ts'
import type { ConsumeLimit } from '@portolan/infra/http/rate-limit.ts'
import { contextOf, jsonBody } from '@portolan/infra/http/server.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import {
  loginRequestSchema,
  refreshRequestSchema,
  type SignedIn,
  signedInSchema,
} from '@portolan/schemas/staff/views.ts'
import { type Request, Router } from 'express'
import type { KeyRing } from '../personal-data/key-ring.ts'
import { ACCESS_TOKEN_SECONDS, signAccessToken } from './access-tokens.ts'
import { normalEmail } from './accounts.ts'
import { passwordFits } from './passwords.ts'
import type { Session, StaffSessions } from './sessions.ts'

/** Attempts per minute, right or wrong: per account against guessing from many addresses, per address against trying many accounts. */
const ATTEMPTS_PER_ACCOUNT = 10
const ATTEMPTS_PER_ADDRESS = 30
const BODY_LIMIT_BYTES = 10_000

export interface StaffRouteDeps {
  sessions: StaffSessions
  /** Of STAFF_JWT_KEYS. */
  ring: KeyRing
  consumeLimit: ConsumeLimit
  logger: Logger
}

/** Rejects: validation-error, unauthorized (one wording for every reason), rate-limit. */
export function createStaffRoutes({ sessions, ring, consumeLimit, logger }: StaffRouteDeps): Router {
  const routes = Router()
  routes.use('/api/v1/staff/auth', jsonBody(BODY_LIMIT_BYTES))

  routes.post('/api/v1/staff/auth/login', async (req, res) => {
    const { email, password } = parseInput(loginRequestSchema, req.body)
    await limitAttempts(consumeLimit, req, `account:${createHash('sha256').update(normalEmail(email)).digest('hex')}`)
    const account = await sessions.findCredentials(email)
    const isRight = await passwordFits(password, account?.passwordHash ?? null)
    if (!account || !isRight) {
      logger.info('staff sign-in refused', {
        correlationId: contextOf(res).correlationId,
        accountId: account?.accountId,
      })
      throw new Rejection('unauthorized', 'E-mail or password is wrong')
    }
    const { passwordHash: _, ...identity } = account
    const session = await sessions.open(identity)
    logger.info('staff signed in', { correlationId: contextOf(res).correlationId, accountId: account.accountId })
    res.set('Cache-Control', 'no-store').json(signedIn(ring, session))
  })

  routes.post('/api/v1/staff/auth/refresh', async (req, res) => {
    const { refreshToken } = parseInput(refreshRequestSchema, req.body)
    await limitAttempts(consumeLimit, req)
    const refreshed = await sessions.refresh(refreshToken)
    if (refreshed.outcome === 'reused') {
      const { sessionId, accountId } = refreshed
      logger.warn('used refresh token presented again, session ended', { sessionId, accountId })
    }
    if (refreshed.outcome !== 'rotated') throw new Rejection('unauthorized', 'Sign in again')
    res.set('Cache-Control', 'no-store').json(signedIn(ring, refreshed.session))
  })

  routes.post('/api/v1/staff/auth/logout', async (req, res) => {
    const { refreshToken } = parseInput(refreshRequestSchema, req.body)
    await limitAttempts(consumeLimit, req)
    await sessions.end(refreshToken)
    res.status(204).end()
  })

  return routes
}

async function limitAttempts(consumeLimit: ConsumeLimit, req: Request, account?: string): Promise<void> {
  const consumed = [await consumeLimit(`staff:address:${req.ip}`, ATTEMPTS_PER_ADDRESS)]
  if (account) consumed.push(await consumeLimit(`staff:${account}`, ATTEMPTS_PER_ACCOUNT))
  const refused = consumed.find(({ allowed }) => !allowed)
  if (refused) throw new Rejection('rate-limit', 'Too many attempts', { retry_after: refused.retryAfterSeconds ?? 1 })
}

function signedIn(ring: KeyRing, { sessionId, refreshToken, account }: Session): SignedIn {
  return signedInSchema.parse({
    accessToken: signAccessToken(ring, { accountId: account.accountId, sessionId }),
    tokenType: 'Bearer',
    expiresInSeconds: ACCESS_TOKEN_SECONDS,
    refreshToken,
    account,
  })
}
