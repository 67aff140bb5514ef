/**
 * P5 and P3 under fire: two projection processes share a log while poisoned events park streams, retries are asked for all
 * the time, and the processes are killed at random: anywhere, and between what they wrote and its commit, while they apply,
 * park or retry. Each kill hands partitions to the other process in the middle of things. In the end every stream was seen
 * once, whole and in order.
 *
 * Seen failing: with the checkpoint moved in a transaction of its own before the rows (events skipped); with parked streams
 * not noticed (nothing goes on behind them); with a retry that deletes its events before they are applied (events skipped).
 */
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { type EventLog, type NewEvent, testLog } from '@portolan/infra/testing/event-log.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'
import { createRandom, pause } from './busy-log.ts'

const [partitions, streams, rounds] = [4, 12, 80]
/** Kafka notices each after six seconds. */
const killsWanted = Number(process.env.KILLS ?? 2)

describe('P5: projections that are killed while streams are parked and retried', () => {
  let read: TestDatabase
  let admin: pg.Client
  let kafkaTopics: TestTopics
  let log: EventLog
  let isOver = false
  let kills = 0
  const random = createRandom()
  const processes: StartedProcess[] = []

  before(async () => {
    read = await testDatabase('read')
    admin = new pg.Client(read.adminUrl)
    await admin.connect()
    await admin.query(`
      create schema tally_1;
      create table tally_1.tally (tenant_id text, stream text, seen bigint[], primary key (tenant_id, stream));
      create table tally_1.repaired (tenant_id text);
      select secure_read_tables('tally', 1)`)
    kafkaTopics = testTopics()
    await kafkaTopics.create([topics.bookings], partitions)
    log = await testLog(kafkaTopics.kafka, kafkaTopics.prefix, partitions)
  })
  after(async () => {
    isOver = true
    await Promise.all(processes.map((running) => running.kill()))
    await log.close()
    await kafkaTopics.drop()
    await admin.end()
    await read.drop()
  })

  /** isDoomed: it ends itself before one of its next commits. */
  const startTally = (isDoomed: boolean) =>
    startProcess({
      name: 'tally',
      entry: 'infra/e2e/tally-process.ts',
      env: {
        READ_DATABASE_URL: read.urlAs('portolan_projections'),
        KAFKA_BROKERS: kafkaTopics.brokers.join(','),
        KAFKA_TOPIC_PREFIX: kafkaTopics.prefix,
        KILL_POINT: isDoomed ? `before-commit:${1 + Math.floor(random() * 25)}` : undefined,
      },
    })

  /** Kills one now and then, as long as there are kills left, and replaces whatever ended. */
  async function disturb(): Promise<void> {
    while (!isOver) {
      const isKilling = kills < killsWanted
      const ends = processes.map(({ exited }, n) => exited.then(() => n))
      let ended = await Promise.race([pause(isKilling ? 1000 + random() * 7000 : 200).then(() => null), ...ends])
      if (ended === null && isKilling) {
        ended = Math.floor(random() * processes.length)
        await processes[ended]?.kill()
      }
      if (ended === null || isOver) continue
      kills += 1
      processes[ended] = await startTally(kills < killsWanted)
    }
  }

  async function askForRetries(): Promise<void> {
    while (!isOver) {
      await admin.query('update parked_streams set retry_requested_at = now() where retry_requested_at is null')
      await pause(50)
    }
  }

  const seen = async () => {
    const { rows } = await admin.query<{ stream: string; seen: string[] }>('select stream, seen from tally_1.tally')
    return Object.fromEntries(rows.map((row) => [row.stream, row.seen.map(Number)]))
  }

  it('apply every event once and in order', async () => {
    processes.push(...(await Promise.all([startTally(true), startTally(true)])))
    const disturbance = disturb()
    const asking = askForRetries()
    const expected: Record<string, number[]> = {}
    for (let round = 0; round < rounds; round += 1) {
      const events = Array.from({ length: streams }, (_, n): NewEvent => {
        const stream = `stream-${n}`
        expected[stream] = [...(expected[stream] ?? []), round + 1]
        // Every third stream is poisoned now and then, the others never.
        const isPoison = n % 3 === 0 && random() < 0.1
        return { topic: topics.bookings, stream, type: 'Counted', data: { isPoison } }
      })
      await log.append(...events)
      await pause(50)
    }
    const isParked = async () => (await admin.query('select from parked_streams')).rows.length === streams / 3
    await eventually(isParked, { withinMs: 30_000 })
    await eventually(() => kills >= killsWanted, { withinMs: 60_000 })
    const well = Object.entries(expected).filter((_, n) => n % 3 !== 0)
    await eventually(async () => expect(await seen()).to.deep.include(Object.fromEntries(well)), { withinMs: 30_000 })

    await admin.query("insert into tally_1.repaired values ('now')")
    await eventually(async () => expect(await seen()).to.deep.equal(expected), { withinMs: 40_000, everyMs: 100 })
    isOver = true
    await Promise.all([disturbance, asking])
    console.log(`      ${rounds * streams} events, ${kills} kills`)
    expect((await admin.query('select from parked_events')).rows).to.deep.equal([])
  })
}).timeout(120_000)
