/**
 * A process that only writes, for the tests of P2 and P3: random commands through `handle`, from a seed, until it is stopped or
 * killed. What `handle` acknowledged is appended to ACK_FILE, one line per stream: tenant, stream, version.
 */
import { appendFileSync } from 'node:fs'
import { loadConfig, sharedFields } from '@portolan/infra/config.ts'
import { runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { z } from 'zod'
import { openEventStore } from './event-store.ts'
import { hashBody } from './idempotency.ts'
import { added, contextOf, counterType } from './store-fixture.ts'

const HOT_STREAMS = 20
const TENANTS = ['harbour', 'lighthouse', 'island']

const configSchema = z.object({
  redisUrl: sharedFields.redisUrl,
  redisKeyPrefix: sharedFields.redisKeyPrefix,
  writeDatabaseUrl: sharedFields.writeDatabaseUrl,
  seed: z.coerce.number().meta({ env: 'SEED', description: 'of the random commands' }),
  callers: z.coerce.number().default(8).meta({ env: 'CALLERS', description: 'commands under way at once' }),
  ackFile: z.string().meta({ env: 'ACK_FILE', description: 'where acknowledged versions go' }),
})

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

async function start(config: z.infer<typeof configSchema>) {
  const logger = createLogger({ process: 'random-writer', level: 'error' })
  const pool = createPool({ url: config.writeDatabaseUrl, max: 3, name: 'random-writer', pipeline: true }, logger)
  const appendPool = createPool(
    { url: config.writeDatabaseUrl, max: 4, name: 'random-writer-append', statementTimeoutMs: 10_000 },
    logger,
  )
  const redis = createRedis(config.redisUrl, 'command', logger)
  const subscriber = createRedis(config.redisUrl, 'subscriber', logger)
  const store = await openEventStore(
    { pool, appendPool, redis, subscriber, keyPrefix: config.redisKeyPrefix, logger, metrics: createMetrics('writer') },
    { partitions: 4 },
  )
  const random = createRandom(config.seed)
  const pick = (count: number) => Math.floor(random() * count)
  const events = () => Array.from({ length: 1 + pick(3) }, () => added())
  let number = 0
  let isStopping = false

  /** Commands to few streams and to new ones, to two streams at once, and repeated ones. */
  async function commandOnce(): Promise<void> {
    const tenantId = TENANTS[pick(TENANTS.length)] ?? ''
    const stream = random() < 0.5 ? `hot-${pick(HOT_STREAMS)}` : `new-${process.pid}-${++number}`
    const second = random() < 0.15 ? `hot-${pick(HOT_STREAMS)}` : stream
    const isRepeated = random() < 0.1
    const names = second === stream ? [stream] : [stream, second]
    const streams = Object.fromEntries(names.map((name) => [name, { type: counterType, stream: name }]))
    const decided = Object.fromEntries(names.map((name) => [name, events()]))
    const key = {
      principal: 'w',
      method: 'POST',
      path: '/',
      key: `${process.pid}-${++number}`,
      bodyHash: hashBody(null),
    }
    const run = () =>
      store.handle({
        context: contextOf(tenantId),
        streams,
        decide: () => ({ events: decided }),
        idempotency: isRepeated ? { ...key, reference: stream } : undefined,
      })
    const [handled, again] = await Promise.all([run(), isRepeated ? run() : null])
    for (const one of [handled, again]) {
      if (!one || one.replayed) continue
      for (const event of one.appended) {
        appendFileSync(config.ackFile, `${tenantId} ${event.stream} ${event.streamVersion}\n`)
      }
    }
    if (again && handled.replayed === again.replayed) appendFileSync(config.ackFile, `twice ${key.key} 0\n`)
  }

  async function call(): Promise<void> {
    while (!isStopping) {
      await commandOnce().catch(async (error) => {
        // Contended streams may be refused; a lost database comes back.
        if (!(error instanceof Rejection)) await new Promise((resolve) => setTimeout(resolve, 100))
      })
    }
  }
  const calls = Array.from({ length: config.callers }, call)
  return {
    url: 'none',
    async stop() {
      isStopping = true
      await Promise.all(calls)
      await store.stop()
      redis.disconnect()
      subscriber.disconnect()
      await Promise.all([pool.end(), appendPool.end()])
    },
  }
}

if (import.meta.main) await runProcess('random-writer', () => start(loadConfig(configSchema)))
