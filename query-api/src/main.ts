/** Composition root of query-api: config → logger → connections → read models → app → start; stops in reverse order. */
import { loadConfig } from '@portolan/infra/config.ts'
import { createWrittenPositions } from '@portolan/infra/consistency-token.ts'
import { onForget } from '@portolan/infra/forget-signal.ts'
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { createIntrospection } from '@portolan/infra/http/credentials.ts'
import { createMemberAuth } from '@portolan/infra/http/member-auth.ts'
import { createRateLimiter } from '@portolan/infra/http/rate-limit.ts'
import { listen } from '@portolan/infra/http/server.ts'
import { createStaffAuth } from '@portolan/infra/http/staff-auth.ts'
import { createUnseal } from '@portolan/infra/http/unseal-client.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis, redisIsReady } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { provokedRefusal } from '@portolan/schemas/loyalty-errors.ts'
import { createQueryApi } from './app.ts'
import { createPassengerNames } from './bookings/passenger-names.ts'
import { createMemberRoutes } from './bookings/routes.ts'
import { createStaffRoutes } from './bookings/staff-routes.ts'
import { type QueryApiConfig, queryApiConfigSchema } from './config.ts'
import { createConsistentRead } from './consistent-read.ts'
import { createHealthRoutes } from './health/routes.ts'
import { createLedgerRoutes } from './ledger/staff-routes.ts'
import { createReadModels } from './read-models.ts'
import { createStaffRead } from './staff-reads.ts'
import { createGuestAuth } from './stays/guest-auth.ts'
import { createStayRoutes } from './stays/routes.ts'

const statementTimeoutMs = 5000
const redisWaitMs = 2000

/** Starts the process. The package's tests call it with port 0; everything else runs this file. */
export async function start(config: QueryApiConfig, overrides: { logger?: Logger } = {}): Promise<RunningProcess> {
  await using cleanup = new AsyncDisposableStack()
  const logger = overrides.logger ?? createLogger({ process: 'query-api', level: config.logLevel })
  const metrics = createMetrics('query-api')
  const database = { url: config.readDatabaseUrl, statementTimeoutMs, pipeline: true }
  const pool = createPool({ ...database, max: config.databaseConnectionsMax, name: 'query-api' }, logger)
  cleanup.defer(() => pool.end())
  // Apart from the queries, so that a crowd of them cannot keep the waiting reads from waking up.
  const alone = { max: 1, pipeline: false, queryTimeoutMs: statementTimeoutMs + 1000 }
  const positionsPool = createPool({ ...database, ...alone, name: 'query-api positions' }, logger)
  cleanup.defer(() => positionsPool.end())
  const redis = createRedis(config.redisUrl, 'command', logger)
  cleanup.defer(() => redis.disconnect())
  const subscriber = createRedis(config.redisUrl, 'subscriber', logger)
  cleanup.defer(() => subscriber.disconnect())
  // The first reads want to know what their principals wrote; a Redis that stays away must not hold the start up.
  await redisIsReady(redis, redisWaitMs)
  const { readWaitMs: waitMs, readPollMs: pollMs } = config
  const readModels = createReadModels({ pool: positionsPool, logger, metrics }, { waitMs, pollMs })
  cleanup.defer(() => readModels.stop())

  const service = { serviceToken: config.serviceToken, timeoutMs: config.serviceTimeoutMs }
  const commandApi = createServiceClient({ ...service, baseUrl: config.commandApiUrl })
  const workers = createServiceClient({ ...service, baseUrl: config.workersUrl })
  const introspect = createIntrospection({ client: commandApi })
  const consumeLimit = createRateLimiter({ redis, keyPrefix: config.redisKeyPrefix, metrics })
  const written = createWrittenPositions({ redis, keyPrefix: config.redisKeyPrefix, logger })
  const consistentRead = createConsistentRead({ readModels, written })
  const staffRead = createStaffRead({ pool, consistentRead })
  const unseal = createUnseal({
    client: commandApi,
    onForget: (drop) => onForget(subscriber, config.redisKeyPrefix, drop),
  })
  const passengerNames = createPassengerNames({ unseal, logger })
  const readDatabaseIsUp = async () => (await pool.query('select 1')).rowCount === 1

  const app = createQueryApi({
    http: {
      process: 'query-api',
      logger,
      metrics,
      ready: async () => ({ database: await readDatabaseIsUp().catch(() => false) }),
    },
    memberAuth: createMemberAuth({
      introspect,
      consumeLimit,
      addressLimitPerMinute: config.rateLimit,
      onMember: (req) => answerProvoked(config.testMode ? req.get('X-Mock-Error') : undefined),
    }),
    staffAuth: createStaffAuth({ introspect })('operator', 'tenant-admin', 'viewer'),
    memberRoutes: [createMemberRoutes({ pool, consistentRead, passengerNames })],
    guestAuth: createGuestAuth(config.intervalRule),
    guestRoutes: [createStayRoutes({ pool, consistentRead, metrics, rule: config.intervalRule })],
    staffRoutes: [createStaffRoutes({ staffRead, passengerNames }), createLedgerRoutes({ staffRead })],
    openRoutes: [
      createHealthRoutes({
        readDatabaseIsUp,
        commandApi,
        workers,
        probeTimeoutMs: config.healthProbeTimeoutMs,
        cacheMs: config.healthCacheMs,
      }),
    ],
  })
  const server = await listen(app, config.port, config.httpHost)
  cleanup.defer(() => server.stop())
  const running = cleanup.move()
  return { url: server.url, stop: () => running.disposeAsync() }
}

/** Reads call no partner, so what `X-Mock-Error` would provoke there is answered here (contract section 6). */
function answerProvoked(mockError: string | undefined): void {
  const refusal = provokedRefusal(mockError, ['auth-failed', 'invalid-member'])
  if (refusal) throw refusal
}

if (import.meta.main) {
  await runProcess('query-api', () => start(loadConfig(queryApiConfigSchema)))
}
