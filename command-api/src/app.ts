/** Which routes command-api answers, and what stands in front of each group. Bodies are parsed behind the authentication: a stranger's costs nothing. */
import { problemDocument, problemHandler } from '@portolan/infra/http/problem.ts'
import { type AppDeps, createApp, jsonBody } from '@portolan/infra/http/server.ts'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { serializeLoyaltyProblem } from '@portolan/schemas/loyalty-errors.ts'
import { serializeStaysProblem } from '@portolan/schemas/stays/views.ts'
import type { Express, RequestHandler, Router } from 'express'

export interface CommandApiParts {
  http: Omit<AppDeps, 'bodyLimit'>
  serviceToken: string
  /** Authenticates operators. */
  operatorAuth: RequestHandler
  /** Each route has the members' guard in front of it. */
  memberRoutes: readonly Router[]
  /** Below /ops, behind the operator authentication. */
  operatorRoutes: readonly Router[]
  /** Below /internal, behind the service token; never reachable through the edge. */
  internalRoutes: readonly Router[]
  /** Authenticate by themselves, or need no authentication. */
  openRoutes: readonly Router[]
}

const internalBodyLimitBytes = 4_000_000

/** Puts the application together. */
export function createCommandApi(parts: CommandApiParts): Express {
  const app = createApp({ ...parts.http, bodyLimit: null })
  for (const routes of parts.memberRoutes) app.use(routes)
  for (const routes of parts.openRoutes) app.use(routes)
  app.use('/internal', requireService(parts.serviceToken), jsonBody(internalBodyLimitBytes))
  for (const routes of parts.internalRoutes) app.use(routes)
  app.use('/ops', parts.operatorAuth, jsonBody())
  for (const routes of parts.operatorRoutes) app.use(routes)
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
