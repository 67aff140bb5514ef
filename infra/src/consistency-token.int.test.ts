import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import type { Redis } from 'ioredis'
import { createWrittenPositions } from './consistency-token.ts'
import { createLogger } from './log.ts'
import { createRedis, redisIsReady } from './redis.ts'

const bookings = 'bookings.events.v1'
const logger = createLogger({ process: 'test', level: 'error' })

describe('the positions a principal wrote last', () => {
  const keyPrefix = `test:${randomUUID()}:`
  let redis: Redis

  before(async () => {
    redis = createRedis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', 'command', logger)
    await redisIsReady(redis, 5000)
  })
  after(() => redis.disconnect())

  it('are remembered for that principal of that tenant only, for a minute', async () => {
    const written = createWrittenPositions({ redis, keyPrefix, logger })
    await written.remember('coffeechain', 'member:CC1', { generation: 1, positions: { [bookings]: { '3': 17 } } })
    expect(await written.recall('coffeechain', 'member:CC1')).to.deep.equal({
      generation: 1,
      positions: { [bookings]: { '3': 17 } },
    })
    expect(await written.recall('coffeechain', 'member:CC2')).to.equal(null)
    expect(await written.recall('teachain', 'member:CC1')).to.equal(null)
    expect(await redis.ttl(`${keyPrefix}written:coffeechain:member:CC1`)).to.be.within(55, 60)
  })

  it('never go back when answers finish out of order', async () => {
    const written = createWrittenPositions({ redis, keyPrefix, logger })
    await written.remember('t', 'p', { generation: 1, positions: { [bookings]: { '0': 10 } } })
    await written.remember('t', 'p', { generation: 1, positions: { [bookings]: { '0': 9, '1': 4 } } })
    expect(await written.recall('t', 'p')).to.deep.equal({
      generation: 1,
      positions: { [bookings]: { '0': 10, '1': 4 } },
    })
  })

  it('of an older generation of the log give way to a newer one and cannot replace it', async () => {
    const written = createWrittenPositions({ redis, keyPrefix, logger })
    await written.remember('t', 'g', { generation: 1, positions: { [bookings]: { '0': 100 } } })
    await written.remember('t', 'g', { generation: 2, positions: { [bookings]: { '0': 7 } } })
    await written.remember('t', 'g', { generation: 1, positions: { [bookings]: { '0': 101 } } })
    expect(await written.recall('t', 'g')).to.deep.equal({ generation: 2, positions: { [bookings]: { '0': 7 } } })
  })

  it('are unknown, and writing them is no error, while Redis is away', async () => {
    const away = createRedis('redis://127.0.0.1:1', 'command', createLogger({ process: 'test', level: 'none' }))
    const written = createWrittenPositions({
      redis: away,
      keyPrefix,
      logger: createLogger({ process: 'test', level: 'none' }),
    })
    await written.remember('t', 'p', { generation: 1, positions: { [bookings]: { '0': 1 } } })
    expect(await written.recall('t', 'p')).to.equal(null)
    away.disconnect()
  })
})
