/**
 * Read your own write (P11). A `Consistency-Token` names positions of the log that an answer reflects; whoever sends it
 * with a read never gets an older row. For clients that send none, the positions each principal wrote last are kept in
 * Redis for a minute.
 */

import { Rejection } from '@portolan/schemas/errors.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { Logger } from './log.ts'

/** Topic (without prefix) → partition → position. Positions are dense from 1 within a partition. */
export type Positions = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Positions mean something only within one generation of the log; republishing it starts the next one. */
export interface LogPositions {
  generation: number
  positions: Positions
}

const tokenLengthMax = 4096
const topicNames = new Set<string>(Object.values(topics))
const tokenSchema = z.strictObject({
  g: z.int().min(1),
  p: z.record(
    z.string().refine((topic) => topicNames.has(topic)),
    z.record(z.string().regex(/^(0|[1-9]\d{0,4})$/), z.int().min(1)),
  ),
})

/** The header value for these positions: base64url of a small JSON object, opaque to clients. */
export function encodeToken({ generation, positions }: LogPositions): string {
  return Buffer.from(JSON.stringify({ g: generation, p: positions })).toString('base64url')
}

/**
 * Reads a `Consistency-Token` header. Whether its generation is ours is for the reader to judge.
 * Rejects: validation-error when it is not a token of this platform.
 */
export function decodeToken(token: string): LogPositions {
  const parsed = tokenSchema.safeParse(token.length <= tokenLengthMax ? parseJson(token) : undefined)
  if (!parsed.success) throw foreignToken()
  return { generation: parsed.data.g, positions: parsed.data.p }
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

/**
 * Keeps the higher position per partition, so that answers finishing out of order cannot take a position back, and drops
 * what an older generation of the log left. KEYS: hash. ARGV: ttl, generation, then field and position alternating.
 */
const rememberScript = `
local generation = tonumber(ARGV[2])
local known = tonumber(redis.call('hget', KEYS[1], 'generation') or '0')
if known > generation then return 0 end
if known < generation then
  redis.call('del', KEYS[1])
  redis.call('hset', KEYS[1], 'generation', generation)
end
for i = 3, #ARGV, 2 do
  local position = tonumber(ARGV[i + 1])
  if position > tonumber(redis.call('hget', KEYS[1], ARGV[i]) or '0') then
    redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('expire', KEYS[1], ARGV[1])
return 1`

/** Last written positions per principal. redis: a connection that fails fast; keyPrefix: the environment's, `portolan:`. */
export function createWrittenPositions(deps: { redis: Redis; keyPrefix: string; logger: Logger }): WrittenPositions {
  const { redis, keyPrefix, logger } = deps
  const keyOf = (tenantId: string, principal: string) => `${keyPrefix}written:${tenantId}:${principal}`
  return {
    async remember(tenantId, principal, { generation, positions }) {
      const fields = Object.entries(positions).flatMap(([topic, partitions]) =>
        Object.entries(partitions).flatMap(([partition, position]) => [`${topic}/${partition}`, position]),
      )
      if (fields.length === 0) return
      try {
        await redis.eval(rememberScript, 1, keyOf(tenantId, principal), rememberedSeconds, generation, ...fields)
      } catch (error) {
        logger.warn('written positions not remembered', { tenantId, error })
      }
    },
    async recall(tenantId, principal) {
      try {
        return fromHash(await redis.hgetall(keyOf(tenantId, principal)))
      } catch (error) {
        // Answering possibly older rows beats refusing every read while Redis is away; a token still gives certainty.
        logger.warn('written positions not recalled', { tenantId, error })
        return null
      }
    },
  }
}

function fromHash({ generation, ...fields }: Record<string, string>): LogPositions | null {
  if (!generation) return null
  const positions: Record<string, Record<string, number>> = {}
  for (const [field, position] of Object.entries(fields)) {
    const slash = field.lastIndexOf('/')
    const topic = field.slice(0, slash)
    positions[topic] ??= {}
    positions[topic][field.slice(slash + 1)] = Number(position)
  }
  return { generation: Number(generation), positions }
}
