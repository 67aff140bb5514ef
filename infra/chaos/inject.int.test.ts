// Copies of jobs count as taken up only by workers. Sabotage: take an empty queue for that, whoever emptied it.
import { randomUUID } from 'node:crypto'
import { createJobs, type Jobs } from '@portolan/infra/jobs.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import type pg from 'pg'
import type { Evidence } from './evidence.ts'
import { inject } from './inject.ts'
import type { Laboratory } from './laboratory.ts'

const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent }
const requested = {
  tenantId: 'teahouse',
  stream: 'booking-1',
  eventId: 'event-1',
  data: { step: 'deduct' },
  metadata: {},
}

describe('copied jobs', () => {
  let keyPrefix: string
  let redis: Redis
  let jobs: Jobs | undefined
  beforeEach(() => {
    keyPrefix = `chaos-test-${randomUUID()}:`
    redis = new Redis(redisUrl)
  })
  afterEach(async () => {
    await jobs?.close(2_000)
    jobs = undefined
    await empty()
    redis.disconnect()
  })

  const keys = () => redis.keys(`${keyPrefix}*`)
  const empty = async () => redis.del('none', ...(await keys()))
  const injecting = () => {
    const lab: Partial<Laboratory> = {
      query: async <Row extends pg.QueryResultRow>() => [requested] as unknown as Row[],
      servers: { url: () => redisUrl } as Partial<Laboratory['servers']> as Laboratory['servers'],
      redisKeyPrefix: keyPrefix,
    }
    const planned = { fault: 'duplicate-jobs', atMs: 0, forMs: 0, target: '' } as const
    return inject(lab as Laboratory, {} as Evidence, planned, new AbortController().signal)
  }

  it('took effect once a worker has taken them up', async () => {
    const ids: string[] = []
    jobs = createJobs({ redisUrl, keyPrefix, logger: silent, metrics: createMetrics('test') })
    jobs.work({
      queue: 'steps',
      concurrency: 1,
      handle: async ({ id }) => {
        ids.push(id)
        return undefined
      },
    })
    expect((await injecting()).tookEffect).to.equal(true)
    await eventually(() => ids.length === 2)
    expect(ids).to.have.members(['copy-0-event-1', 'copy-1-event-1'])
  })

  it('took no effect when Redis was emptied before', async () => {
    const injected = injecting()
    await eventually(async () => (await keys()).some((key) => key.endsWith('copy-1-event-1')))
    await empty()
    expect((await injected).tookEffect).to.equal(false)
  })
})
