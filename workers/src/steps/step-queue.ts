/**
 * The queue of step jobs, filled by dispatch and sweep alike. A job's id names its attempt, so adding it twice is once.
 *
 * One tenant cannot fill the queue: at most `jobsMax` jobs per tenant and step wait in it, the rest stays with the sweep.
 * Which jobs those are is kept beside the queue in a sorted set per tenant and step, by the instant from which an entry no
 * longer counts: an entry whose job vanished (a crash, a lost removal) frees its place by itself.
 */
import type { Jobs } from '@portolan/infra/jobs.ts'
import type { StepJob } from '@portolan/schemas/steps.ts'
import type { ScriptRunner } from '../partners/throttle.ts'

export const STEP_QUEUE = 'steps'

export interface StepQueue {
  /** Adds jobs as far as their tenant's places go; returns those left to the sweep. Rejects when Redis is away. */
  add(jobs: readonly StepJob[]): Promise<readonly StepJob[]>
  /** Takes jobs out that are no longer wanted. Rejects when Redis is away. */
  remove(attempts: readonly AttemptName[]): Promise<void>
  /** Frees the place of a job that has left the queue. Never rejects. */
  gone(job: StepJob): Promise<void>
}

export type AttemptName = Pick<StepJob, 'tenantId' | 'stream' | 'step' | 'attempt'>

export interface StepQueueOptions {
  jobsMax: number
  /** REDIS_KEY_PREFIX */
  keyPrefix: string
}

/** A handler that throws (command-api away) is run again this often, a second and more apart; then the sweep brings the job back. */
const RUNS_MAX = 3
const RETRY_MS = 1_000
/** How long after its due time a job's place counts as taken at most. */
const PLACE_TTL_MS = 600_000

/**
 * Takes places. KEYS[1] the set; ARGV: now, places in all, then pairs of id and the instant until which the place counts.
 * Returns the ids that have a place, those that had one already included.
 */
const takePlacesScript = `
redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[1])
local free = tonumber(ARGV[2]) - redis.call('zcard', KEYS[1])
local placed, latest = {}, tonumber(ARGV[1])
for i = 3, #ARGV, 2 do
  local known = redis.call('zscore', KEYS[1], ARGV[i])
  if known or free > 0 then
    if not known then free = free - 1 end
    redis.call('zadd', KEYS[1], ARGV[i + 1], ARGV[i])
    placed[#placed + 1] = ARGV[i]
  end
end
local last = redis.call('zrevrange', KEYS[1], 0, 0, 'withscores')[2]
if last then redis.call('pexpireat', KEYS[1], string.format('%.0f', tonumber(last))) end
return placed
`

const freePlacesScript = `return redis.call('zrem', KEYS[1], unpack(ARGV))`

/** Creates the queue. now: the database's clock, UTC milliseconds. */
export function createStepQueue(
  deps: { jobs: Jobs; redis: ScriptRunner; now: () => number },
  options: StepQueueOptions,
): StepQueue {
  const queue = deps.jobs.queue<StepJob>(STEP_QUEUE)
  const keyOf = ({ tenantId, step }: AttemptName) => `${options.keyPrefix}places:${tenantId}:${step}`

  async function takePlaces(key: string, jobs: readonly StepJob[]): Promise<Set<string>> {
    const pairs = jobs.flatMap((job) => {
      const countsUntilMs = Math.max(Date.parse(job.dueAt), deps.now()) + PLACE_TTL_MS
      return [jobIdOf(job), countsUntilMs]
    })
    const placed = await deps.redis.eval(takePlacesScript, 1, key, deps.now(), options.jobsMax, ...pairs)
    return new Set(placed as string[])
  }

  async function freePlaces(attempts: readonly AttemptName[]): Promise<void> {
    for (const [key, group] of Map.groupBy(attempts, keyOf)) {
      await deps.redis.eval(freePlacesScript, 1, key, ...group.map(jobIdOf))
    }
  }

  return {
    add: async (jobs) => {
      if (jobs.length === 0) return []
      const accepted: StepJob[] = []
      const left: StepJob[] = []
      for (const [key, group] of Map.groupBy(jobs, keyOf)) {
        const placed = await takePlaces(key, group)
        for (const job of group) (placed.has(jobIdOf(job)) ? accepted : left).push(job)
      }
      await queue.add(
        accepted.map((job) => ({
          name: job.step,
          id: jobIdOf(job),
          data: job,
          delayMs: Date.parse(job.dueAt) - deps.now(),
          attempts: RUNS_MAX,
          retryMs: RETRY_MS,
        })),
      )
      return left
    },
    remove: async (attempts) => {
      if (attempts.length === 0) return
      await queue.remove(attempts.map(jobIdOf))
      await freePlaces(attempts)
    },
    // Safe direction: a place that could not be freed stops counting by itself.
    gone: (job) => freePlaces([job]).catch(() => undefined),
  }
}

/** `<tenant>/<stream>/<step>/<attempt>`, each part escaped: unambiguous, and free of the ':' that BullMQ does not allow. */
export function jobIdOf({ tenantId, stream, step, attempt }: AttemptName): string {
  return [tenantId, stream, step, String(attempt)].map(encodeURIComponent).join('/')
}
