/**
 * Request limits per minute in Redis, shared by all instances; when Redis is away each process counts for itself, so
 * the API stays up and stays limited.
 */
import type { Redis } from 'ioredis'
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js'
import RateLimiterRedis from 'rate-limiter-flexible/lib/RateLimiterRedis.js'
import RateLimiterRes from 'rate-limiter-flexible/lib/RateLimiterRes.js'
import type { Metrics } from '../telemetry.ts'

const WINDOW_SECONDS = 60
/** Different limits seen by one process; beyond it someone makes limits up. */
const LIMITS_MAX = 1000

/** In-memory counting does not fail; were it to, letting the request through is the safe direction. */
const letThrough = { isAllowed: true, left: new RateLimiterRes(0, 0, 0, false) }

export interface Consumption {
  allowed: boolean
  limit: number
  remaining: number
  /** Unix seconds at which the window ends. */
  resetAtSeconds: number
  /** Whole seconds until then, at least 1; null while allowed. */
  retryAfterSeconds: number | null
}

/** Counts one request under `key` against `limitPerMinute`. Never throws. The window begins with its first request. */
export type ConsumeLimit = (key: string, limitPerMinute: number) => Promise<Consumption>

/** Creates the limiter. redis: a `command` connection, which fails fast; keyPrefix: REDIS_KEY_PREFIX. */
export function createRateLimiter(deps: {
  redis: Redis
  keyPrefix: string
  metrics: Metrics
  now?: () => number
}): ConsumeLimit {
  const now = deps.now ?? Date.now
  const limiters = new Map<number, { shared: RateLimiterRedis; own: RateLimiterMemory }>()
  const note = noteIn(deps.metrics)

  function limitersFor(points: number) {
    const known = limiters.get(points)
    if (known) return known
    if (limiters.size >= LIMITS_MAX) limiters.clear()
    const options = { points, duration: WINDOW_SECONDS, keyPrefix: `${deps.keyPrefix}limit:${points}` }
    const made = {
      shared: new RateLimiterRedis({ ...options, storeClient: deps.redis, rejectIfRedisNotReady: true }),
      own: new RateLimiterMemory(options),
    }
    limiters.set(points, made)
    return made
  }

  return async (key, limitPerMinute) => {
    const { shared, own } = limitersFor(limitPerMinute)
    let counter = 'shared'
    let result = await settle(shared.consume(key))
    if (!result) {
      counter = 'own'
      result = await settle(own.consume(key))
    }
    const { isAllowed, left } = result ?? letThrough
    note(isAllowed, counter)
    return consumption(isAllowed, left, limitPerMinute, now())
  }
}

/**
 * Creates a limiter of this process alone, for limits that only a flood reaches: asking Redis before every request would cost more than the flood
 * it keeps out.
 */
export function createOwnRateLimiter(
  limitPerMinute: number,
  { metrics }: { metrics: Metrics },
): (key: string) => Promise<Consumption> {
  const limiter = new RateLimiterMemory({ points: limitPerMinute, duration: WINDOW_SECONDS })
  const note = noteIn(metrics)
  return async (key) => {
    const result = await settle(limiter.consume(key))
    const { isAllowed, left } = result ?? letThrough
    note(isAllowed, 'own')
    return consumption(isAllowed, left, limitPerMinute, Date.now())
  }
}

function noteIn(metrics: Metrics): (isAllowed: boolean, counter: string) => void {
  const requests = metrics.counter('rate_limit_requests_total', 'Limited requests by outcome and counter', [
    'outcome',
    'counter',
  ])
  return (isAllowed, counter) => requests.inc({ outcome: isAllowed ? 'allowed' : 'refused', counter })
}

function consumption(isAllowed: boolean, left: RateLimiterRes, limit: number, now: number): Consumption {
  return {
    allowed: isAllowed,
    limit,
    remaining: Math.max(0, left.remainingPoints),
    resetAtSeconds: Math.ceil((now + left.msBeforeNext) / 1000),
    retryAfterSeconds: isAllowed ? null : Math.max(1, Math.ceil(left.msBeforeNext / 1000)),
  }
}

/** The library rejects with its result when the limit is reached and with an Error when the store is away (null here). */
async function settle(consumed: Promise<RateLimiterRes>): Promise<{ isAllowed: boolean; left: RateLimiterRes } | null> {
  try {
    return { isAllowed: true, left: await consumed }
  } catch (error) {
    return error instanceof RateLimiterRes ? { isAllowed: false, left: error } : null
  }
}
