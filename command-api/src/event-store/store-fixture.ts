/** For tests: a store on a database of its own, and counters as the simplest possible streams. */
import { randomBytes } from 'node:crypto'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import type { Rejection } from '@portolan/schemas/errors.ts'
import { type EventOf, event } from '@portolan/schemas/event-catalogue.ts'
import { type OpenStep, stepEvents } from '@portolan/schemas/steps.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { z } from 'zod'
import { type EventStoreOptions, openEventStore } from './event-store.ts'
import type { CommandContext } from './handle-command.ts'
import type { IdempotencyScope } from './idempotency.ts'
import { evolveSteps } from './steps.ts'
import type { StreamType } from './stream-type.ts'

const counterEvents = {
  Added: event(z.object({ amount: z.int(), at: z.string().optional() })),
  WorkWanted: event(z.object({ step: z.string(), attempt: z.int() })),
  WorkDropped: event(z.object({})),
  ...stepEvents,
} as const
export type CounterEvent = EventOf<typeof counterEvents>

export interface Counter {
  sum: number
  wanted: { step: string; attempt: number } | null
  open: readonly OpenStep[]
}

/** Adds up amounts, and wants at most one step. */
export const counterType: StreamType<Counter, CounterEvent> = {
  topic: topics.bookings,
  catalogue: counterEvents,
  initialState: () => ({ sum: 0, wanted: null, open: [] }),
  evolve(counter, event) {
    const open = evolveSteps(counter.open, event)
    if (event.type === 'Added') return { ...counter, open, sum: counter.sum + event.data.amount }
    if (event.type === 'WorkWanted') return { ...counter, open, wanted: event.data }
    if (event.type === 'WorkDropped') return { ...counter, open, wanted: null }
    return { ...counter, open }
  },
  next: ({ wanted }) =>
    wanted
      ? [
          {
            ...wanted,
            dueAt: '2026-01-01T00:00:00.000Z',
            deadline: '2026-01-02T00:00:00.000Z',
            input: { of: wanted.step },
          },
        ]
      : [],
  openSteps: ({ open }) => [...open],
}

export const added = (amount = 1): CounterEvent => ({ type: 'Added', data: { amount } })

export const contextOf = (tenantId = 'harbour'): CommandContext => ({
  tenantId,
  actor: { kind: 'service', id: 'test' },
  correlationId: `test-${randomBytes(4).toString('hex')}`,
  causationId: null,
})

/** Starts a counter's stream, or goes on with one that exists after all. */
export const start = (on: Store, stream: string, idempotency?: IdempotencyScope, tenantId?: string) =>
  on.handle({
    context: contextOf(tenantId),
    streams: { counter: { type: counterType, stream, isNew: true } },
    decide: () => ({ events: { counter: [added()] } }),
    idempotency,
  })

/** Appends to a counter's stream. */
export const add = (on: Store, stream: string, events: CounterEvent[] = [added()]) =>
  on.handle({
    context: contextOf(),
    streams: { counter: { type: counterType, stream } },
    decide: () => ({ events: { counter: events } }),
  })

/** What a command is refused with; fails when it is not refused. */
export const rejectionOf = (promise: Promise<unknown>): Promise<Rejection> =>
  promise.then(
    () => expect.fail('was not rejected'),
    (error: unknown) => error as Rejection,
  )

export type Fixture = Awaited<ReturnType<typeof createStoreFixture>>
export type Store = Awaited<ReturnType<Fixture['open']>>

/** A database and as many stores on it as asked for, each with connections of its own, as if in processes of their own. */
export async function createStoreFixture() {
  const database: TestDatabase = await testDatabase('write')
  const keyPrefix = `${database.name}:`
  const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
  const logger = createLogger({ process: 'store-test', level: 'error' })
  const admin = createPool({ url: database.adminUrl, max: 4, name: 'store-test-admin' }, logger)
  const closers: (() => Promise<unknown>)[] = []

  async function open(options: EventStoreOptions = {}) {
    const pool = createPool({ url: database.url, max: 4, name: 'store-test', pipeline: true }, logger)
    const appendPool = createPool({ url: database.url, max: 4, name: 'store-test-append' }, logger)
    const redis = createRedis(redisUrl, 'command', logger)
    const subscriber = createRedis(redisUrl, 'subscriber', logger)
    const metrics = createMetrics('store-test')
    const deps = { pool, appendPool, redis, subscriber, keyPrefix, logger, metrics }
    const store = await openEventStore(deps, { partitions: 4, ...options })
    closers.push(async () => {
      await store.stop()
      redis.disconnect()
      subscriber.disconnect()
      await Promise.all([pool.end(), appendPool.end()])
    })
    return { ...store, ...deps }
  }

  async function close(): Promise<void> {
    for (const closeOne of closers) await closeOne()
    await admin.end()
    await database.drop()
  }

  return { database, admin, open, close, keyPrefix, logger }
}
