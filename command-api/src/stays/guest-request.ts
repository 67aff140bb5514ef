/** What stands in front of a guest's route: the body as far as it can be read, the token (401 before anything else), the tenant. */
import { hash } from 'node:crypto'
import { BODY_LIMIT_BYTES, contextOf, jsonBody } from '@portolan/infra/http/server.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { readAccessToken } from '@portolan/schemas/stays/token.ts'
import { STAYS_TENANT, textsOf } from '@portolan/schemas/stays/views.ts'
import express, { type NextFunction, type Request, type RequestHandler, type Response, Router } from 'express'
import type { CommandContext } from '../event-store/handle-command.ts'

export interface GuestRequest {
  /** SHA-256 of the token, base64url: who reserved, without what would let anybody act for them. */
  holder: string
  /** Whose idempotency keys and written positions these are. */
  principal: string
  context: CommandContext
  /** Of the query, the form and the body; the body's count where several are given. */
  parameters: Readonly<Record<string, unknown>>
}

/** A stranger's body is read too, since the token may stand in it; it is bounded. */
export const guestGuard: RequestHandler[] = [
  lenient(jsonBody()),
  lenient(express.urlencoded({ extended: false, limit: BODY_LIMIT_BYTES, parameterLimit: 50 })),
  (req, res, next) => {
    const { bodyError } = res.locals
    const body: unknown = bodyError ? undefined : req.body
    const token = readAccessToken({
      authorization: req.headersDistinct.authorization,
      accessTokenHeader: req.headersDistinct['x-access-token'],
      query: req.query,
      body,
    })
    res.locals.tenantId = STAYS_TENANT
    if (!token) throw new Rejection('unauthorized', 'A UUID is needed as access token')
    requireOwnTenant(req)
    if (bodyError) throw bodyError
    res.locals.guest = guestOf(req, res, token, body)
    next()
  },
]

/** The guard alone, for addresses that no route can read: whoever has no token hears 401 there too. */
export const guestOfUnreadable: Router = Router().use(ofGuests, ...guestGuard)

/** Rejects: not-found where another tenant is named. */
export function requireOwnTenant(req: Request): void {
  const tenants = req.headersDistinct['x-tenant-id'] ?? []
  if (tenants.some((tenant) => tenant !== STAYS_TENANT)) throw new Rejection('not-found', 'There is no such tenant')
}

/** The guest behind this request. Throws when the route is not mounted behind the guard. */
export function guestRequest(res: Response): GuestRequest {
  const { guest } = res.locals
  if (!guest) throw new Error("this route needs the guests' guard in front of it")
  return guest
}

function guestOf(req: Request, res: Response, token: string, body: unknown): GuestRequest {
  const holder = hash('sha256', token, 'base64url')
  const isForm = req.is('application/x-www-form-urlencoded') !== false
  const inBody = typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...body } : {}
  const context = { tenantId: STAYS_TENANT, actor: { kind: 'member' as const, id: holder }, causationId: null }
  return {
    holder,
    principal: `guest:${holder}`,
    context: { ...context, ...contextOf(res) },
    parameters: { ...textsOf({ ...req.query }), ...(isForm ? textsOf(inBody) : inBody) },
  }
}

function ofGuests(req: Request, _res: Response, next: NextFunction): void {
  // Leaves the router for whatever is not the guests'.
  next(req.path.startsWith('/api/v1/reservations') ? undefined : 'router')
}

/** A body that cannot be read is a matter for later: the token comes first. */
function lenient(parse: RequestHandler): RequestHandler {
  return (req, res, next) =>
    parse(req, res, (error?: unknown) => {
      if (error) res.locals.bodyError = error
      next()
    })
}
