/**
 * The process that touches the outside world: takes steps from the log into the queue (dispatch, sweep), works on them, and
 * answers look-ups on the internal port. Owns Redis queues and no database.
 */
import { randomUUID } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import { consume, type Sink } from '@portolan/infra/consumer/consume.ts'
import { createGroupSink } from '@portolan/infra/consumer/group-sink.ts'
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { problemHandler } from '@portolan/infra/http/problem.ts'
import { createApp, listen } from '@portolan/infra/http/server.ts'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { createUnseal } from '@portolan/infra/http/unseal-client.ts'
import { createJobs } from '@portolan/infra/jobs.ts'
import { createKafka } from '@portolan/infra/kafka.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics, type Metrics } from '@portolan/infra/telemetry.ts'
import { type StepJob, stepJobSchema } from '@portolan/schemas/steps.ts'
import { consumerGroups } from '@portolan/schemas/topics.ts'
import { fulfilmentSteps } from './bookings/fulfilment.ts'
import { reconciliationSteps } from './bookings/reconciliation.ts'
import { timerSteps } from './bookings/timers.ts'
import { type Config, configSchema } from './config.ts'
import { createDispatch, topicsWithSteps } from './dispatch.ts'
import type { Duffel } from './flights/duffel.ts'
import { createDuffelApi, createDuffelClient, type DuffelApi, duffelIsHealthy } from './flights/duffel-client.ts'
import { createHealth } from './lookups/health.ts'
import { createLookupRoutes } from './lookups/routes.ts'
import { createHttpParking } from './parking.ts'
import { coffeeChainIsHealthy } from './partners/coffeechain.ts'
import { createPartners } from './partners/partners.ts'
import { createTenantDirectory } from './partners/tenants.ts'
import { createAttempts } from './steps/attempts.ts'
import { createGuard } from './steps/guard.ts'
import { createReporter, workOnReports } from './steps/report.ts'
import { runStep } from './steps/run-step.ts'
import { createStepQueue, STEP_QUEUE } from './steps/step-queue.ts'
import { startSweep } from './sweep.ts'

/** Calls waiting for a place at a supplier or partner; more are turned away at once. */
const WAITING_MAX = 200
const JOBS_STOP_WITHIN_MS = 10_000
const now = Date.now

export interface Overrides {
  logger?: Logger
}

/** Starts everything. Rejects when the port is taken; Redis, Kafka and command-api may come later. */
export async function start(config: Config, overrides: Overrides = {}): Promise<RunningProcess> {
  await using cleanup = new AsyncDisposableStack()
  const logger = overrides.logger ?? createLogger({ process: 'workers', level: config.logLevel })
  const metrics = createMetrics('workers')
  const redis = cleanup.adopt(createRedis(config.redisUrl, 'command', logger), (connection) => connection.disconnect())
  const kafka = cleanup.adopt(createKafka({ brokers: config.kafkaBrokers, clientId: 'workers' }, logger), (port) =>
    port.disconnect(),
  )
  const jobs = cleanup.adopt(
    createJobs({
      redisUrl: config.redisUrl,
      keyPrefix: config.redisKeyPrefix,
      logger,
      metrics,
      lockMs: config.jobLockMs,
    }),
    (queues) => queues.close(JOBS_STOP_WITHIN_MS),
  )
  const commandApi = createServiceClient({
    baseUrl: config.commandApiUrl.replace(/\/$/, ''),
    serviceToken: config.serviceToken,
    timeoutMs: config.internalTimeoutMs,
  })
  const attempts = createAttempts(commandApi)
  const duffelApi = createDuffelApi({ token: config.duffelToken, baseUrl: config.duffelUrl })
  const outside = {
    duffel: createSupplier(config, duffelApi, metrics),
    partners: createPartners(
      {
        tenants: createTenantDirectory(commandApi, { ttlMs: config.tenantKeptMs, now }),
        redis,
        keyPrefix: config.redisKeyPrefix,
        metrics,
        now,
        newId: randomUUID,
      },
      { ...guardOptions(config, config.partnerConcurrency), ...partnerOptions(config) },
    ),
    unseal: createUnseal({ client: commandApi }),
    now,
  }

  const queue = createStepQueue(
    { jobs, redis, now },
    { jobsMax: config.stepJobsMax, placeTtlMs: 600_000, keyPrefix: config.redisKeyPrefix },
  )
  const reporting = { attempts, jobs, logger }
  const reportSettings = { retryMs: config.reportRetryMs }
  const runDeps = {
    attempts,
    report: createReporter(reporting, reportSettings),
    handlers: {
      ...fulfilmentSteps(outside, {
        partnerCallTimeoutMs: config.partnerCallTimeoutMs,
        orderCallTimeoutMs: config.supplierCallTimeoutMs,
        searchTimeoutMs: config.searchTimeoutMs,
      }),
      ...reconciliationSteps(outside, { readTimeoutMs: config.supplierReadTimeoutMs }),
      ...timerSteps,
    },
    logger,
    reach,
    now,
    newId: randomUUID,
  }
  const runSettings = { claimWindowMs: config.claimWindowMs, askAgainMs: 250 }
  jobs.work<StepJob>({
    queue: STEP_QUEUE,
    concurrency: config.stepConcurrency,
    handle: ({ data }) => runStep(runDeps, runSettings, stepJobSchema.parse(data)),
    onGone: ({ data }) => void queue.gone(data),
  })
  workOnReports(reporting, reportSettings)

  const dispatch = startDispatch(config, {
    kafka,
    logger,
    metrics,
    parking: createHttpParking(commandApi, consumerGroups.dispatch),
    handle: createDispatch({ queue, logger }),
  })
  cleanup.defer(() => dispatch.stop())
  const sweep = startSweep(
    { attempts, queue, logger, metrics },
    { everyMs: config.sweepEveryMs, graceMs: config.sweepGraceMs, limit: config.sweepLimit },
  )
  cleanup.defer(() => sweep.stop())

  // Only what the lookup port needs counts here, and it needs neither Redis nor command-api to be there all the time.
  const app = createApp({
    process: 'workers',
    logger,
    metrics,
    ready: async () => ({ dispatch: dispatch.hasBegun() }),
  })
  app.use('/internal', requireService(config.serviceToken))
  const probes = {
    duffel_api: () => duffelIsHealthy(duffelApi, config.probeTimeoutMs),
    coffeechain_api: () => coffeeChainIsHealthy(config.coffeeChainUrl, config.probeTimeoutMs),
  }
  const health = createHealth(probes, { keptMs: config.probeKeptMs, timeoutMs: config.probeTimeoutMs, now })
  app.use(createLookupRoutes({ ...outside, health, logger }, { partnerDeadlineMs: config.partnerCallTimeoutMs }))
  app.use(...problemHandler({ logger }))
  const server = await listen(app, config.port, config.httpHost)
  cleanup.defer(() => server.stop())

  const running = cleanup.move()
  return { url: server.url, stop: () => running.disposeAsync() }
}

