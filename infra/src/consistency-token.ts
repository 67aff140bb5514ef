/**
 * Read your own write (P11). A `Consistency-Token` names positions of the log that an answer reflects; whoever sends it
 * with a read never gets an older row. For clients that send none, the positions each principal wrote last are kept in
 * Redis for a minute.
 */

import { Rejection } from '@portolan/schemas/errors.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { ChainableCommander, Redis } from 'ioredis'
import { z } from 'zod'
import type { Logger } from './log.ts'

/** Topic (without prefix) → partition → position. Positions are dense from 1 within a partition. */
export type Positions = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Positions mean something only within one generation of the log; republishing it starts the next one. */
export interface LogPositions {
  generation: number
  positions: Positions
  /** The streams that were written to reach them; absent when that is not known any more, so it may have been any. */
  streams?: readonly string[]
}

const tokenLengthMax = 4096
const topicNames = new Set<string>(Object.values(topics))
const tokenSchema = z.strictObject({
  g: z.int().min(1),
  p: z.record(
    z.string().refine((topic) => topicNames.has(topic)),
    z.record(z.string().regex(/^(0|[1-9]\d{0,4})$/), z.int().min(1)),
  ),
  s: z.array(z.string()).optional(),
})

/** The header value for these positions: base64url of a small JSON object, opaque to clients; so are the streams' names in it. */
export function encodeToken({ generation, positions, streams }: LogPositions): string {
  return Buffer.from(JSON.stringify({ g: generation, p: positions, s: streams })).toString('base64url')
}

/**
 * Reads a `Consistency-Token` header. Whether its generation is ours is for the reader to judge.
 * Rejects: validation-error when it is not a token of this platform.
 */
export function decodeToken(token: string): LogPositions {
  const parsed = tokenSchema.safeParse(token.length <= tokenLengthMax ? parseJson(token) : undefined)
  if (!parsed.success) throw foreignToken()
  const { g: generation, p: positions, s: streams } = parsed.data
  return { generation, positions, ...(streams ? { streams } : {}) }
}

/** The refusal of a token that was not made by this platform, or for a log that no longer exists. */
export function foreignToken(): Rejection {
  const message = 'Must be a token from an earlier answer'
  return new Rejection('validation-error', 'Consistency-Token must be a token from an earlier answer', {
    errors: [{ field: 'Consistency-Token', message }],
  })
}

function parseJson(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}

/** The higher position of each partition. */
export function mergePositions(...all: readonly Positions[]): Positions {
  const merged: Record<string, Record<string, number>> = {}
  for (const positions of all)
    for (const [topic, partitions] of Object.entries(positions)) {
      merged[topic] ??= {}
      const target = merged[topic]
      for (const [partition, position] of Object.entries(partitions))
        target[partition] = Math.max(target[partition] ?? 0, position)
    }
  return merged
}

/** Whether `reached` is behind `wanted` nowhere in these topics. A topic that a reader does not use never holds it up. */
export function hasReached(reached: Positions, wanted: Positions, topicNames: readonly string[]): boolean {
  return topicNames.every((topic) =>
    Object.entries(wanted[topic] ?? {}).every(
      ([partition, position]) => (reached[topic]?.[partition] ?? 0) >= position,
    ),
  )
}

/** In place of a tenant where staff's positions are kept: their reads cross tenants. No customer may bear the name. */
export const STAFF_POSITIONS = 'platform'

export interface WrittenPositions {
  /**
   * Notes what `principal` wrote; call it before answering the command. Never rejects: the command is committed, and
   * without Redis only clients that send no token lose their cover.
   * principal: whose reads wait, for example `member:CC1234567`; never a credential that many share.
   */
  remember(tenantId: string, principal: string, written: LogPositions): Promise<void>
  /** What `principal` wrote within the last minute; null when nothing, or when Redis does not answer. */
  recall(tenantId: string, principal: string): Promise<LogPositions | null>
}

const rememberedSeconds = 60
/** Streams kept by name per principal; whoever writes more of them within a minute is taken to have written any. */
const rememberedStreamsMax = 20
const streamField = 'stream '

/**
 * Keeps the higher position per partition, so that answers finishing out of order cannot take a position back, and drops
 * what an older generation of the log left. A stream's field holds 1, `streams` how many were written; beyond the most, any may
 * have been. KEYS: hash. ARGV: ttl, generation, most streams, then field and position alternating.
 */
