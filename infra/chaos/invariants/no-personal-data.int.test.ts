// P15's judge on real servers: a name is planted in each place where one must never stand, and it has to be found there.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import pg from 'pg'
import { noPersonalData } from './no-personal-data.ts'
import { soundWorld } from './sound-world.ts'
import type { World } from './world.ts'

const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'

describe('the search for personal data', function () {
  this.timeout(60_000)
  let write: TestDatabase
  let read: TestDatabase
  let log: TestTopics
  let folder: string
  let world: World
  const redis = new Redis(redisUrl)
  before(async () => {
    ;[write, read] = await Promise.all([testDatabase('write'), testDatabase('read')])
    log = testTopics()
    folder = mkdtempSync(`${tmpdir()}/logs-`)
    world = soundWorld()
    Object.assign(world.evidence, {
      writeUrl: write.adminUrl,
      readUrl: read.adminUrl,
      kafka: { brokers: log.brokers, topicPrefix: log.prefix },
      redis: { url: redisUrl, keyPrefix: log.prefix },
      logFolder: folder,
      personalData: ['Zaphodina "Z" Quuxworth', 'zaphodina.q@example.org'],
    })
  })
  after(async () => {
    await redis.del(`${log.prefix}jobs`)
    redis.disconnect()
    rmSync(folder, { recursive: true, force: true })
    await Promise.all([write?.drop(), read?.drop(), log?.drop()])
  })
  const found = async () => (await noPersonalData.check(world)).violations.map(({ what }) => what)

  it('finds nothing where nothing is', async () => {
    writeFileSync(`${folder}/workers.1.log`, '{"message":"step ended"}\n')
    expect(await found()).to.deep.equal([])
  })

  it('finds what was planted, in every place, as it was sent or as JSON writes it', async () => {
    writeFileSync(`${folder}/workers.2.log`, '{"message":"x"}\n{"message":"zaphodina.Q@example.org"}\n')
    await run(
      write,
      `insert into parked_events (consumer, tenant_id, stream, stream_version, envelope)
      values ('c', 't', 's', 1, '{"name":"Zaphodina \\"Z\\" Quuxworth"}')`,
    )
    await run(read, `insert into tenants_1.tenants values ('t', 'zaphodina.q@example.org', '{}', 1)`)
    await redis.hset(`${log.prefix}jobs`, '1', '{"name":"Zaphodina \\"Z\\" Quuxworth"}')
    const [topic = ''] = await log.create([topics.bookings], 1)
    const producer = await log.kafka.createProducer()
    await producer.send([
      { topic, partition: 0, key: 's', value: '"zaphodina.q@example.org"', headers: { position: '1' } },
    ])
    await producer.disconnect()
    const places = (await found()).map((what) => what.split(' ')[0]).sort()
    expect(places).to.deep.equal(['Kafka', 'Redis', 'read', 'workers.2.log:2', 'write'])
  })
})

async function run({ adminUrl }: TestDatabase, text: string): Promise<void> {
  const client = new pg.Client(adminUrl)
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
