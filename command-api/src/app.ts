/** Every route of command-api and what stands in front of it. Bodies are parsed behind the authentication: a stranger's costs nothing. */
import { problemDocument, problemHandler } from '@portolan/infra/http/problem.ts'
import { type AppDeps, createApp, jsonBody } from '@portolan/infra/http/server.ts'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { type ProvokedError, provokedRefusal, serializeLoyaltyProblem } from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { Express, RequestHandler, Router } from 'express'
import { memberRequest } from './member-request.ts'

export interface CommandApiParts {
  http: Omit<AppDeps, 'bodyLimit'>
  serviceToken: string
  /** Authenticates and limits members of a programme. */
  memberAuth: RequestHandler
  /** Authenticates operators. */
  operatorAuth: RequestHandler
  searchFlights: RequestHandler
  createBooking: RequestHandler
  cancelBooking: RequestHandler
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
  app.use(refuseZeroCharacters)
  const member = (...provoked: ProvokedError[]) => [parts.memberAuth, answerProvoked(provoked), jsonBody()]
  app.post('/api/v1/flights/search', ...member('auth-failed', 'invalid-member'), parts.searchFlights)
  // Its partner calls answer the others.
  app.post('/api/v1/bookings', ...member('invalid-member'), parts.createBooking)
  // The refund is called for after the answer was promised, and a failure travelling with it would keep the booking from ever ending.
  app.post(
    '/api/v1/bookings/:bookingId/cancel',
    ...member('auth-failed', 'invalid-member', 'true'),
    parts.cancelBooking,
  )
  for (const routes of parts.openRoutes) app.use(routes)
  app.use('/internal', requireService(parts.serviceToken), jsonBody(internalBodyLimitBytes))
  for (const routes of parts.internalRoutes) app.use(routes)
  app.use('/ops', parts.operatorAuth, jsonBody())
  for (const routes of parts.operatorRoutes) app.use(routes)
  app.use(
    ...problemHandler({
      logger: parts.http.logger,
      serializers: { '/api/v1/': serializeLoyaltyProblem, '/api/v1/staff/': problemDocument },
    }),
  )
  return app
}

/** Postgres' text knows no zero character, so no id holds one; here it is a bad request instead of a fault there. */
const refuseZeroCharacters: RequestHandler = (req, _res, next) => {
  if (/%00/.test(req.originalUrl)) throw new Rejection('validation-error', 'The address is not valid', { errors: [] })
  next()
}

/** `X-Mock-Error` values that a route answers by itself (contract section 6); without TEST_MODE there are none on a request. */
function answerProvoked(provoked: readonly ProvokedError[]): RequestHandler {
  return (_req, res, next) => {
    const refusal = provokedRefusal(memberRequest(res).mockError, provoked)
    if (refusal) throw refusal
    next()
  }
}
