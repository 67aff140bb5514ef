/**
 * What tests of the whole process share: stand-ins for both partners, a fake command-api, a topic and key prefix, and a
 * log to write steps into. Everything a test file needs to start workers in its own process or as one to be killed.
 */
import { randomUUID } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { type EventLog, testLog } from '@portolan/infra/testing/event-log.ts'
import { testTopics } from '@portolan/infra/testing/topics.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { type Config, configSchema } from '../config.ts'
import { coffeeChainTenant, serviceToken, startFakeCommandApi } from './fake-command-api.ts'
import { startSandbox } from './sandbox.ts'

const PARTITIONS = 2
const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }

export interface StepRequest {
  tenantId?: string
  bookingId?: string
  step: string
  attempt?: number
  dueInMs?: number
  deadlineInMs?: number
  input?: Record<string, unknown>
}

export type Scene = Awaited<ReturnType<typeof setScene>>

/** Sets everything up; `strike` takes it down again. */
export async function setScene() {
  const [commandApi, coffeeChain, duffel] = await Promise.all([
    startFakeCommandApi(),
    startSandbox('coffeechain', { SANDBOX_API_TIMEOUT_SECONDS: '2' }),
    startSandbox('duffel', { SANDBOX_ASYNC_DELAY_SECONDS: '0.2' }),
  ])
  const broker = testTopics()
  await broker.create([topics.bookings], PARTITIONS)
  const log: EventLog = await testLog(broker.kafka, broker.prefix, PARTITIONS)
  const keyPrefix = `test-${randomUUID()}:`
  const redis = createRedis(redisUrl, 'blocking', createLogger({ process: 'test', level: 'error' }))
  commandApi.tenants.set('coffeechain', coffeeChainTenant('coffeechain', coffeeChain.url, 10_000))

  const env = (changes: Record<string, string> = {}): Record<string, string> => ({
    WORKERS_PORT: '0',
    SERVICE_TOKEN: serviceToken,
    COMMAND_API_URL: commandApi.url,
    REDIS_URL: redisUrl,
    REDIS_KEY_PREFIX: keyPrefix,
    KAFKA_BROKERS: broker.brokers.join(','),
    KAFKA_TOPIC_PREFIX: broker.prefix,
    TEST_MODE: 'true',
    NODE_ENV: 'test',
    DUFFEL_ACCESS_TOKEN: 'duffel_test_scene',
    DUFFEL_API_URL: duffel.url,
    COFFEECHAIN_API_URL: coffeeChain.url,
    PARTNER_CALL_TIMEOUT_MS: '500',
    SUPPLIER_CALL_TIMEOUT_MS: '800',
    CLAIM_WINDOW_MS: '3000',
    INTERNAL_TIMEOUT_MS: '400',
    REPORT_RETRY_MS: '100',
    JOB_LOCK_MS: '1000',
    SWEEP_EVERY_MS: '200',
    SWEEP_GRACE_MS: '300',
    ...changes,
  })

  const clearRedis = async (): Promise<void> => {
    const keys = await redis.keys(`${keyPrefix}*`)
    if (keys.length > 0) await redis.unlink(...keys)
  }

  return {
    commandApi,
    coffeeChain,
    duffel,
    log,
    redis,
    keyPrefix,
    logger: quiet,
    env,
    config: (changes?: Record<string, string>): Config => loadConfig(configSchema, env(changes)),
    /** Empties what this scene holds in Redis, as FLUSHALL would. */
    clearRedis,
    /** Publishes a StepRequested and returns its stream. */
    request: async (request: StepRequest): Promise<string> => {
      const stream = `booking-${request.bookingId ?? randomUUID()}`
      await log.append({
        topic: topics.bookings,
        stream,
        type: 'StepRequested',
        tenantId: request.tenantId,
        data: requested(request, stream),
      })
      return stream
    },
    /** Makes command-api say that this step is overdue, as long as it stands in `openSteps`. Returns its stream. */
    openStep: (request: StepRequest, stream = `booking-${randomUUID()}`): string => {
      const attempt = { tenantId: 'coffeechain', stream, correlationId: 'test', causationId: null }
      commandApi.openSteps.push({ ...requested(request, stream), ...attempt })
      return stream
    },
    withdraw: async (stream: string, step: string, attempt = 1): Promise<void> => {
      await log.append({ topic: topics.bookings, stream, type: 'StepWithdrawn', data: { step, attempt } })
    },
    /** Forgets what the partners and command-api saw. */
    clean: async (): Promise<void> => {
      await Promise.all([coffeeChain.reset(), duffel.reset(), clearRedis()])
      for (const seen of [
        commandApi.starts,
        commandApi.balances,
        commandApi.reports,
        commandApi.openSteps,
        commandApi.parked,
      ])
        seen.length = 0
      commandApi.trouble.clear()
    },
    strike: async (): Promise<void> => {
      await clearRedis()
      redis.disconnect()
      await log.close()
      await broker.drop()
      await Promise.all([commandApi.stop(), coffeeChain.process.stop(), duffel.process.stop()])
    },
  }
}

/** The data of a StepRequested, with defaults; inputs always name booking and member. */
function requested({ step, attempt = 1, dueInMs = 0, deadlineInMs = 30_000, input = {} }: StepRequest, stream: string) {
  const at = (ms: number): string => new Date(Date.now() + ms).toISOString()
  const subject = { bookingId: stream.replace('booking-', ''), memberId: 'CC1234567' }
  return { step, attempt, dueAt: at(dueInMs), deadline: at(deadlineInMs), input: { ...subject, ...input } }
}
