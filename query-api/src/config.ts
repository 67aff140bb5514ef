/** Settings of query-api. */
import { fieldsAreValid, sharedFields } from '@portolan/infra/config.ts'
import { intervalRuleSchema } from '@portolan/schemas/stays/periods.ts'
import { z } from 'zod'

const {
  nodeEnv,
  logLevel,
  httpHost,
  redisUrl,
  redisKeyPrefix,
  readDatabaseUrl,
  serviceToken,
  commandApiUrl,
  workersUrl,
  rateLimit,
  testMode,
} = sharedFields

const milliseconds = (env: string, fallback: number, description: string) =>
  z.coerce
    .number()
    .int()
    .min(1)
    .max(60_000)
    .default(fallback)
    .meta({ env, description: `${description}, in ms` })

export const queryApiConfigSchema = z
  .object({
    nodeEnv,
    logLevel,
    httpHost,
    redisUrl,
    redisKeyPrefix,
    readDatabaseUrl,
    serviceToken,
    commandApiUrl,
    workersUrl,
    rateLimit,
    testMode,
    port: sharedFields.port('QUERY_API_PORT', 3002, 'port of query-api'),
    databaseConnectionsMax: z.coerce.number().int().min(2).max(50).default(8).meta({
      env: 'QUERY_API_DATABASE_CONNECTIONS_MAX',
      description: 'connections for queries; waiting reads share one more',
    }),
    readWaitMs: milliseconds('READ_WAIT_MS', 2000, 'how long a read waits for what its caller has written'),
    readPollMs: milliseconds(
      'READ_POLL_MS',
      10,
      'how often the positions of the read models are looked at while reads wait',
    ),
    serviceTimeoutMs: milliseconds('QUERY_API_SERVICE_TIMEOUT_MS', 2000, 'deadline of calls to command-api'),
    intervalRule: intervalRuleSchema.default('nights').meta({
      env: 'OTA_INTERVAL',
      description: 'which days a stay occupies and asks for: nights, closed or literal',
    }),
    healthProbeTimeoutMs: milliseconds(
      'QUERY_API_HEALTH_PROBE_TIMEOUT_MS',
      1500,
      'deadline of each probe of the health answer',
    ),
    healthCacheMs: milliseconds('QUERY_API_HEALTH_KEPT_MS', 3000, 'how long a health answer is kept'),
  })
  .refine((config) => !(config.testMode && config.nodeEnv === 'production'), {
    message: 'must be off when NODE_ENV is production',
    path: ['testMode'],
    when: fieldsAreValid('testMode', 'nodeEnv'),
  })
  .refine((config) => config.readPollMs < config.readWaitMs, {
    message: 'READ_POLL_MS must be shorter than READ_WAIT_MS',
    path: ['readPollMs'],
    when: fieldsAreValid('readPollMs', 'readWaitMs'),
  })
export type QueryApiConfig = z.infer<typeof queryApiConfigSchema>
