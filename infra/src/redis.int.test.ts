// Sabotage seen to fail: giving the command connection the options of a blocking one (it waited for Redis).
import { expect } from 'chai'
import type { Redis } from 'ioredis'
import { createRateLimiter } from './http/rate-limit.ts'
import { createRedis, redisIsReady } from './redis.ts'
import { createMetrics, type Metrics } from './telemetry.ts'
import { eventually } from './testing/eventually.ts'
import { createRecordingLogger, type RecordingLogger } from './testing/recording-logger.ts'
import { type OwnRedis, startOwnRedis } from './testing/redis-server.ts'

describe('Redis', () => {
  let server: OwnRedis
  let command: Redis
  let logger: RecordingLogger
  let metrics: Metrics

  beforeEach(async () => {
    server = await startOwnRedis()
    logger = createRecordingLogger()
    metrics = createMetrics('test')
    command = createRedis(server.url, 'command', logger)
    expect(await redisIsReady(command, 5000)).to.equal(true)
  })
  afterEach(async () => {
    command.disconnect()
    await server.stop()
  })

  it('that is away makes a command fail at once, says so once, and is used again when it is back', async () => {
    await server.stop()
    await eventually(() => command.status !== 'ready')
    const startedAt = performance.now()
    const failure = await command.get('x').catch((error) => error)
    expect(failure).to.be.instanceOf(Error)
    expect(performance.now() - startedAt).to.be.below(100)
    expect(await redisIsReady(command, 10)).to.equal(false)
    await eventually(() => logger.lines.length > 0)
    await server.start()
    expect(await redisIsReady(command, 5000)).to.equal(true)
    expect(await command.set('x', '1')).to.equal('OK')
    expect(logger.lines.map(({ message }) => message)).to.deep.equal(['redis is away', 'redis is back'])
  })

  it('that comes back is subscribed to again', async () => {
    const subscriber = createRedis(server.url, 'subscriber', logger)
    const heard: string[] = []
    subscriber.on('message', (_channel, message) => heard.push(message))
    await subscriber.subscribe('news')
    await server.stop()
    await server.start()
    await redisIsReady(command, 5000)
    await eventually(async () => (await command.publish('news', 'again')) === 1)
    await eventually(() => heard.includes('again'))
    subscriber.disconnect()
  })

  it('counts requests of all instances against one limit', async () => {
    const deps = { redis: command, keyPrefix: 'test:', metrics }
    const [one, other] = [createRateLimiter(deps), createRateLimiter(deps)]
    expect(await one('tenant:a', 3)).to.deep.include({ allowed: true, limit: 3, remaining: 2, retryAfterSeconds: null })
    expect(await other('tenant:a', 3)).to.deep.include({ allowed: true, remaining: 1 })
    expect(await one('tenant:a', 3)).to.deep.include({ allowed: true, remaining: 0 })
    const refused = await other('tenant:a', 3)
    expect(refused).to.deep.include({ allowed: false, remaining: 0 })
    expect(refused.retryAfterSeconds).to.be.within(1, 60)
    expect(refused.resetAtSeconds - Date.now() / 1000).to.be.within(0, 61)
    expect((await one('tenant:b', 3)).allowed, "another tenant's limit").to.equal(true)
  })

  it('that is away leaves each process limiting by itself, until it is back', async () => {
    const limiter = createRateLimiter({ redis: command, keyPrefix: 'test:', metrics })
    await limiter('tenant:a', 2)
    await server.stop()
    await eventually(() => command.status !== 'ready')
    const away = [await limiter('tenant:a', 2), await limiter('tenant:a', 2), await limiter('tenant:a', 2)]
    expect(away.map(({ allowed }) => allowed)).to.deep.equal([true, true, false])
    expect(await metrics.registry.getSingleMetricAsString('portolan_rate_limit_requests_total')).to.match(
      /outcome="refused",counter="own"[^\n]* 1/,
    )
    await server.start()
    await redisIsReady(command, 5000)
    expect((await limiter('tenant:a', 2)).allowed).to.equal(true)
  })
})
