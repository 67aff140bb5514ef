/** Signing in as staff, and changing one's own password: `POST /api/v1/staff/auth/{login,refresh,logout,password}`. */
import { createHash } from 'node:crypto'
import { parseInput } from '@portolan/infra/http/problem.ts'
import type { ConsumeLimit } from '@portolan/infra/http/rate-limit.ts'
import { contextOf, jsonBody } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import {
  changePasswordRequestSchema,
  loginRequestSchema,
  refreshRequestSchema,
  type SignedIn,
  signedInSchema,
} from '@portolan/schemas/staff/views.ts'
import { type Request, type RequestHandler, Router } from 'express'
import type { CommandHandler } from '../event-store/handle-command.ts'
import type { KeyRing } from '../personal-data/key-ring.ts'
import { ACCESS_TOKEN_SECONDS, signAccessToken } from './access-tokens.ts'
import { changePassword, normalEmail } from './accounts.ts'
import { passwordFits } from './passwords.ts'
import type { Session, StaffSessions } from './sessions.ts'
import { staffContext } from './staff-context.ts'

/** Attempts per minute, right or wrong: per account against guessing from many addresses, per address against trying many accounts. */
const ATTEMPTS_PER_ACCOUNT = 10
const ATTEMPTS_PER_ADDRESS = 30
const BODY_LIMIT_BYTES = 10_000

export interface StaffRouteDeps {
  sessions: StaffSessions
  handle: CommandHandler
  /** Lets staff of every role through. */
  staffAuth: RequestHandler
  /** Of STAFF_JWT_KEYS. */
  ring: KeyRing
  consumeLimit: ConsumeLimit
  logger: Logger
}

/** Rejects: validation-error, unauthorized (one wording for every reason), rate-limit, conflict. */
export function createStaffRoutes(deps: StaffRouteDeps): Router {
  const { sessions, ring, consumeLimit, logger } = deps
  const routes = Router()
  const body = jsonBody(BODY_LIMIT_BYTES)

  routes.post('/api/v1/staff/auth/login', body, async (req, res) => {
    const { email, password } = parseInput(loginRequestSchema, req.body)
    await limitAttempts(consumeLimit, req, `account:${createHash('sha256').update(normalEmail(email)).digest('hex')}`)
    const account = await sessions.findCredentials({ email })
    const isRight = await passwordFits(password, account?.passwordHash ?? null)
    const session = account && isRight ? await sessions.open(account) : null
    if (!session) {
      logger.info('staff sign-in refused', {
        correlationId: contextOf(res).correlationId,
        accountId: account?.accountId,
      })
      throw new Rejection('unauthorized', 'E-mail or password is wrong')
    }
    logger.info('staff signed in', {
      correlationId: contextOf(res).correlationId,
      accountId: session.account.accountId,
    })
    res.set('Cache-Control', 'no-store').json(signedIn(ring, session))
  })

  routes.post('/api/v1/staff/auth/refresh', body, async (req, res) => {
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

  routes.post('/api/v1/staff/auth/logout', body, async (req, res) => {
    const { refreshToken } = parseInput(refreshRequestSchema, req.body)
    await limitAttempts(consumeLimit, req)
    await sessions.end(refreshToken)
    res.status(204).end()
  })

  routes.post('/api/v1/staff/auth/password', deps.staffAuth, body, async (req, res) => {
    const { accountId } = staffOf(res)
    const { currentPassword, newPassword } = parseInput(changePasswordRequestSchema, req.body)
    // A stolen session must not be a way to guess the password.
    await limitAttempts(consumeLimit, req, `account-id:${accountId}`)
    const account = await sessions.findCredentials({ accountId })
    if (!account || !(await passwordFits(currentPassword, account.passwordHash))) {
      const errors = [{ field: 'currentPassword', message: 'Is wrong' }]
      throw new Rejection('validation-error', 'currentPassword: Is wrong', { errors })
    }
    const change = { accountId, formerHash: account.passwordHash, newPassword }
    const passwordHash = await changePassword(deps, staffContext(res), change)
    logger.info('staff password changed', { correlationId: contextOf(res).correlationId, accountId })
    const session = await sessions.open({ ...account, passwordHash })
    if (!session) throw new Rejection('unauthorized', 'Sign in again')
    res.set('Cache-Control', 'no-store').json(signedIn(ring, session))
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
