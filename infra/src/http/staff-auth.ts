/** Authentication of staff on `/ops/*` and other routes of our own, by the access token of their sign-in. */
import { Rejection } from '@portolan/schemas/errors.ts'
import type { RequestHandler, Response } from 'express'
import type { Introspect, StaffIdentity } from './credentials.ts'
import { contextOf } from './server.ts'

/** Makes a guard per set of roles: `requireStaff('operator', 'tenant-admin')`. */
export type RequireStaff = (...roles: StaffIdentity['role'][]) => RequestHandler

/**
 * Creates the guards of a process; routes behind one read `staffOf(res)`.
 * Rejects: unauthorized without a valid access token, forbidden for another role.
 */
export function createStaffAuth({ introspect }: { introspect: Introspect }): RequireStaff {
  return (...roles) =>
    async (req, res, next) => {
      const [, token] = /^Bearer ([\w.-]{1,4000})$/.exec(req.get('Authorization') ?? '') ?? []
      if (!token) throw new Rejection('unauthorized', 'Sign in to use this')
      const answer = await introspect({ kind: 'staff', token }, contextOf(res).correlationId)
      if (answer.kind === 'refused') throw new Rejection(answer.code, answer.detail, answer.members)
      if (answer.kind !== 'staff') throw new Error('introspection of staff answered with a member')
      if (!roles.includes(answer.role)) throw new Rejection('forbidden', 'Your role does not allow this')
      res.locals.staff = answer
      next()
    }
}

/** The account that a guard let through. Throws on a route that is not behind one. */
export function staffOf(res: Response): StaffIdentity {
  const staff: StaffIdentity | undefined = res.locals.staff
  if (!staff) throw new Error('this route is not behind the staff authentication')
  return staff
}
