/**
 * Job queues over BullMQ, the only file that knows it. Redis is a place to wait in, never the record: every job can be
 * made again from somewhere else, so finished and failed jobs are removed at once and their ids may be used again
 * (re-adding a kept failed id silently does nothing).
 *
 * A job's life: delayed until `dueAt` → waiting → active → removed. A handler may send it back to wait (`againInMs`).
 * A worker that dies leaves its jobs active; another one takes them up when their lock has run out, so a handler may run
 * twice for one job and must not mind.
 */
import { type Job as BullJob, DelayedError, Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Logger } from './log.ts'
import { createRedis, redisIsReady } from './redis.ts'
import type { Metrics } from './telemetry.ts'

const LOCK_MS = 10_000
const STALLS_MAX = 3
const DEPTH_EVERY_MS = 10_000
const READY_WITHIN_MS = 500

export interface NewJob<T> {
  /** Kind of work, for metrics. */
  name: string
  /** While a job with this id is in the queue, adding it again does nothing. Never a bare number; ':' is not allowed. */
  id?: string
  data: T
  /** From now; absent or negative means now. */
  delayMs?: number
  /** How often a handler that throws is run in all, default once; exponential pauses from `retryMs` up, with jitter. */
  attempts?: number
  retryMs?: number
}

export interface JobQueue<T> {
  /** Adds jobs in one round trip. Rejects when Redis is away. */
  add(jobs: readonly NewJob<T>[]): Promise<void>
  /** Removes jobs that are not being worked on; unknown ids do nothing. */
  remove(ids: readonly string[]): Promise<void>
  /** Jobs by state: waiting, delayed, active. */
  depth(): Promise<Record<string, number>>
}

export interface RunningJob<T> {
  id: string
  name: string
  data: T
  /** 1 for the first run; those that ended with `againInMs` do not count. */
  run: number
  /** How often it was taken up, this time and those that ended with `againInMs` included. */
  starts: number
}

export interface JobWorkerOptions<T> {
  queue: string
  concurrency: number
  /** Returns nothing when done, `againInMs` to be run again later; a throw counts as a failed run. */
  handle(job: RunningJob<T>): Promise<undefined | { againInMs: number }>
  /** Told when a job has left the queue, done or failed for good. Must not throw. */
  onGone?(job: RunningJob<T>): void
}

export interface Jobs {
  queue<T>(name: string): JobQueue<T>
  work<T>(options: JobWorkerOptions<T>): void
  /** Takes no more jobs, waits for running ones at most `withinMs`, closes every connection. */
  close(withinMs: number): Promise<void>
}

export interface JobsDeps {
  redisUrl: string
  /** REDIS_KEY_PREFIX; keys are `<prefix>jobs:<queue>:…`. */
  keyPrefix: string
  logger: Logger
  metrics: Metrics
  /** How long a job stays with a worker that no longer renews its lock; default 10 s. Checked twice in that time. */
  lockMs?: number
}

