import { randomUUID } from 'node:crypto'
import { type AddressInfo, connect, createServer } from 'node:net'
import { Writable } from 'node:stream'
import { expect } from 'chai'
import { createJobs, type Jobs } from './jobs.ts'
import { createLogger } from './log.ts'
import { createRedis } from './redis.ts'
import { createMetrics } from './telemetry.ts'

const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
// Failing jobs are part of these tests; their log lines would only look like trouble.
const logger = createLogger({
  process: 'test',
  destination: new Writable({ write: (_line, _encoding, done) => done() }),
})

const LONGER_THAN_A_COMMAND_MS = 800

async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 8_000
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('job queues', () => {
  const keyPrefix = `test-${randomUUID()}:`
  let jobs: Jobs
  let metrics: ReturnType<typeof createMetrics>

  beforeEach(() => {
    metrics = createMetrics('test')
    jobs = createJobs({ redisUrl, keyPrefix, logger, metrics })
  })

  afterEach(async () => {
    await jobs.close(2_000)
    const redis = createRedis(redisUrl, 'blocking', logger)
    const keys = await redis.keys(`${keyPrefix}*`)
    if (keys.length > 0) await redis.del(...keys)
    redis.disconnect()
  })

  it('run a job once under its id however often it was added, and let the id be used again afterwards', async () => {
    const queue = jobs.queue<{ n: number }>('once')
    const job = { name: 'count', id: 'coffeechain/booking-1/deduct/1', data: { n: 1 } }
    await queue.add([job, job])
    await queue.add([job])
    const seen: number[] = []
    const gone: string[] = []
    jobs.work<{ n: number }>({
      queue: 'once',
      concurrency: 2,
      handle: async ({ data }) => {
        seen.push(data.n)
        return undefined
      },
      onGone: ({ id }) => gone.push(id),
    })
    await until(() => gone.length === 1, 'the job is gone')
    await queue.add([job])
    await until(() => gone.length === 2, 'the job ran again')
    expect(seen).to.deep.equal([1, 1])
  })

  it('keep a job until it is due, and can take it out before', async () => {
    const queue = jobs.queue<null>('delayed')
    await queue.add(['a', 'b'].map((id) => ({ name: 'later', id, data: null, delayMs: 60_000 })))
    expect(await queue.depth()).to.include({ delayed: 2 })
    await queue.remove(['a', 'never-there'])
    expect(await queue.depth()).to.include({ delayed: 1 })
  })

  it('run a job again later when its handler asks for that', async () => {
    const queue = jobs.queue<null>('again')
    const runs: number[] = []
    await queue.add([{ name: 'busy', id: 'again/1', data: null }])
    jobs.work({
      queue: 'again',
      concurrency: 1,
      handle: async () => {
        runs.push(Date.now())
        return runs.length < 3 ? { againInMs: 60 } : undefined
      },
    })
    await until(() => runs.length === 3, 'the third run')
    expect((runs[1] ?? 0) - (runs[0] ?? 0)).to.be.at.least(55)
  })

  it('remove a job that failed for good, so that it can be added again', async () => {
    const queue = jobs.queue<null>('failing')
    let runs = 0
    const gone: number[] = []
    const job = { name: 'bad', id: 'bad/1', data: null, attempts: 2, retryMs: 10 }
    await queue.add([job])
    jobs.work({
      queue: 'failing',
      concurrency: 1,
      handle: async () => {
        runs += 1
        throw new Error('no')
      },
      onGone: ({ run }) => gone.push(run),
    })
    await until(() => gone.length === 1, 'the job is given up')
    expect(runs).to.equal(2)
    expect(await queue.depth()).to.deep.equal({ waiting: 0, delayed: 0, active: 0 })
    await queue.add([job])
    await until(() => gone.length === 2, 'the same id ran again')
  })

  it('count what they did', async () => {
    const queue = jobs.queue<null>('counted')
    await queue.add([{ name: 'fine', data: null }])
    let done = 0
    jobs.work({ queue: 'counted', concurrency: 1, handle: async () => undefined, onGone: () => (done += 1) })
    await until(() => done === 1, 'the job is done')
    expect(await metrics.registry.metrics()).to.match(
      /job_duration_seconds_count\{[^}]*job="fine",outcome="done"[^}]*\} 1/,
    )
  })

  it('work again after Redis was too slow for their very first question', async () => {
    const slow = await slowForVersion()
    const late = createJobs({ redisUrl: slow.url, keyPrefix, logger, metrics })
    try {
      const queue = late.queue<{ n: number }>('late')
      await until(() => slow.hasWithheld(), 'the version was asked for')
      await until(async () => (await queue.depth().catch(() => null)) !== null, 'the queue can be used')
      await queue.add([{ name: 'count', id: 'late/1', data: { n: 1 } }])
      expect(await queue.depth()).to.include({ waiting: 1 })
    } finally {
      await late.close(2_000)
      await slow.close()
    }
  })

  it('refuse at once when Redis is away, instead of queueing', async () => {
    const away = createJobs({
      redisUrl: 'redis://127.0.0.1:1',
      keyPrefix,
      logger,
      metrics: createMetrics('test'),
    })
    const startedAt = Date.now()
    const failure = await away
      .queue('away')
      .add([{ name: 'lost', data: null }])
      .then(
        () => null,
        (error: unknown) => error,
      )
    expect(failure).to.be.instanceOf(Error)
    expect(Date.now() - startedAt).to.be.below(3_000)
    await away.close(100)
  })
})

/** Redis, but once the second INFO of a connection is answered too late: the first is ioredis's own, the second BullMQ's. */
async function slowForVersion(): Promise<{ url: string; hasWithheld(): boolean; close(): Promise<void> }> {
  const target = new URL(redisUrl)
  let hasWithheld = false
  const server = createServer((caller) => {
    const redis = connect(Number(target.port), target.hostname)
    let asked = 0
    for (const socket of [caller, redis]) socket.on('error', () => undefined)
    caller.on('data', (data: Buffer) => {
      asked += data.toString('latin1').match(/\$4\r\ninfo/gi)?.length ?? 0
      if (asked < 2 || hasWithheld) return void redis.write(data)
      hasWithheld = true
      caller.pause()
      setTimeout(() => {
        redis.write(data)
        caller.resume()
      }, LONGER_THAN_A_COMMAND_MS)
    })
    redis.pipe(caller)
    caller.once('close', () => redis.destroy())
    redis.once('close', () => caller.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `redis://127.0.0.1:${port}`,
    hasWithheld: () => hasWithheld,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
