/**
 * The routes that exist are the routes that are described, in both directions, and the edge sends each to this process. The application
 * is put together from the real routers; what they would work with is never touched.
 *
 * Seen failing: with a route added to operator-routes.ts, and with one described for command-api that nobody serves.
 */

import { createMetrics } from '@portolan/infra/telemetry.ts'
import { expressRoutes } from '@portolan/infra/testing/express-routes.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { describedRoutes, isPublicPath, routeKey } from '@portolan/schemas/openapi/described-routes.ts'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import { createCommandApi } from './app.ts'
import { createAttemptRoutes } from './bookings/attempt-routes.ts'
import { createDuffelHook } from './bookings/duffel-hook.ts'
import { createForgetRoutes } from './bookings/forget-member.ts'
import { createOperatorRoutes } from './bookings/operator-routes.ts'
import { createBookingRoutes } from './bookings/routes.ts'
import { createDocsRoutes } from './docs/routes.ts'
import { createStoreRoutes } from './event-store/internal-routes.ts'
import { createFlightRoutes } from './flights/routes.ts'
import { createIntrospectRoute } from './introspect.ts'
import { createMemberGuard } from './member-request.ts'
import { createPersonalDataRoutes } from './personal-data/routes.ts'
import { createRepublishRoutes } from './republish/routes.ts'
import { createStaffAccountRoutes } from './staff/account-routes.ts'
import { createStaffRoutes, type StaffRouteDeps } from './staff/routes.ts'
import { createLoadRoutes } from './stays/load-routes.ts'
import { createPropertyRoutes } from './stays/property-routes.ts'
import { createReservationRoutes } from './stays/routes.ts'
import { createTenantRoutes } from './tenants/routes.ts'

const handler: RequestHandler = (_req, _res, next) => next()
const members = createMemberGuard(handler)
/** Routers only keep what they are given until a request comes, and none does. */
const untouched = <T>(): T => ({}) as T

/** Asked for by operators' commands beside the processes, never through the edge. */
const ofCommandsOnly = ['POST /ops/stays/load']

const app = createCommandApi({
  http: {
    process: 'command-api',
    logger: createRecordingLogger(),
    metrics: createMetrics('test'),
    ready: async () => ({}),
  },
  serviceToken: 'a-service-token-of-tests',
  operatorAuth: handler,
  memberRoutes: [createFlightRoutes(untouched(), members), createBookingRoutes(untouched(), members)],
  operatorRoutes: [
    createOperatorRoutes(untouched()),
    createForgetRoutes(untouched()),
    createRepublishRoutes(untouched()),
    createStaffAccountRoutes(untouched()),
  ],
  internalRoutes: [
    createAttemptRoutes(untouched()),
    createStoreRoutes(untouched()),
    createTenantRoutes(untouched()),
    createPersonalDataRoutes(untouched()),
    createIntrospectRoute(untouched()),
  ],
  openRoutes: [
    createStaffRoutes({ ...untouched<StaffRouteDeps>(), staffAuth: handler }),
    createReservationRoutes(untouched()),
    createPropertyRoutes(untouched(), handler),
    createLoadRoutes(untouched(), handler),
    createDuffelHook(untouched()),
    createDocsRoutes(),
  ],
})

describe('the routes of command-api', () => {
  const described = describedRoutes().filter((route) => route.process === 'command-api')
  const existing = expressRoutes(app)

  it('that are public are exactly those that are described', () => {
    const served = existing.filter(({ path }) => isPublicPath(path)).map(routeKey)
    expect(served).to.have.members([...described.map(routeKey), ...ofCommandsOnly])
  })

  it('are each served once', () => {
    const keys = existing.map(routeKey)
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).to.deep.equal([])
  })

  it('that are internal are behind the service token: their paths begin with /internal', () => {
    const internal = existing.filter(({ path }) => path.startsWith('/internal/'))
    expect(internal.length).to.be.greaterThan(8)
  })
})
