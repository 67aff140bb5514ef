/** `POST /ops/stays/load`: what `npm run ops -- stays import` sends. Not on the edge, like everything that only operators' commands ask for. */
import { parseInput } from '@portolan/infra/http/problem.ts'
import { contextOf, jsonBody } from '@portolan/infra/http/server.ts'
import { staffOf } from '@portolan/infra/http/staff-auth.ts'
import { type ProblemCode, Rejection } from '@portolan/schemas/errors.ts'
import { type LoadAnswer, loadRequestSchema } from '@portolan/schemas/stays/loading.ts'
import { STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import { type RequestHandler, Router } from 'express'
import type { CommandContext } from '../event-store/handle-command.ts'
import type { IdempotencyScope } from '../event-store/idempotency.ts'
import { idempotencyScope } from '../http-preferences.ts'
import { loadRows } from './load.ts'
import { ofOwnTenant } from './property-routes.ts'
import type { StayDeps } from './routes.ts'

/** Of the longest rows there can be. */
const BYTES_MAX = 4_000_000

/**
 * staffAuth: lets operators through. A row that is refused is part of the answer.
 * Rejects: validation-error; forbidden for another tenant's operator; idempotency-mismatch; unavailable.
 */
export function createLoadRoutes(deps: StayDeps, staffAuth: RequestHandler): Router {
  const routes = Router()
  routes.post('/ops/stays/load', staffAuth, ofOwnTenant, jsonBody(BYTES_MAX), async (req, res) => {
    const { accountId } = staffOf(res)
    const request = parseInput(loadRequestSchema, req.body)
    const scope = idempotencyScope(req, `staff:${accountId}`, null)
    if (!scope && request.reservations.some(hasNoId)) throw keyNeeded()
    const actor = { kind: 'staff' as const, id: accountId }
    const context = { tenantId: STAYS_TENANT, actor, causationId: null, ...contextOf(res) }
    const answer = await deps.store.singleFlight(STAYS_TENANT, scope, async () => {
      if (scope) await takeKey(deps, context, scope)
      return loadRows(deps, context, request, (row) => scope && { ...scope, path: `${scope.path}/${row}` })
    })
    count(deps, answer)
    res.json(answer)
  })
  return routes
}

/** Each row is a command. */
function count({ countCommand }: StayDeps, { loaded, present, refused }: LoadAnswer): void {
  for (let row = 0; row < loaded + present; row++) countCommand('load', 'ok')
  for (const { code } of refused) countCommand('load', code as ProblemCode)
}

/** Each row has a record of its own; this one says what the others belong to. Rejects: idempotency-mismatch. */
async function takeKey({ store }: StayDeps, context: CommandContext, idempotency: IdempotencyScope): Promise<void> {
  await store.handle({ context, streams: {}, decide: () => ({ events: {} }), idempotency })
}

const hasNoId = (row: unknown) =>
  typeof row === 'object' && row !== null && (row as { reservationId?: unknown }).reservationId === undefined

function keyNeeded(): Rejection {
  const message = 'Is required where a reservation has no id'
  const errors = [{ field: 'Idempotency-Key', message }]
  return new Rejection('validation-error', `Idempotency-Key: ${message}`, { errors })
}
