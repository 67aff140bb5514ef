/**
 * Redis connections by purpose. Redis is never the only home of anything: whoever uses a `command` connection must
 * know what to do without it.
 */
import { Redis } from 'ioredis'
import type { Logger } from './log.ts'

/**
 * command: short commands on a request's path; fails within half a second when Redis is away instead of queueing.
 * blocking: a job queue's connection; waits as long as Redis is away.
 * subscriber: pub/sub; subscribes again after a reconnect.
 */
export type RedisPurpose = 'command' | 'blocking' | 'subscriber'

/** Creates a connection, which begins to connect at once and reconnects for ever (50 ms to 1 s apart). */
export function createRedis(url: string, purpose: RedisPurpose, logger: Logger): Redis {
  const redis = new Redis(url, {
    connectTimeout: 2000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt - 1, 5), 1000),
    ...(purpose === 'command'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 500 }
      : { maxRetriesPerRequest: null }),
  })
  // Said once per outage: an error event comes with every attempt to reconnect.
  let isAway = false
  redis.on('error', (error) => {
    if (!isAway) logger.warn('redis is away', { purpose, error })
    isAway = true
  })
  redis.on('ready', () => {
    if (isAway) logger.info('redis is back', { purpose })
    isAway = false
  })
  return redis
}

/** Waits until a connection can be used; false when that took longer than timeoutMs. A start does not depend on it. */
export async function redisIsReady(redis: Redis, timeoutMs: number): Promise<boolean> {
  if (redis.status === 'ready') return true
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const onReady = () => resolve(true)
  const timer = setTimeout(() => resolve(false), timeoutMs)
  redis.once('ready', onReady)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    redis.off('ready', onReady)
  }
}
