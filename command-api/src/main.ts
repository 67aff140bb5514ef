/** Composition root of command-api: config → logger → connections → store → app → start; stops in reverse order. */
import { randomBytes } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import { createWrittenPositions } from '@portolan/infra/consistency-token.ts'
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { createRateLimiter } from '@portolan/infra/http/rate-limit.ts'
import { listen } from '@portolan/infra/http/server.ts'
import { createStaffAuth } from '@portolan/infra/http/staff-auth.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { createCommandApi } from './app.ts'
import { createAttemptRoutes } from './bookings/attempt-routes.ts'
import type { BookingDeps } from './bookings/booking-deps.ts'
import { cancelBookingHandler } from './bookings/cancel-booking.ts'
import { createBookingHandler } from './bookings/create-booking.ts'
import { createDuffelHook } from './bookings/duffel-hook.ts'
import { createOperatorRoutes } from './bookings/operator-routes.ts'
import { createBookingStreamType } from './bookings/stream-type.ts'
import { type CommandApiConfig, commandApiConfigSchema, processTimes } from './config.ts'
import { createDocsRoutes } from './docs/routes.ts'
import { openEventStore } from './event-store/event-store.ts'
import { createStoreRoutes } from './event-store/internal-routes.ts'
import { findOffer, startOfferPruning } from './flights/offers.ts'
import { searchFlightsHandler } from './flights/search-flights.ts'
import { createIntrospect, createIntrospectRoute } from './introspect.ts'
import { createNoteWritten } from './note-written.ts'
import { parseKeyRing } from './personal-data/key-ring.ts'
import { startKeyRotation } from './personal-data/key-rotation.ts'
import { createPersonalKeys } from './personal-data/personal-keys.ts'
import { createPersonalDataRoutes } from './personal-data/routes.ts'
import { seal } from './personal-data/sealing.ts'
import { createStaffRoutes } from './staff/routes.ts'
import { createStaffSessions } from './staff/sessions.ts'
import { memberAuth } from './tenants/member-auth.ts'
import { createTenantRoutes } from './tenants/routes.ts'
import { createTenantLookup } from './tenants/tenants.ts'

const appendLanes = 2

