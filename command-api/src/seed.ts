/**
 * The demo tenant, the demo operator, the sample of stays, and further tenants of CoffeeChain's kind that tests ask for. Run after the
 * migrations, before or beside command-api; a second run appends nothing.
 */
import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { ConfigError, fieldsAreValid, loadConfig, sharedFields } from '@portolan/infra/config.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import type pg from 'pg'
import { z } from 'zod'
import { intervalRule, logPartitions } from './config.ts'
import { type EventStore, openEventStore } from './event-store/event-store.ts'
import { parseKeyRing } from './personal-data/key-ring.ts'
import { OtherKeys } from './personal-data/sealing.ts'
import { createStaffAccount, hasStaffAccount } from './staff/accounts.ts'
import { adoptRule } from './stays/adopt-rule.ts'
import { loadSample } from './stays/sample.ts'
import { coffeechainRequestsPerMinute, coffeechainSettings } from './tenants/coffeechain.ts'
import { type SetTenantDeps, setTenant } from './tenants/set-tenant.ts'

/** Documented in the README; nobody may run production with it. */
const DEVELOPMENT_PASSWORD = 'portolan-demo-operator'

const furtherTenantsSchema = z.array(
  z.strictObject({
    tenantId: z.string(),
    name: z.string(),
    memberIdPattern: z.string(),
    credential: z.string().min(1),
    /** Default: the demo tenant's. */
    partnerApiKey: z.string().min(1).optional(),
    requestsPerMinute: z.int().positive().optional(),
    partnerRequestsPerMinute: z.int().positive().optional(),
    approvalThreshold: z.int().nullable().optional(),
  }),
)

const { nodeEnv, logLevel, redisUrl, redisKeyPrefix, writeDatabaseUrl, rateLimit } = sharedFields

export const seedConfigSchema = z
  .object({
    nodeEnv,
    logLevel,
    redisUrl,
    redisKeyPrefix,
    writeDatabaseUrl,
    rateLimit,
    logPartitions,
    intervalRule,
    seedStays: z
      .stringbool()
      .default(false)
      .meta({ env: 'SEED_STAYS', description: 'load the sample of stays: 7 properties, 11 reservations' }),
    personalDataKeys: z.string().meta({
      env: 'PERSONAL_DATA_KEYS',
      description: 'id:base64 keys of 32 bytes that wrap personal keys, the first is used for new ones',
      secret: true,
    }),
    coffeechainApiUrl: z
      .url()
      .default('http://127.0.0.1:8001')
      .meta({ env: 'COFFEECHAIN_API_URL', description: "CoffeeChain's partner API" }),
    coffeechainApiKey: z.string().min(1).default('test_cc_api_key_12345').meta({
      env: 'COFFEECHAIN_API_KEY',
      description: "CoffeeChain's key, ours towards it and its members' towards us",
      secret: true,
    }),
    operatorEmail: z
      .email()
      .default('operator@portolan.example')
      .meta({ env: 'OPERATOR_EMAIL', description: 'e-mail of the operator that is seeded' }),
    operatorPassword: z.string().min(12).default(DEVELOPMENT_PASSWORD).meta({
      env: 'OPERATOR_PASSWORD',
      description: 'password of that operator at its creation; required in production',
      secret: true,
    }),
    furtherTenants: z
      .string()
      .default('[]')
      .transform((text, refusal) => {
        const parsed = furtherTenantsSchema.safeParse(parseJson(text))
        if (parsed.success) return parsed.data
        refusal.addIssue({
          code: 'custom',
          message: `must be a JSON list of tenants: ${parsed.error.issues[0]?.message}`,
        })
        return z.NEVER
      })
      .meta({
        env: 'SEED_TENANTS',
        description: "JSON list of further tenants of CoffeeChain's kind, for tests",
        secret: true,
      }),
  })
  .refine((config) => config.nodeEnv !== 'production' || config.operatorPassword !== DEVELOPMENT_PASSWORD, {
    path: ['operatorPassword'],
    message: 'must be set in production: the development password is public',
    when: fieldsAreValid('nodeEnv', 'operatorPassword'),
  })
export type SeedConfig = z.infer<typeof seedConfigSchema>