function createSupplier(config: Config, api: DuffelApi, metrics: Metrics): Duffel {
  const breakers = metrics.gauge('breaker_state', '0 closed, 1 half-open, 2 open', ['party'])
  const clientOf = (party: string) => {
    const onBreaker = (level: number) => breakers.set({ party }, level)
    return createDuffelClient(
      api,
      createGuard(guardOptions(config, config.supplierConcurrency), now, { onBreaker }),
      now,
    )
  }
  return {
    searching: clientOf('duffel:search'),
    ordering: clientOf('duffel:orders'),
    times: { orderTimeoutMs: config.supplierCallTimeoutMs, readTimeoutMs: config.supplierReadTimeoutMs },
  }
}

function guardOptions(config: Config, concurrency: number) {
  const { breakerFailures: failuresToOpen, breakerHalfOpenMs: halfOpenAfterMs } = config
  return { concurrency, queueMax: WAITING_MAX, failuresToOpen, halfOpenAfterMs }
}

function partnerOptions(config: Config) {
  const { partnerCallTimeoutMs: callTimeoutMs, testMode: forwardsMockErrors, throttleWindowMs } = config
  return { callTimeoutMs, forwardsMockErrors, throttleWindowMs }
}

type DispatchDeps = Parameters<typeof consume>[0] &
  Pick<Parameters<typeof createGroupSink>[0], 'parking'> &
  Pick<Parameters<typeof createGroupSink>[1], 'handle'>

function startDispatch(config: Config, { kafka, logger, metrics, parking, handle }: DispatchDeps) {
  const topicPrefix = config.kafkaTopicPrefix
  const groupId = topicPrefix + consumerGroups.dispatch
  const inKafka = createGroupSink({ kafka, logger, parking }, { groupId, topicPrefix, whenLost: 'end', handle })
  let hasBegun = false
  const sink: Sink = {
    ...inKafka,
    // Ready means: events from here on are seen. Before the first start is known they might lie behind it.
    load: async (partitions, commit) => {
      const checkpoints = await inKafka.load(partitions, commit)
      hasBegun = true
      return checkpoints
    },
  }
  const consumer = consume(
    { kafka, logger, metrics },
    { name: 'dispatch', groupId, topics: topicsWithSteps, topicPrefix, sink },
  )
  return { stop: () => consumer.stop(), hasBegun: () => hasBegun }
}

if (import.meta.main) await runProcess('workers', () => start(loadConfig(configSchema)))
