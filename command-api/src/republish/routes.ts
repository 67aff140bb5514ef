/** `POST /ops/log/republish`: the next generation of the log, prepared piece by piece. Mounted behind the staff authentication. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { republishRequestSchema } from '@portolan/schemas/ops/views.ts'
import { Router } from 'express'
import { type RepublishDeps, republishPiece } from './republish.ts'

/** Errors: validation-error; forbidden for an operator of one tenant; conflict, unavailable (see `republishPiece`). */
export function createRepublishRoutes(deps: RepublishDeps): Router {
  const routes = Router()
  routes.post('/ops/log/republish', async (req, res) => {
    const staff = staffOf(res)
    if (staff.tenantScope !== null) throw new Rejection('forbidden', 'The log belongs to every tenant')
    const request = parseInput(republishRequestSchema, req.body)
    const { correlationId, traceparent } = contextOf(res)
    const actor = { kind: 'staff' as const, id: staff.accountId }
    const context = { actor, correlationId, causationId: null, traceparent }
    res.json(await republishPiece(deps, context, `staff:${staff.accountId}`, request))
  })
  return routes
}
