/** Every setting of this process. Times are settings so that fault tests run in seconds. */
import { fieldsAreValid, sharedFields } from '@portolan/infra/config.ts'
import { z } from 'zod'

const ms = (env: string, fallback: number, description: string) =>
  z.coerce
    .number()
    .int()
    .min(1)
    .max(600_000)
    .default(fallback)
    .meta({ env, description: `${description}, in ms` })

const count = (env: string, fallback: number, description: string) =>
  z.coerce.number().int().min(1).max(100_000).default(fallback).meta({ env, description })

/** CoffeeChain blocks for this long when it hangs; whoever waits longer waits for nothing. */
const PARTNER_BLOCKS_MS = 35_000

export const configSchema = z
  .object({
    port: sharedFields.port('WORKERS_PORT', 3003, 'internal lookup port, health and metrics of workers'),
    nodeEnv: sharedFields.nodeEnv,
    logLevel: sharedFields.logLevel,
    httpHost: sharedFields.httpHost,
    redisUrl: sharedFields.redisUrl,
    redisKeyPrefix: sharedFields.redisKeyPrefix,
    kafkaBrokers: sharedFields.kafkaBrokers,
    kafkaTopicPrefix: sharedFields.kafkaTopicPrefix,
    serviceToken: sharedFields.serviceToken,
    commandApiUrl: sharedFields.commandApiUrl,
    testMode: sharedFields.testMode,

    duffelToken: z
      .string()
      .min(1)
      .meta({
        env: 'DUFFEL_ACCESS_TOKEN',
        aliases: ['DUFFEL_API_KEY'],
        description: 'access token of Duffel',
        secret: true,
      }),
    duffelUrl: z
      .url()
      .default('https://api.duffel.com')
      .meta({ env: 'DUFFEL_API_URL', description: 'address of Duffel' }),
    duffelAllowLive: z
      .stringbool()
      .default(false)
      .meta({ env: 'DUFFEL_ALLOW_LIVE', description: 'take a live Duffel token, which buys real tickets' }),
    coffeeChainUrl: z.url().default('http://127.0.0.1:8001').meta({
      env: 'COFFEECHAIN_API_URL',
      description: "address of CoffeeChain, for health; calls use the tenant's settings",
    }),

    partnerCallTimeoutMs: ms('PARTNER_CALL_TIMEOUT_MS', 10_000, 'longest wait for a partner'),
    supplierCallTimeoutMs: ms(
      'SUPPLIER_CALL_TIMEOUT_MS',
      130_000,
      'longest wait for an order, a payment or a cancellation',
    ),
    supplierReadTimeoutMs: ms('SUPPLIER_READ_TIMEOUT_MS', 15_000, 'longest wait for reading an offer or an order'),
    searchTimeoutMs: ms('SEARCH_TIMEOUT_MS', 20_000, 'longest wait for a search that looks a fare up again'),
    partnerConcurrency: count('PARTNER_CONCURRENCY', 10, 'calls under way per partner'),
    supplierConcurrency: count('SUPPLIER_CONCURRENCY', 20, 'calls under way at a supplier, searches and orders each'),
    breakerFailures: count('BREAKER_FAILURES', 5, 'failures in a row that open a circuit breaker'),
    breakerHalfOpenMs: ms('BREAKER_HALF_OPEN_MS', 10_000, 'pause of an open circuit breaker before a trial call'),
    throttleWindowMs: ms('THROTTLE_WINDOW_MS', 60_000, "window of a partner's requests per minute"),
    probeTimeoutMs: ms('HEALTH_PROBE_TIMEOUT_MS', 2_000, 'longest wait for a health probe'),
    probeKeptMs: ms('HEALTH_PROBE_KEPT_MS', 5_000, "how long a probe's answer is used"),

    stepConcurrency: count('STEP_CONCURRENCY', 50, 'steps worked on at once per process'),
    jobLockMs: ms('JOB_LOCK_MS', 10_000, 'how long a job stays with a worker that was lost'),
    stepJobsMax: count('STEP_JOBS_MAX', 500, 'jobs per tenant and step in the queue'),
    claimWindowMs: ms('CLAIM_WINDOW_MS', 15_000, 'from asking for a claim to the last instant of sending'),
    internalTimeoutMs: ms('INTERNAL_TIMEOUT_MS', 5_000, 'longest wait for command-api'),
    reportRetryMs: ms('REPORT_RETRY_MS', 2_000, 'first pause between the tries of a waiting report'),
    tenantKeptMs: ms('TENANT_KEPT_MS', 30_000, "how long a tenant's settings are used").refine(
      (kept) => kept <= 60_000,
      {
        error: 'at most 60000',
      },
    ),
    sweepEveryMs: ms('SWEEP_EVERY_MS', 5_000, 'between two sweeps for overdue steps'),
    sweepGraceMs: ms('SWEEP_GRACE_MS', 5_000, 'how long a step is overdue before the sweep takes it up'),
    sweepLimit: count('SWEEP_LIMIT', 500, 'steps per sweep').refine((limit) => limit <= 1_000, {
      error: 'at most 1000',
    }),
  })
  .refine((config) => config.duffelAllowLive || !config.duffelToken.startsWith('duffel_live_'), {
    path: ['duffelToken'],
    error: 'is a live token, which buys real tickets; set DUFFEL_ALLOW_LIVE=1 to take it',
    when: fieldsAreValid('duffelToken', 'duffelAllowLive'),
  })
  .refine((config) => !(config.testMode && config.nodeEnv === 'production'), {
    path: ['testMode'],
    error: 'is not allowed in production',
    when: fieldsAreValid('testMode', 'nodeEnv'),
  })
  .refine((config) => config.partnerCallTimeoutMs < PARTNER_BLOCKS_MS, {
    path: ['partnerCallTimeoutMs'],
    error: `must be below ${PARTNER_BLOCKS_MS}, for which a partner is known to block`,
    when: fieldsAreValid('partnerCallTimeoutMs'),
  })

export type Config = z.infer<typeof configSchema>
