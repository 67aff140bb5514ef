import { OLDEST_REDIS } from './own-redis.ts'
import { Obstacle, say } from './say.ts'

/**
 * Looks whether the Redis at `url` can carry the queues: it answers PING and is new enough. Resolves with its version;
 * rejects with an Obstacle whose sentence begins with `name`. A policy that evicts is only warned of: it is the
 * owner's to change, and bites when memory runs out, not before.
 */
export async function checkRedis(url: string, name: string): Promise<string> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 3000,
    commandTimeout: 3000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  let cause: Error & { code?: string } = new Error('no answer')
  redis.on('error', (error) => {
    cause = error // the command below only says "connection is closed"
  })
  try {
    await redis.connect()
    if ((await redis.ping()) !== 'PONG') throw new Error('no PONG')
    const version = /redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? '0'
    if (Number.parseInt(version, 10) < OLDEST_REDIS) {
      throw new Obstacle(
        `${name} is version ${version} and ${OLDEST_REDIS} is needed: upgrade it, or set REDIS_URL to a newer one.`,
      )
    }
    await warnAboutEviction(redis, name)
    return version
  } catch (error) {
    if (error instanceof Obstacle) throw error
    throw new Obstacle(`${name} ${describeFault(error as Error, cause)}`)
  } finally {
    redis.disconnect()
  }
}

async function warnAboutEviction(
  redis: { config: (get: 'GET', name: string) => Promise<unknown> },
  name: string,
): Promise<void> {
  // Hosted servers forbid CONFIG; then there is nothing to say.
  const [, policy] = (await redis.config('GET', 'maxmemory-policy').catch(() => [])) as string[]
  if (policy && policy !== 'noeviction') {
    say(
      `! ${name} may evict keys (maxmemory-policy ${policy}), and an evicted job is a lost one: set it to noeviction.`,
    )
  }
}

function describeFault(error: Error, cause: Error & { code?: string }): string {
  const reason = `${error.message} ${cause.message}`
  if (cause.code === 'ECONNREFUSED') return 'refuses connections: start it, or set REDIS_URL to one that runs.'
  if (cause.code === 'ENOTFOUND' || cause.code === 'EAI_AGAIN')
    return 'has an address that cannot be resolved: correct REDIS_URL.'
  if (/NOAUTH|WRONGPASS|NOPERM/.test(reason)) return 'wants a password: set REDIS_URL=redis://:password@host:port.'
  return `does not answer as Redis does (${error.message}): see what listens there, or set REDIS_URL to another one.`
}
