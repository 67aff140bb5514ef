/** Composition root of command-api: config → logger → connections → store → housekeeping → routes → start; stops in reverse order. */
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import { createWrittenPositions } from '@portolan/infra/consistency-token.ts'
import { announceForget } from '@portolan/infra/forget-signal.ts'
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { createOwnRateLimiter, createRateLimiter } from '@portolan/infra/http/rate-limit.ts'
import { listen } from '@portolan/infra/http/server.ts'
import { createStaffAuth } from '@portolan/infra/http/staff-auth.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics, type Metrics } from '@portolan/infra/telemetry.ts'
import { STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import { type CommandApiParts, createCommandApi } from './app.ts'
import { createAttemptRoutes } from './bookings/attempt-routes.ts'
import type { BookingDeps } from './bookings/booking-deps.ts'
import { createDuffelHook } from './bookings/duffel-hook.ts'
import { createForgetRoutes } from './bookings/forget-member.ts'
import { createLostHistoryMarks } from './bookings/mark-lost-history.ts'
import { createOperatorRoutes } from './bookings/operator-routes.ts'
import { startRecordingForgets } from './bookings/record-forgets.ts'
import { createBookingRoutes } from './bookings/routes.ts'
import { createBookingStreamType } from './bookings/stream-type.ts'
import { type CommandApiConfig, commandApiConfigSchema, processTimes } from './config.ts'
import { createDocsRoutes } from './docs/routes.ts'
import { type EventStore, openEventStore } from './event-store/event-store.ts'
import { createStoreRoutes } from './event-store/internal-routes.ts'
import { findOffer, startOfferPruning } from './flights/offers.ts'
import { createFlightRoutes, type FlightSearchDeps } from './flights/routes.ts'
import { createIntrospect, createIntrospectRoute } from './introspect.ts'
import { createMemberGuard } from './member-request.ts'
import { createNoteWritten } from './note-written.ts'
import { type KeyRing, parseKeyRing } from './personal-data/key-ring.ts'
import { startKeyRotation } from './personal-data/key-rotation.ts'
import { createPersonalKeys, type PersonalKeys } from './personal-data/personal-keys.ts'
import { createPersonalDataRoutes } from './personal-data/routes.ts'
import { seal } from './personal-data/sealing.ts'
import { createRepublishRoutes } from './republish/routes.ts'
import { createStaffAccountRoutes } from './staff/account-routes.ts'
import { createStaffRoutes } from './staff/routes.ts'
import { createStaffSessions } from './staff/sessions.ts'
import { adoptRule } from './stays/adopt-rule.ts'
import { createCountCommand } from './stays/count-commands.ts'
import { createGuestLimit } from './stays/guest-limit.ts'
import { guestOfUnreadable } from './stays/guest-request.ts'
import { createLoadRoutes } from './stays/load-routes.ts'
import { createPropertyRoutes } from './stays/property-routes.ts'
import { createReservationRoutes, type StayDeps } from './stays/routes.ts'
import { memberAuth } from './tenants/member-auth.ts'
import { createTenantRoutes } from './tenants/routes.ts'
import { createTenantLookup, type FindTenant } from './tenants/tenants.ts'

const appendLanes = 2

/** Starts the process. The package's tests call it with port 0; everything else runs this file. */
export async function start(config: CommandApiConfig): Promise<RunningProcess> {
  await using cleanup = new AsyncDisposableStack()
  const logger = createLogger({ process: 'command-api', level: config.logLevel })
  const metrics = createMetrics('command-api')
  const connections = openConnections(config, logger, cleanup)
  const { pool } = connections
  const store = await openEventStore(
    { ...connections, keyPrefix: config.redisKeyPrefix, logger, metrics },
    { lanes: appendLanes, partitions: config.logPartitions },
  )
  cleanup.defer(() => store.stop())
  await adoptRule({ pool, logger }, STAYS_TENANT, config.intervalRule)
  const ring = parseKeyRing('PERSONAL_DATA_KEYS', config.personalDataKeys)
  const personalKeys = createPersonalKeys({ pool, ring })
  const housekeeping = [
    startOfferPruning(pool, logger),
    startKeyRotation(personalKeys, logger),
    startRecordingForgets({ pool, store }, logger),
  ]
  cleanup.defer(async () => void (await Promise.all(housekeeping.map((work) => work.stop()))))

  const app = createCommandApi({
    http: {
      process: 'command-api',
      logger,
      metrics,
      ready: () => isReady(connections),
      onUnreadableAddress: guestOfUnreadable,
    },
    serviceToken: config.serviceToken,
    ...createRoutes(config, { ...connections, store, ring, personalKeys, logger, metrics }),
  })
  const server = await listen(app, config.port, config.httpHost)
  // Requests that wait for an outcome are answered with what there is, or they would hold the stop up for their whole wait.
  cleanup.defer(async () => {
    await Promise.all([server.stop(), store.stop()])
  })

  const running = cleanup.move()
  return { url: server.url, stop: () => running.disposeAsync() }
}

interface Parts extends ReturnType<typeof openConnections> {
  store: EventStore
  ring: KeyRing
  personalKeys: PersonalKeys
  logger: Logger
  metrics: Metrics
}

/** Every route with what it works with, by who stands in front of it. */
function createRoutes(config: CommandApiConfig, parts: Parts): Omit<CommandApiParts, 'http' | 'serviceToken'> {
  const { store, ring, personalKeys, pool, redis, logger, metrics } = parts
  const { redisKeyPrefix: keyPrefix, rateLimit: addressLimitPerMinute, testMode } = config
  const findTenant = createTenantLookup({ pool, ring })
  const consumeLimit = createRateLimiter({ redis, keyPrefix, metrics })
  const members = createMemberGuard(memberAuth({ findTenant, consumeLimit, addressLimitPerMinute, testMode }))
  const staffRing = parseKeyRing('STAFF_JWT_KEYS', config.staffJwtKeys)
  const sessions = createStaffSessions(pool)
  const introspect = createIntrospect({ findTenant, sessions, staffRing })
  const requireStaff = createStaffAuth({ introspect })
  const { handle, clock } = store
  const bookings = bookingDeps(config, parts, findTenant)
  const flights: FlightSearchDeps = {
    pool,
    lookups: bookings.lookups,
    newId: bookings.newId,
    logger,
    now: clock.now,
    rates: { date: config.exchangeRatesDate, toUsd: config.exchangeRates },
    searchDeadlineMs: config.searchDeadlineMs,
  }
  const stays: StayDeps = {
    store,
    noteWritten: bookings.noteWritten,
    rule: config.intervalRule,
    newId: randomUUIDv7,
    countCommand: createCountCommand(metrics),
  }
  const staffAuth = requireStaff('operator', 'tenant-admin', 'viewer')
  const announce = () => announceForget(redis, keyPrefix)
  return {
    operatorAuth: requireStaff('operator'),
    memberRoutes: [createFlightRoutes(flights, members), createBookingRoutes(bookings, members)],
    operatorRoutes: [
      createOperatorRoutes(bookings),
      createRepublishRoutes({ store, pool, ...createLostHistoryMarks(bookings) }),
      createStaffAccountRoutes({ pool, handle }),
      createForgetRoutes({ ...bookings, personalKeys, announce }),
    ],
    internalRoutes: [
      createAttemptRoutes(bookings),
      createStoreRoutes({ pool, clock }),
      createTenantRoutes({ findTenant }),
      createPersonalDataRoutes(personalKeys),
      createIntrospectRoute(introspect),
    ],
    openRoutes: [
      createStaffRoutes({ sessions, handle, staffAuth, ring: staffRing, consumeLimit, logger }),
      createGuestLimit(createOwnRateLimiter(config.guestRateLimit, { metrics })),
      createReservationRoutes(stays),
      createPropertyRoutes(stays, requireStaff('operator', 'tenant-admin')),
      createLoadRoutes(stays, requireStaff('operator')),
      createDuffelHook({ ...bookings, pool, secret: config.duffelWebhookSecret }),
      createDocsRoutes(),
    ],
  }
}

function bookingDeps(config: CommandApiConfig, parts: Parts, findTenant: FindTenant): BookingDeps {
  const { store, pool, redis, personalKeys, logger } = parts
  const { workersUrl: baseUrl, serviceToken, lookupTimeoutMs: timeoutMs, redisKeyPrefix: keyPrefix } = config
  const times = processTimes(config)
  const written = createWrittenPositions({ redis, keyPrefix, logger })
  return {
    store,
    bookingType: createBookingStreamType(times),
    times,
    lookups: createServiceClient({ baseUrl, serviceToken, timeoutMs }),
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
    newId: (prefix) => `${prefix}_${randomBytes(12).toString('hex')}`,
    waitDefaultSeconds: config.waitDefaultSeconds,
  }
}

function openConnections(config: CommandApiConfig, logger: Logger, cleanup: AsyncDisposableStack) {
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
