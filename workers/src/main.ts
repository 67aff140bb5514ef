/**
 * The process that touches the outside world: takes steps from the log into the queue (dispatch, sweep), works on them, and
 * answers look-ups on the internal port. Owns Redis queues and no database.
 */
import { randomUUID } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import { onForget } from '@portolan/infra/forget-signal.ts'
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { problemHandler } from '@portolan/infra/http/problem.ts'
import { createApp, listen } from '@portolan/infra/http/server.ts'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { createJobs } from '@portolan/infra/jobs.ts'
import { createKafka } from '@portolan/infra/kafka.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { startMeasuredClock } from '@portolan/infra/measured-clock.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { type StepJob, stepJobSchema } from '@portolan/schemas/steps.ts'
import { consumerGroups } from '@portolan/schemas/topics.ts'
import { bookingStepHandlers } from './bookings/steps.ts'
import { type Config, configSchema } from './config.ts'
import { createDispatch, startDispatch } from './dispatch.ts'
import { createElapsedClock } from './elapsed-clock.ts'
import { createLookupRoutes } from './lookups/routes.ts'
import { createOutside } from './outside.ts'
import { createHttpParking } from './parking.ts'
import { createAttempts } from './steps/attempts.ts'
import { createReporting } from './steps/report.ts'
import { runStep } from './steps/run-step.ts'
import { createStepQueue, STEP_QUEUE } from './steps/step-queue.ts'
import { startSweep } from './sweep.ts'

/** Parts of the time a process has to stop: requests under way, then jobs under way. */
const STOP_WITHIN_MS = { requests: 4_000, jobs: 7_000 }
const ASK_AGAIN_MS = 250
const GENERATION_POLL_MS = 1000

/** Starts everything. Rejects when the port is taken; Redis, Kafka and command-api may come later. */
export async function start(config: Config, overrides: { logger?: Logger } = {}): Promise<RunningProcess> {
  await using cleanup = new AsyncDisposableStack()
  const logger = overrides.logger ?? createLogger({ process: 'workers', level: config.logLevel })
  const metrics = createMetrics('workers')
  const { redisUrl, redisKeyPrefix: keyPrefix, serviceToken } = config

  const redis = cleanup.adopt(createRedis(redisUrl, 'command', logger), (connection) => connection.disconnect())
  const subscriber = cleanup.adopt(createRedis(redisUrl, 'subscriber', logger), (connection) => connection.disconnect())
  const jobs = createJobs({ redisUrl, keyPrefix, logger, metrics, lockMs: config.jobLockMs })
  cleanup.defer(() => jobs.close(STOP_WITHIN_MS.jobs))
  const baseUrl = config.commandApiUrl.replace(/\/$/, '')
  const commandApi = createServiceClient({ baseUrl, serviceToken, timeoutMs: config.internalTimeoutMs })
  const attempts = createAttempts(commandApi)
  const clock = startMeasuredClock(attempts.clock, (error) => logger.debug('database clock not measured', { error }))
  cleanup.defer(async () => clock.stop())
  // Command-api may come later; until then this machine's own clock says when steps are due.
  await clock.measure().catch((error: unknown) => logger.warn('database clock not measured', { error }))
  const now = clock.nowMs
  const elapsed = createElapsedClock()
  const outside = createOutside(config, {
    commandApi,
    redis,
    onForget: (drop) => onForget(subscriber, keyPrefix, drop),
    logger,
    metrics,
    now,
    elapsed,
  })

  const queue = createStepQueue({ jobs, redis, now }, { jobsMax: config.stepJobsMax, keyPrefix })
  const dispatch = startDispatch(
    {
      openKafka: () => createKafka({ brokers: config.kafkaBrokers, clientId: 'workers' }, logger),
      logger,
      metrics,
      parking: createHttpParking(commandApi, consumerGroups.dispatch),
    },
    {
      topicPrefix: config.kafkaTopicPrefix,
      generationPollMs: GENERATION_POLL_MS,
      handle: createDispatch({ queue, logger, now }),
    },
  )
  const sweep = startSweep(
    { attempts, queue, logger, metrics },
    { everyMs: config.sweepEveryMs, graceMs: config.sweepGraceMs, limit: config.sweepLimit },
  )
  cleanup.defer(async () => void (await Promise.all([dispatch.stop(), sweep.stop()])))

  const reporting = createReporting({ attempts, jobs, logger, metrics }, { retryMs: config.reportRetryMs })
  const handlers = bookingStepHandlers(outside, config)
  const runDeps = { attempts, report: reporting.report, handlers, logger, reach, now, elapsed, newId: randomUUID }
  const runSettings = { claimWindowMs: config.claimWindowMs, askAgainMs: ASK_AGAIN_MS }
  jobs.work<StepJob>({
    queue: STEP_QUEUE,
    concurrency: config.stepConcurrency,
    handle: ({ data, starts }) => runStep(runDeps, runSettings, stepJobSchema.parse(data), starts),
    onGone: ({ data }) => void queue.gone(data),
  })
  reporting.work()

  // The lookup port needs neither Redis nor command-api to be there all the time, so they do not count.
  const app = createApp({ process: 'workers', logger, metrics, ready: async () => ({ dispatch: dispatch.hasBegun() }) })
  app.use('/internal', requireService(serviceToken))
  app.use(createLookupRoutes({ ...outside, logger }, { partnerDeadlineMs: config.partnerCallTimeoutMs }))
  app.use(...problemHandler({ logger }))
  const server = await listen(app, config.port, config.httpHost, { stopWithinMs: STOP_WITHIN_MS.requests })
  cleanup.defer(() => server.stop())

  const running = cleanup.move()
  return { url: server.url, stop: () => running.disposeAsync() }
}

if (import.meta.main) await runProcess('workers', () => start(loadConfig(configSchema)), { stopWithinMs: 20_000 })
