/**
 * The limit we set ourselves towards a partner that documents one but never enforces it. An exact sliding window: no
 * window of that length ever holds more calls than the limit, whatever the number of our processes. Nobody waits in here:
 * a turn is there or it is not, and whoever needs one knows best where to wait for it.
 */

export interface Throttle {
  /**
   * Takes a turn for each name now, all or none. Returns 0, or in how many ms that many will be free if nobody else comes.
   * A name that has a turn already keeps it, moved to now: the instant of its call is what the window counts.
   */
  take(names: readonly string[]): Promise<number>
  /** Gives back turns under which nothing was sent. Never rejects. */
  giveBack(names: readonly string[]): Promise<void>
}

/** What is needed of a Redis connection: one that fails fast. */
export interface ScriptRunner {
  eval(script: string, keyCount: number, ...keysAndArguments: (string | number)[]): Promise<unknown>
}

export interface ThrottleOptions {
  key: string
  limit: number
  windowMs: number
}

/**
 * KEYS[1] the turns by their instant; ARGV: limit, window in ms, then names. Returns 0 or the wait in ms.
 * The server's clock orders the turns of all processes.
 */
const takeScript = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('zremrangebyscore', KEYS[1], '-inf', now - window)
local fresh = 0
for i = 3, #ARGV do
  if not redis.call('zscore', KEYS[1], ARGV[i]) then fresh = fresh + 1 end
end
local tooMany = redis.call('zcard', KEYS[1]) + fresh - limit
if fresh > 0 and tooMany > 0 then
  local blocking = redis.call('zrange', KEYS[1], tooMany - 1, tooMany - 1, 'withscores')[2]
  return math.max(1, tonumber(blocking or now) + window - now)
end
for i = 3, #ARGV do redis.call('zadd', KEYS[1], now, ARGV[i]) end
redis.call('pexpire', KEYS[1], window)
return 0
`

const giveBackScript = `return redis.call('zrem', KEYS[1], unpack(ARGV))`

/**
 * Creates a throttle shared by every process that uses the same Redis and key.
 * While Redis cannot be reached each process keeps to the limit by itself: lookups must live without Redis.
 */
export function createThrottle(redis: ScriptRunner, { key, limit, windowMs }: ThrottleOptions): Throttle {
  const own = createWindow({ limit, windowMs })
  return {
    take: async (names) => {
      try {
        return Number(await redis.eval(takeScript, 1, key, limit, windowMs, ...names))
      } catch {
        // Safe direction: still bounded, per process instead of over all of them.
        return own.take(names, Date.now())
      }
    },
    giveBack: async (names) => {
      own.giveBack(names)
      // Safe direction: a turn that could not be given back counts until its window has passed.
      if (names.length > 0) await redis.eval(giveBackScript, 1, key, ...names).catch(() => undefined)
    },
  }
}

/** The same window in memory. */
function createWindow({ limit, windowMs }: { limit: number; windowMs: number }) {
  const turns = new Map<string, number>()
  return {
    take: (names: readonly string[], nowMs: number): number => {
      for (const [name, at] of turns) if (at <= nowMs - windowMs) turns.delete(name)
      const fresh = names.filter((name) => !turns.has(name)).length
      const tooMany = turns.size + fresh - limit
      if (fresh > 0 && tooMany > 0) {
        const blocking = [...turns.values()].sort((a, b) => a - b)[tooMany - 1]
        return Math.max(1, (blocking ?? nowMs) + windowMs - nowMs)
      }
      for (const name of names) turns.set(name, nowMs)
      return 0
    },
    giveBack: (names: readonly string[]): void => {
      for (const name of names) turns.delete(name)
    },
  }
}
