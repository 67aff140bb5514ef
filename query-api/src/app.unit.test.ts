/** The public routes of query-api are exactly those that are described for it. Seen failing: with a route added to bookings/routes.ts. */

import { createMetrics } from '@portolan/infra/telemetry.ts'
import { expressRoutes } from '@portolan/infra/testing/express-routes.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { describedRoutes, isPublicPath, routeKey } from '@portolan/schemas/openapi/described-routes.ts'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import { createQueryApi } from './app.ts'
import { createMemberRoutes } from './bookings/routes.ts'
import { createStaffRoutes } from './bookings/staff-routes.ts'
import { createHealthRoutes } from './health/routes.ts'
import { createLedgerRoutes } from './ledger/staff-routes.ts'
import { createStayRoutes, type StayRoutesDeps } from './stays/routes.ts'

const guard: RequestHandler = (_req, _res, next) => next()
/** Routers only keep what they are given until a request comes, and none does. */
const untouched = <T>(): T => ({}) as T

describe('the routes of query-api', () => {
  it('that are public are exactly those that are described', () => {
    const app = createQueryApi({
      http: {
        process: 'query-api',
        logger: createRecordingLogger(),
        metrics: createMetrics('test'),
        ready: async () => ({}),
      },
      memberAuth: guard,
      staffAuth: guard,
      guestAuth: guard,
      guestRoutes: [createStayRoutes({ ...untouched<StayRoutesDeps>(), metrics: createMetrics('test') })],
      memberRoutes: [createMemberRoutes(untouched())],
      staffRoutes: [createStaffRoutes(untouched()), createLedgerRoutes(untouched())],
      openRoutes: [createHealthRoutes(untouched())],
    })
    // The guard of a group stands on the path of each of its routes, so those are seen twice.
    const served = new Set(
      expressRoutes(app)
        .filter(({ path }) => isPublicPath(path))
        .map(routeKey),
    )
    const described = describedRoutes().filter((route) => route.process === 'query-api')
    expect([...served]).to.have.members(described.map(routeKey))
  })
})