/** Seeds. Returns what was appended, for example `['coffeechain: TenantRegistered']`; [] when nothing differed. */
export async function seed(config: SeedConfig): Promise<string[]> {
  const ring = parseKeyRing('PERSONAL_DATA_KEYS', config.personalDataKeys)
  const logger = createLogger({ process: 'seed', level: config.logLevel })
  await using stack = new AsyncDisposableStack()
  const pool = createPool({ url: config.writeDatabaseUrl, max: 2, name: 'seed', pipeline: true }, logger)
  stack.defer(() => pool.end())
  const appendPool = createPool(
    { url: config.writeDatabaseUrl, max: 3, name: 'seed-append', statementTimeoutMs: 10_000 },
    logger,
  )
  stack.defer(() => appendPool.end())
  const redis = createRedis(config.redisUrl, 'command', logger)
  stack.defer(() => redis.disconnect())
  const subscriber = createRedis(config.redisUrl, 'subscriber', logger)
  stack.defer(() => subscriber.disconnect())
  const metrics = createMetrics('seed')
  const { redisKeyPrefix: keyPrefix } = config
  const store = await openEventStore(
    { pool, appendPool, redis, subscriber, keyPrefix, logger, metrics },
    { partitions: config.logPartitions },
  )
  stack.defer(() => store.stop())
  const deps = { handle: store.handle, pool, ring }
  return [
    ...(await seedTenants(deps, config)),
    ...(await seedOperator(deps, config)),
    ...(config.seedStays ? await seedStays({ store, pool, logger }, config) : []),
  ]
}

async function seedTenants(deps: SetTenantDeps, config: SeedConfig): Promise<string[]> {
  const demo = { credential: config.coffeechainApiKey, partnerApiKey: config.coffeechainApiKey }
  const partnerBaseUrl = config.coffeechainApiUrl.replace(/\/$/, '')
  const wanted = [
    {
      settings: coffeechainSettings({ requestsPerMinute: coffeechainRequestsPerMinute, partnerBaseUrl }),
      secrets: demo,
    },
    ...config.furtherTenants.map(({ credential, partnerApiKey, ...tenant }) => ({
      settings: coffeechainSettings({ requestsPerMinute: config.rateLimit, ...tenant, partnerBaseUrl }),
      secrets: { credential, partnerApiKey: partnerApiKey ?? demo.partnerApiKey },
    })),
  ]
  const appended: string[] = []
  for (const { settings, secrets } of wanted) {
    const types = await setTenant(deps, seedContext(), settings, secrets).catch(explain)
    appended.push(...types.map((type) => `${settings.tenantId}: ${type}`))
  }
  return appended
}

/** Going on would leave everybody's personal data closed, and new bookings of the same people impossible. */
function explain(error: unknown): never {
  if (!(error instanceof OtherKeys)) throw error
  throw new Error(
    'these databases were sealed with other keys: restore .data/secrets.json (or set PERSONAL_DATA_KEYS), or run `npm run reset` for fresh data',
    { cause: error },
  )
}

async function seedOperator({ handle, pool }: SetTenantDeps, config: SeedConfig): Promise<string[]> {
  const { operatorEmail: email, operatorPassword: password } = config
  if (await hasStaffAccount(pool, email)) return []
  const account = { email, password, role: 'operator' as const, tenantScope: null }
  try {
    await createStaffAccount({ handle, newId: randomUUID }, seedContext(), account)
    return ['operator: StaffAccountCreated']
  } catch (error) {
    if (error instanceof Rejection && error.code === 'conflict') return [] // another seed was faster
    throw error
  }
}

/** Before command-api starts: the rule may be another one than the nights are kept by. */
async function seedStays(
  { store, pool, logger }: { store: EventStore; pool: pg.Pool; logger: Logger },
  { intervalRule: rule }: SeedConfig,
): Promise<string[]> {
  await adoptRule({ pool, logger }, STAYS_TENANT, rule)
  const context = { ...seedContext(), tenantId: STAYS_TENANT }
  const loaded = await loadSample({ store, rule, newId: randomUUIDv7 }, context)
  return loaded > 0 ? [`stays: ${loaded} rows of the sample`] : []
}

const seedContext = () => ({
  actor: { kind: 'service' as const, id: 'seed' },
  correlationId: randomUUID(),
  causationId: null,
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const logger = createLogger({ process: 'seed' })
  try {
    logger.info('seeded', { appended: await seed(loadConfig(seedConfigSchema)) })
  } catch (error) {
    logger.error('seeding failed', error instanceof ConfigError ? { problems: error.problems } : { error })
    process.exitCode = 1
  }
}
