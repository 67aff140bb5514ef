/** What a command costs in round trips to the database, counted on the wire: a proxy between pools and server. */

import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server } from 'node:net'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { expect } from 'chai'
import { openEventStore } from './event-store.ts'
import { hashBody, type IdempotencyScope } from './idempotency.ts'
import { added, type CounterEvent, contextOf, counterType, createStoreFixture } from './store-fixture.ts'

describe('a command costs', () => {
  let fixture: Awaited<ReturnType<typeof createStoreFixture>>
  let store: Awaited<ReturnType<typeof openEventStore>>
  let proxy: Server
  let roundTrips = 0
  let close = async () => {}
  let nextId = 0

  before(async () => {
    fixture = await createStoreFixture()
    const url = new URL(fixture.database.url)
    const target = { port: Number(url.port || 5432), host: url.hostname }
    proxy = createServer((client) => {
      const server = connect(target)
      let isWaiting = false
      client.on('data', (chunk) => {
        // Waking the relay is nobody's round trip: it happens after the answer.
        if (!isWaiting && !chunk.includes('notify')) roundTrips += 1
        isWaiting = true
        server.write(chunk)
      })
      server.on('data', (chunk) => {
        isWaiting = false
        client.write(chunk)
      })
      for (const [socket, peer] of [[client, server] as const, [server, client] as const]) {
        socket.on('error', () => peer.destroy())
        socket.on('close', () => peer.destroy())
      }
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    url.port = String((proxy.address() as AddressInfo).port)
    const { logger, keyPrefix } = fixture
    const pool = createPool({ url: url.href, max: 1, name: 'round-trips', pipeline: true }, logger)
    const appendPool = createPool({ url: url.href, max: 3, name: 'round-trips-append' }, logger)
    const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
    const redis = createRedis(redisUrl, 'command', logger)
    const subscriber = createRedis(redisUrl, 'subscriber', logger)
    const clock = { now: () => new Date().toISOString(), stop: () => {} }
    const metrics = createMetrics('test')
    store = await openEventStore(
      { pool, appendPool, redis, subscriber, keyPrefix, logger, metrics },
      { clock, partitions: 4 },
    )
    close = async () => {
      await store.stop()
      redis.disconnect()
      subscriber.disconnect()
      await Promise.all([pool.end(), appendPool.end()])
    }
    // Opens all connections: connecting is no part of a command.
    await Promise.all([1, 2, 3].map(() => appendPool.query('select pg_sleep(0.05)')))
    await start('warm-1')
    await add('warm-1')
  })
  after(async () => {
    await close()
    proxy.close()
    await fixture.close()
  })

  const wanted: CounterEvent = { type: 'WorkWanted', data: { step: 's', attempt: 1 } }
  const start = (stream: string, idempotency?: IdempotencyScope) =>
    store.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream, isNew: true } },
      decide: () => ({ events: { counter: [added(), wanted] } }),
      idempotency,
    })
  const add = (stream: string, idempotency?: IdempotencyScope) =>
    store.handle({
      context: contextOf(),
      streams: { first: { type: counterType, stream }, second: { type: counterType, stream: `${stream}-b` } },
      decide: () => ({ events: { first: [added()], second: [added()] } }),
      idempotency,
    })
  const scope = (key: string): IdempotencyScope => {
    return { principal: 'p', method: 'POST', path: '/', key, bodyHash: hashBody(null), reference: key }
  }
  const costOf = async (command: () => Promise<unknown>) => {
    const before = roundTrips
    await command()
    return roundTrips - before
  }

  it('one round trip when it starts a stream and reads nothing else, with steps and an idempotency key', async () => {
    const stream = `cost-${++nextId}`
    expect(await costOf(() => start(stream, scope(stream)))).to.equal(1)
  })

  it('two when it loads streams, looks a key up and appends to several', async () => {
    const stream = `cost-${++nextId}`
    await start(stream)
    expect(await costOf(() => add(stream, scope(stream)))).to.equal(2)
  })

  it('one when a repetition finds its record', async () => {
    const stream = `cost-${++nextId}`
    await add(stream, scope(stream))
    expect(await costOf(() => add(stream, scope(stream)))).to.equal(1)
  })

  it('one together when many commands start streams at once', async () => {
    const many = () => Promise.all(Array.from({ length: 40 }, () => start(`cost-${++nextId}`)))
    expect(await costOf(many)).to.equal(1)
  })
})
