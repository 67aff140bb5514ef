/** The token of a guest: 401 before anything else is looked at. */
import { createHash } from 'node:crypto'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { IntervalRule } from '@portolan/schemas/stays/periods.ts'
import { readAccessToken } from '@portolan/schemas/stays/token.ts'
import { STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import type { RequestHandler, Response } from 'express'
import type { Reader } from '../consistent-read.ts'

/** Every answer names the rule. Rejects: unauthorized; not-found where another tenant than that of stays is named. */
export const createGuestAuth =
  (rule: IntervalRule): RequestHandler =>
  (req, res, next) => {
    res.set('X-Interval-Rule', rule)
    const token = readAccessToken({
      authorization: req.headersDistinct.authorization,
      accessTokenHeader: req.headersDistinct['x-access-token'],
      query: req.query,
    })
    res.locals.tenantId = STAYS_TENANT
    if (!token) throw new Rejection('unauthorized', 'A UUID is needed as access token')
    const tenants = req.headersDistinct['x-tenant-id'] ?? []
    if (tenants.some((tenant) => tenant !== STAYS_TENANT)) throw new Rejection('not-found', 'There is no such tenant')
    const holder = createHash('sha256').update(token).digest('base64url')
    // Under the name that command-api notes the guest's writes under.
    res.locals.reader = { rememberedTenant: STAYS_TENANT, tenantId: STAYS_TENANT, principal: `guest:${holder}` }
    next()
  }

/** Who reads. Throws when the route is not mounted behind the guard. */
export function guestReader(res: Response): Reader {
  const { reader } = res.locals
  if (!reader) throw new Error("this route needs the guests' guard in front of it")
  return reader
}
