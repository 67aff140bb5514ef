/**
 * `POST /internal/introspect`: who a caller of query-api is. A refusal is an answer here, with status 200, so that the
 * asking process can tell it from a fault and keep it for its second.
 */
import {
  type Introspect,
  introspectionAnswerSchema,
  introspectionRequestSchema,
} from '@portolan/infra/http/credentials.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { Router } from 'express'
import type { KeyRing } from './personal-data/key-ring.ts'
import { authenticateStaff } from './staff/authenticate.ts'
import type { StaffSessions } from './staff/sessions.ts'
import { authenticateMember } from './tenants/authenticate.ts'
import type { FindTenant } from './tenants/tenants.ts'

export interface IntrospectDeps {
  findTenant: FindTenant
  sessions: Pick<StaffSessions, 'findAccount'>
  /** Of STAFF_JWT_KEYS. */
  staffRing: KeyRing
}

/** Introspection within command-api, for its own staff guards. */
export function createIntrospect({ findTenant, sessions, staffRing }: IntrospectDeps): Introspect {
  return async (request) =>
    request.kind === 'member'
      ? authenticateMember(findTenant, request)
      : authenticateStaff({ ring: staffRing, sessions }, request.token)
}

/** The route for the other processes. Behind the service token. */
export function createIntrospectRoute(introspect: Introspect): Router {
  const routes = Router()
  routes.post('/internal/introspect', async (req, res) => {
    const request = parseInput(introspectionRequestSchema, req.body)
    const answer = await introspect(request, contextOf(res).correlationId)
    res.set('Cache-Control', 'no-store').json(introspectionAnswerSchema.parse(answer))
  })
  return routes
}
