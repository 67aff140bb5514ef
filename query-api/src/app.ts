/** Which routes query-api answers, and what stands in front of each group. One line per vertical. */
import { problemDocument, problemHandler } from '@portolan/infra/http/problem.ts'
import { type AppDeps, createApp } from '@portolan/infra/http/server.ts'
import { serializeLoyaltyProblem } from '@portolan/schemas/loyalty-errors.ts'
import { serializeStaysProblem } from '@portolan/schemas/stays/views.ts'
import { type Express, type RequestHandler, Router } from 'express'

export interface QueryApiParts {
  http: Omit<AppDeps, 'bodyLimit' | 'onUnreadableAddress'>
  /** Authenticates and limits members of a programme. */
  memberAuth: RequestHandler
  /** Authenticates staff of any role that may read. */
  staffAuth: RequestHandler
  memberRoutes: readonly Router[]
  /** Reads the token of a guest of stays. */
  guestAuth: RequestHandler
  guestRoutes: readonly Router[]
  staffRoutes: readonly Router[]
  openRoutes: readonly Router[]
}

const ofGuests = /^\/api\/v1\/(properties|reservations)/

/** Puts the application together. Nothing here reads a body. */
export function createQueryApi(parts: QueryApiParts): Express {
  const onUnreadableAddress: RequestHandler = (req, res, next) =>
    ofGuests.test(req.path) ? parts.guestAuth(req, res, next) : next()
  const app = createApp({ ...parts.http, bodyLimit: null, onUnreadableAddress })
  for (const routes of parts.openRoutes) app.use(routes)
  app.use(guarded(parts.staffRoutes, parts.staffAuth))
  app.use(guarded(parts.guestRoutes, parts.guestAuth))
  app.use(guarded(parts.memberRoutes, parts.memberAuth))
  app.use(
    ...problemHandler({
      logger: parts.http.logger,
      serializers: {
        '/api/v1/': serializeLoyaltyProblem,
        '/api/v1/staff/': problemDocument,
        '/api/v1/properties': serializeStaysProblem,
        '/api/v1/reservations': serializeStaysProblem,
      },
    }),
  )
  return app
}

/** Runs the guard only for requests that one of the routers can answer, so that an unknown path is a 404 and not a 401. */
function guarded(routers: readonly Router[], guard: RequestHandler): Router {
  const group = Router()
  for (const routes of routers) {
    for (const layer of routes.stack) if (layer.route) group.get(layer.route.path, guard)
    group.use(routes)
  }
  return group
}