/** Starts the process. The package's tests call it with port 0; everything else runs this file. */
export async function start(config: CommandApiConfig): Promise<RunningProcess> {
  await using cleanup = new AsyncDisposableStack()
  const logger = createLogger({ process: 'command-api', level: config.logLevel })
  const metrics = createMetrics('command-api')
  const connections = openConnections(config, logger, cleanup)
  const { pool, redis } = connections

  const store = await openEventStore(
    { ...connections, keyPrefix: config.redisKeyPrefix, logger, metrics },
    { lanes: appendLanes, partitions: config.logPartitions },
  )
  cleanup.defer(() => store.stop())
  cleanup.defer(startOfferPruning(pool, logger))

  const ring = parseKeyRing('PERSONAL_DATA_KEYS', config.personalDataKeys)
  const personalKeys = createPersonalKeys({ pool, ring })
  const rotation = startKeyRotation(personalKeys, logger)
  cleanup.defer(() => rotation.stop())
  const findTenant = createTenantLookup({ pool, ring })
  const consumeLimit = createRateLimiter({ redis, keyPrefix: config.redisKeyPrefix, metrics })
  const lookups = createServiceClient({
    baseUrl: config.workersUrl,
    serviceToken: config.serviceToken,
    timeoutMs: config.lookupTimeoutMs,
  })
  const newId = (prefix: string) => `${prefix}_${randomBytes(12).toString('hex')}`
  const written = createWrittenPositions({ redis, keyPrefix: config.redisKeyPrefix, logger })
  const bookings: BookingDeps = {
    store,
    bookingType: createBookingStreamType(processTimes(config)),
    times: processTimes(config),
    lookups,
    findOffer: (tenantId, memberId, flightId) => findOffer(pool, tenantId, memberId, flightId),
    findTenant: async (tenantId) => (await findTenant(tenantId))?.settings ?? null,
    personalData: {
      withKey: (tenantId, personId, command) =>
        personalKeys.withKey(tenantId, personId, ({ key, effects }) =>
          command({ seal: (value) => seal(key, value), effects }),
        ),
      unsealAll: personalKeys.unsealAll,
    },
    noteWritten: createNoteWritten(written, store.generation),
    newId,
    waitDefaultSeconds: config.waitDefaultSeconds,
  }
  const staffRing = parseKeyRing('STAFF_JWT_KEYS', config.staffJwtKeys)
  const sessions = createStaffSessions(pool)
  const introspect = createIntrospect({ findTenant, sessions, staffRing })

  const app = createCommandApi({
    http: { process: 'command-api', logger, metrics, ready: () => isReady(connections) },
    serviceToken: config.serviceToken,
    memberAuth: memberAuth({
      findTenant,
      consumeLimit,
      addressLimitPerMinute: config.defaultRateLimit,
      testMode: config.testMode,
    }),
    operatorAuth: createStaffAuth({ introspect })('operator'),
    searchFlights: searchFlightsHandler({
      pool,
      lookups,
      newId,
      logger,
      now: store.clock.now,
      rates: { date: config.exchangeRatesDate, toUsd: config.exchangeRates },
      searchDeadlineMs: config.searchDeadlineMs,
    }),
    createBooking: createBookingHandler(bookings),
    cancelBooking: cancelBookingHandler(bookings),
    operatorRoutes: [createOperatorRoutes(bookings)],
    internalRoutes: [
      createAttemptRoutes(bookings),
      createStoreRoutes({ pool }),
      createTenantRoutes({ findTenant }),
      createPersonalDataRoutes(personalKeys),
      createIntrospectRoute(introspect),
    ],
    openRoutes: [
      createStaffRoutes({ sessions, ring: staffRing, consumeLimit, logger }),
      createDuffelHook({ ...bookings, pool, secret: config.duffelWebhookSecret }),
      createDocsRoutes(),
    ],
  })
  const server = await listen(app, config.port, config.httpHost)
  // Requests that wait for an outcome are answered with what there is, or they would hold the stop up for their whole wait.
  cleanup.defer(async () => {
    await Promise.all([server.stop(), store.stop()])
  })

  const running = cleanup.move()
  return { url: server.url, stop: () => running.disposeAsync() }
}

function openConnections(
  config: CommandApiConfig,
  logger: ReturnType<typeof createLogger>,
  cleanup: AsyncDisposableStack,
) {
  const { writeDatabaseUrl: url, databaseConnectionsMax, redisUrl } = config
  const pool = createPool(
    { url, name: 'command-api', max: databaseConnectionsMax, pipeline: true, statementTimeoutMs: 10_000 },
    logger,
  )
  // One connection more than the lanes: the signal to the relay travels on it.
  const appendPool = createPool(
    // A server that falls silent must not hold a lane for hours: longer than its own limit, so that it can answer first.
    { url, name: 'command-api append', max: appendLanes + 2, statementTimeoutMs: 10_000, queryTimeoutMs: 15_000 },
    logger,
  )
  const redis = createRedis(redisUrl, 'command', logger)
  const subscriber = createRedis(redisUrl, 'subscriber', logger)
  cleanup.defer(() => pool.end())
  cleanup.defer(() => appendPool.end())
  cleanup.defer(() => redis.disconnect())
  cleanup.defer(() => subscriber.disconnect())
  return { pool, appendPool, redis, subscriber }
}

/** Redis is not part of readiness: without it limits are per process and waits poll. */
async function isReady({ pool }: Pick<ReturnType<typeof openConnections>, 'pool'>): Promise<Record<string, boolean>> {
  const database = await pool.query('select 1').then(
    () => true,
    () => false,
  )
  return { database }
}

if (import.meta.main) {
  await runProcess('command-api', () => start(loadConfig(commandApiConfigSchema)))
}