/** Opens the job queues of this process. Connects in the background; Redis may be away. */
export function createJobs({ redisUrl, keyPrefix, logger, metrics, lockMs = LOCK_MS }: JobsDeps): Jobs {
  const prefix = `${keyPrefix}jobs`
  const producing = createRedis(redisUrl, 'command', logger)
  const working = createRedis(redisUrl, 'blocking', logger)
  // Each worker duplicates its connection to block on; one that never reached Redis would go on trying after the worker is closed.
  const duplicates: Redis[] = []
  let wasReached = false
  working.once('ready', () => {
    wasReached = true
  })
  const duplicate = working.duplicate.bind(working)
  working.duplicate = (options) => {
    const made = duplicate(options)
    duplicates.push(made)
    return made
  }
  const queues = new Map<string, Queue>()
  const workers: Worker[] = []
  const duration = metrics.histogram('job_duration_seconds', 'Jobs by name and outcome', ['queue', 'job', 'outcome'])
  const depth = metrics.gauge('job_queue_depth', 'Jobs in a queue by state', ['queue', 'state'])
  // One line per outage comes from the connections; these events repeat it for every command.
  const onError = (error: Error) => logger.debug('job queue error', { error })

  function queueOf(name: string): Queue {
    const known = queues.get(name)
    if (known) return known
    const queue = new Queue(name, { connection: producing, prefix, streams: { events: { maxLen: 1 } } })
    queue.on('error', onError)
    queues.set(name, queue)
    // BullMQ asks Redis for its version once. Were that not answered in time, every later use would fail with that one answer for ever.
    queue.waitUntilReady().catch((error) => {
      onError(error)
      if (queues.get(name) === queue) queues.delete(name)
      queue.close().catch(onError)
    })
    return queue
  }

  /** BullMQ would wait for ever for a connection that was never there. */
  async function assertReady(): Promise<void> {
    if (!(await redisIsReady(producing, READY_WITHIN_MS))) throw new Error('job queue cannot be reached: Redis is away')
  }

  const depthTimer = setInterval(async () => {
    if (producing.status !== 'ready') return
    for (const [name, queue] of queues) {
      const counts = await countsOf(queue).catch(() => ({}))
      for (const [state, count] of Object.entries(counts)) depth.set({ queue: name, state }, count)
    }
  }, DEPTH_EVERY_MS)
  depthTimer.unref()

  return {
    queue: (name) => {
      queueOf(name)
      return {
        add: async (jobs) => {
          await assertReady()
          if (jobs.length > 0) await queueOf(name).addBulk(jobs.map(bullJob))
        },
        remove: async (ids) => {
          await assertReady()
          const queue = queueOf(name)
          await Promise.all(ids.map((id) => queue.remove(id)))
        },
        depth: async () => {
          await assertReady()
          return countsOf(queueOf(name))
        },
      }
    },
    work: <T>({ queue, concurrency, handle, onGone }: JobWorkerOptions<T>) => {
      const worker = new Worker<T>(
        queue,
        async (job, token) => {
          const startedAt = performance.now()
          const ended = (outcome: string) =>
            duration.observe({ queue, job: job.name, outcome }, (performance.now() - startedAt) / 1000)
          const answer = await handle(running(job)).catch((error: unknown) => {
            ended('failed')
            throw error
          })
          ended(answer ? 'again' : 'done')
          if (!answer) return
          await job.moveToDelayed(Date.now() + answer.againInMs, token)
          throw new DelayedError()
        },
        {
          connection: working,
          prefix,
          concurrency,
          lockDuration: lockMs,
          stalledInterval: lockMs / 2,
          maxStalledCount: STALLS_MAX,
          removeOnComplete: { count: 0 },
          removeOnFail: { count: 0 },
        },
      )
      worker.on('error', onError)
      worker.on('completed', (job) => onGone?.(running(job)))
      worker.on('failed', (job, error) => {
        logger.error('job failed', { queue, job: job?.name, jobId: job?.id, run: job?.attemptsMade, error })
        if (job && job.attemptsMade >= (job.opts.attempts ?? 1)) onGone?.(running(job))
      })
      worker.on('stalled', (jobId) => logger.warn('job taken up again after its worker was lost', { queue, jobId }))
      workers.push(worker)
    },
    close: async (withinMs) => {
      clearInterval(depthTimer)
      // Without Redis no job can be running, and a worker that waits for its connection would never be done closing.
      const finished = Promise.all(workers.map((worker) => worker.close(!wasReached)))
      const cut = new Promise<'cut'>((resolve) => setTimeout(() => resolve('cut'), withinMs).unref())
      if ((await Promise.race([finished, cut])) === 'cut') {
        await Promise.race([Promise.all(workers.map((worker) => worker.close(true))), cut])
      }
      const closed = Promise.all([...queues.values()].map((queue) => queue.close().catch(onError)))
      await Promise.race([closed, cut])
      producing.disconnect()
      for (const connection of [working, ...duplicates]) connection.disconnect()
    },
  }
}

function bullJob<T>({ name, id, data, delayMs = 0, attempts = 1, retryMs = 500 }: NewJob<T>) {
  return {
    name,
    data,
    opts: {
      ...(id !== undefined && { jobId: id }),
      delay: Math.max(0, delayMs),
      attempts,
      backoff: { type: 'exponential', delay: retryMs, jitter: 0.5 },
      removeOnComplete: true,
      removeOnFail: true,
    },
  }
}

function running<T>(job: BullJob<T>): RunningJob<T> {
  const { name, data, attemptsMade, attemptsStarted } = job
  return { id: String(job.id), name, data, run: attemptsMade + 1, starts: attemptsStarted }
}

async function countsOf(queue: Queue): Promise<Record<string, number>> {
  return queue.getJobCounts('waiting', 'delayed', 'active')
}
