/** What staff do with properties: register, describe, retire. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf, jsonBody } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { propertyIdSchema } from '@portolan/schemas/stays/messages.ts'
import {
  describePropertyRequestSchema,
  propertyFactsOf,
  propertyView,
  registerPropertyRequestSchema,
  STAYS_TENANT,
} from '@portolan/schemas/stays/views.ts'
import { propertyStream } from '@portolan/schemas/topics.ts'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import { idempotencyScope } from '../http-preferences.ts'
import { counted } from './count-commands.ts'
import { describeProperty, registerProperty, retireProperty, type StayDecision } from './decider.ts'
import { requireOwnTenant } from './guest-request.ts'
import { type PropertyState, propertyType } from './property.ts'
import { type StayDeps, whenFree } from './routes.ts'

/** staffAuth: lets operators and the tenant's own administrators through. Rejects: validation-error; not-found, conflict; forbidden for another tenant's. */
export function createPropertyRoutes(deps: StayDeps, staffAuth: RequestHandler): Router {
  const routes = Router()
  const staff: RequestHandler[] = [staffAuth, ofOwnTenant]

  routes.post(
    '/api/v1/properties',
    ...staff,
    jsonBody(),
    counted(deps, 'register', async (req, res) => {
      const { property_id: propertyId = deps.newId(), ...facts } = parseInput(registerPropertyRequestSchema, req.body)
      const { id } = await changed(deps, req, res, propertyId, (state, now) =>
        registerProperty(state, propertyId, propertyFactsOf(facts), now),
      )
      res
        .status(201)
        .set('Location', `/api/v1/properties/${id}`)
        .json(propertyView(id, propertyFactsOf(facts), false))
    }),
  )

  routes.post(
    '/api/v1/properties/:propertyId/describe',
    ...staff,
    jsonBody(),
    counted(deps, 'describe', async (req, res) => {
      const facts = propertyFactsOf(parseInput(describePropertyRequestSchema, req.body))
      const { id } = await changed(deps, req, res, String(req.params.propertyId), (state, now) =>
        describeProperty(state, facts, now),
      )
      // A retired one is not described any more; a retry is answered as the first time.
      res.json(propertyView(id, facts, false))
    }),
  )

  routes.post(
    '/api/v1/properties/:propertyId/retire',
    ...staff,
    counted(deps, 'retire', async (req, res) => {
      const { id, state } = await changed(deps, req, res, String(req.params.propertyId), retireProperty)
      if (!state) throw new Error('a property that was just retired cannot be loaded')
      res.json(propertyView(id, state.facts, true))
    }),
  )

  return routes
}

/** The property after the command, or after the first one with its key. */
async function changed(
  deps: StayDeps,
  req: Request,
  res: Response,
  propertyId: string,
  decide: (state: PropertyState, now: string) => StayDecision,
): Promise<{ id: string; state: PropertyState }> {
  const { accountId } = staffOf(res)
  if (!propertyIdSchema.safeParse(propertyId).success) throw new Rejection('not-found', 'There is no such property')
  const principal = `staff:${accountId}`
  const context = { tenantId: STAYS_TENANT, actor: { kind: 'staff' as const, id: accountId }, causationId: null }
  const stream = propertyStream(propertyId)
  const handled = await whenFree(() =>
    deps.store.handle({
      context: { ...context, ...contextOf(res) },
      streams: { property: { type: propertyType, stream } },
      decide: ({ property }, now) => {
        const { events, effects } = decide(property, now)
        return { events: { property: events }, effects }
      },
      idempotency: idempotencyScope(req, principal, propertyId),
    }),
  )
  const id = handled.replayed ? (handled.reference ?? propertyId) : propertyId
  const { state, positions } = handled.replayed
    ? await deps.store.load(STAYS_TENANT, propertyType, propertyStream(id))
    : { state: handled.states.property, positions: handled.positions }
  await deps.noteWritten(res, { tenantId: STAYS_TENANT, principal }, positions, [propertyStream(id)])
  return { id, state }
}

/** Rejects: forbidden for staff of another tenant; not-found where another one is named. */
export const ofOwnTenant: RequestHandler = (req, res, next) => {
  const { tenantScope } = staffOf(res)
  if (tenantScope !== null && tenantScope !== STAYS_TENANT) throw new Rejection('forbidden', 'This is not your tenant')
  requireOwnTenant(req)
  next()
}
