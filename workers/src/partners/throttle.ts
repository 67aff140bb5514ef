/**
 * The limit we set ourselves towards a partner that documents one but never enforces it. An exact sliding window: no
 * window of that length ever holds more calls than the limit, whatever the number of our processes. Callers wait for
 * their turn, first come first served, but never longer than they are willing to.
 */

export interface Throttle {
  /** Takes a turn and waits until it has come. Returns 0, or, without having taken one, how many ms it would have been. */
  take(waitMaxMs: number): Promise<number>
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
 * Reserves a turn: the log holds the instants of the last calls and of the turns already given away.
 * KEYS[1] the log; ARGV: limit, window in ms, longest wait in ms, a unique member. Returns { granted, wait in ms }.
 * The server's clock orders the turns of all processes.
 */
const reserveScript = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('zremrangebyscore', KEYS[1], '-inf', now - window)
local taken = redis.call('zcard', KEYS[1])
local at = now
if taken >= limit then
  at = math.max(now, tonumber(redis.call('zrange', KEYS[1], taken - limit, taken - limit, 'withscores')[2]) + window)
end
if at - now > longest then return { 0, at - now } end
redis.call('zadd', KEYS[1], at, ARGV[4])
redis.call('pexpire', KEYS[1], at - now + window)
return { 1, at - now }
`

/**
 * Creates a throttle shared by every process that uses the same Redis and key.
 * While Redis cannot be reached each process keeps to the limit by itself: lookups must live without Redis.
 */
export function createThrottle(redis: ScriptRunner, options: ThrottleOptions, newId: () => string): Throttle {
  const own = createWindow(options)
  const reserve = async (waitMaxMs: number): Promise<[number, number]> => {
    try {
      const { key, limit, windowMs } = options
      return (await redis.eval(reserveScript, 1, key, limit, windowMs, Math.floor(waitMaxMs), newId())) as [
        number,
        number,
      ]
    } catch {
      // Safe direction: still bounded, per process instead of over all of them.
      return own(waitMaxMs, Date.now())
    }
  }
  return {
    take: async (waitMaxMs) => {
      const [granted, waitMs] = await reserve(waitMaxMs)
      if (!granted) return waitMs
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
      return 0
    },
  }
}

/** The same window in memory. `(waitMaxMs, nowMs) → [granted, waitMs]`. */
export function createWindow({ limit, windowMs }: { limit: number; windowMs: number }) {
  let turns: number[] = []
  return (waitMaxMs: number, nowMs: number): [number, number] => {
    turns = turns.filter((turn) => turn > nowMs - windowMs)
    const blocking = turns.at(-limit)
    const at = blocking === undefined ? nowMs : Math.max(nowMs, blocking + windowMs)
    if (at - nowMs > waitMaxMs) return [0, at - nowMs]
    turns.push(at)
    return [1, at - nowMs]
  }
}