const rememberScript = `
local generation = tonumber(ARGV[2])
local known = tonumber(redis.call('hget', KEYS[1], 'generation') or '0')
if known > generation then return 0 end
if known < generation then
  redis.call('del', KEYS[1])
  redis.call('hset', KEYS[1], 'generation', generation)
end
for i = 4, #ARGV, 2 do
  local position = tonumber(ARGV[i + 1])
  if position > tonumber(redis.call('hget', KEYS[1], ARGV[i]) or '0') then
    redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1])
    if string.sub(ARGV[i], 1, 7) == 'stream ' and redis.call('hincrby', KEYS[1], 'streams', 1) > tonumber(ARGV[3]) then
      redis.call('hdel', KEYS[1], ARGV[i])
    end
  end
end
redis.call('expire', KEYS[1], ARGV[1])
return 1`

/**
 * Runs the script for everybody who asks in one turn of the event loop with one write to the socket: commands that were committed together
 * are answered together. By its hash, so that the text travels once per connection. Rejects as the command does.
 */
function createRemember(redis: Redis): (key: string, args: readonly (string | number)[]) => Promise<void> {
  redis.defineCommand('rememberWritten', { numberOfKeys: 1, lua: rememberScript })
  type Batch = ChainableCommander & { rememberWritten(key: string, ...args: (string | number)[]): unknown }
  let open: { batch: Batch; answers: ReturnType<Batch['exec']> } | undefined
  const openBatch = () => {
    const batch = redis.pipeline() as Batch
    const { promise: answers, resolve } = Promise.withResolvers<Awaited<ReturnType<Batch['exec']>>>()
    // Behind everything that the current event has made ready to run.
    process.nextTick(() => {
      open = undefined
      resolve(batch.exec())
    })
    return { batch, answers }
  }
  return async (key, args) => {
    open ??= openBatch()
    const { batch, answers } = open
    const nth = batch.length
    batch.rememberWritten(key, ...args)
    const [error] = (await answers)?.[nth] ?? []
    if (error) throw error
  }
}

/** Last written positions per principal. redis: a connection that fails fast; keyPrefix: the environment's, `portolan:`. */
export function createWrittenPositions(deps: { redis: Redis; keyPrefix: string; logger: Logger }): WrittenPositions {
  const { redis, keyPrefix, logger } = deps
  const runRemember = createRemember(redis)
  const keyOf = (tenantId: string, principal: string) => `${keyPrefix}written:${tenantId}:${principal}`

  /** Twice while Redis is there: a process that was held up for longer than a command may take gives up an answer that has come. */
  const asked = <T>(command: () => Promise<T>): Promise<T> =>
    command().catch((error: unknown) => {
      if (redis.status !== 'ready') throw error
      return command()
    })

  return {
    async remember(tenantId, principal, { generation, positions, streams }) {
      const fields = Object.entries(positions).flatMap(([topic, partitions]) =>
        Object.entries(partitions).flatMap(([partition, position]) => [`${topic}/${partition}`, position]),
      )
      if (fields.length === 0) return
      const named = streams?.flatMap((stream) => [streamField + stream, 1])
      fields.push(...(named ?? ['streams', rememberedStreamsMax + 1]))
      const limits = [rememberedSeconds, generation, rememberedStreamsMax]
      try {
        await asked(() => runRemember(keyOf(tenantId, principal), [...limits, ...fields]))
      } catch (error) {
        logger.warn('written positions not remembered', { tenantId, error })
      }
    },
    async recall(tenantId, principal) {
      try {
        return fromHash(await asked(() => redis.hgetall(keyOf(tenantId, principal))))
      } catch (error) {
        // Answering possibly older rows beats refusing every read while Redis is away; a token still gives certainty.
        logger.warn('written positions not recalled', { tenantId, error })
        return null
      }
    },
  }
}

function fromHash({ generation, streams: streamCount, ...fields }: Record<string, string>): LogPositions | null {
  if (!generation) return null
  const streams: string[] = []
  const positions: Record<string, Record<string, number>> = {}
  for (const [field, position] of Object.entries(fields)) {
    if (field.startsWith(streamField)) {
      streams.push(field.slice(streamField.length))
      continue
    }
    const slash = field.lastIndexOf('/')
    const topic = field.slice(0, slash)
    positions[topic] ??= {}
    positions[topic][field.slice(slash + 1)] = Number(position)
  }
  const areAllKnown = Number(streamCount) <= rememberedStreamsMax
  return { generation: Number(generation), positions, ...(areAllKnown ? { streams } : {}) }
}
