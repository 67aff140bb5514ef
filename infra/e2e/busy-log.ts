/**
 * A log under load, for the tests of P2 and P3: writer processes, relays and a projection, all of them killed at random, and
 * other people's transactions held open. And what must be true of it afterwards.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { consume, type RunningConsumer } from '@portolan/infra/consumer/consume.ts'
import { createPostgresSink } from '@portolan/infra/consumer/project.ts'
import type { ProjectedEvent, Projection } from '@portolan/infra/consumer/projection.ts'
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import type { TestDatabase } from '@portolan/infra/testing/database.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'

const logger = createLogger({ process: 'test', level: process.env.LOG_LEVEL ?? 'none' })

/** Numbers in [0, 1) from a seed (mulberry32); the seed is printed so that a failure can be repeated. */
export function createRandom(seed = Number(process.env.SEED ?? Date.now() % 1_000_000)): () => number {
  console.log(`      seed ${seed}`)
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export interface LogAddress {
  /** As portolan_command_api. */
  writeUrl: string
  /** As administrator. */
  adminUrl: string
  brokers: string
  topicPrefix: string
  /** Folder for the writers' acknowledgements. */
  ackFolder: string
}

export function startWriter(at: LogAddress, random: () => number): Promise<StartedProcess> {
  const seed = Math.floor(random() * 1_000_000)
  return startProcess({
    entry: 'command-api/src/event-store/random-writer.ts',
    env: {
      WRITE_DATABASE_URL: at.writeUrl,
      REDIS_KEY_PREFIX: at.topicPrefix,
      SEED: String(seed),
      ACK_FILE: `${at.ackFolder}/${seed}`,
    },
  })
}

export function startRelay(at: LogAddress): Promise<StartedProcess> {
  return startProcess({
    entry: 'command-api/src/relay.ts',
    env: {
      WRITE_DATABASE_URL: at.writeUrl,
      KAFKA_BROKERS: at.brokers,
      KAFKA_TOPIC_PREFIX: at.topicPrefix,
      RELAY_PORT: '0',
      RELAY_POLL_MS: '200',
      RELAY_LEASE_MS: '1000',
      LOG_LEVEL: 'warn',
    },
  })
}

/** Kills -9 or holds still one process after the other until stopped; a killed one is started again at once. */
export function disturb(
  processes: { current: StartedProcess; start(): Promise<StartedProcess> }[],
  random: () => number,
) {
  let isStopping = false
  let kills = 0
  const run = async () => {
    while (!isStopping) {
      await pause(200 + random() * 600)
      const victim = processes[Math.floor(random() * processes.length)]
      if (!victim || isStopping) continue
      if (random() < 0.25) {
        // Longer than the lease: a leading relay is replaced and wakes with a batch in hand.
        victim.current.pause()
        await pause(1300)
        victim.current.resume()
      } else {
        await victim.current.kill()
        kills += 1
        victim.current = await victim.start()
      }
    }
  }
  const running = run()
  return {
    kills: () => kills,
    async stop() {
      isStopping = true
      await running
    },
  }
}

/** Other people's transactions: row locks on streams that writers want, and snapshots held for a second. */
export function holdTransactionsOpen(adminUrl: string, random: () => number) {
  let isStopping = false
  const hold = async (begin: string, query: string, heldMs: () => number) => {
    const client = new pg.Client(adminUrl)
    client.on('error', () => {})
    await client.connect()
    while (!isStopping) {
      await client.query(begin)
      await client.query(query.replace('?', String(Math.floor(random() * 20))))
      await pause(heldMs())
      await client.query('commit')
      await pause(random() * 100)
    }
    await client.end()
  }
  const running = Promise.all([
    hold('begin', `select from streams where stream = 'hot-?' for update`, () => random() * 250),
    hold('begin', `select from streams where stream = 'hot-?' for update`, () => random() * 50),
    hold('begin isolation level repeatable read', 'select count(*) from log_heads -- ?', () => 1000),
  ])
  return {
    async stop() {
      isStopping = true
      await running
    },
  }
}

/** Counts events per stream and every step that was not the next one. */
const order: Projection = {
  name: 'order',
  version: 1,
  handles: { [topics.bookings]: ['Added'] },
  async apply(events, tx) {
    const runs = [...Map.groupBy(events, ({ tenantId, stream }) => `${tenantId} ${stream}`).values()].map(runOf)
    await tx.query({
      text: `insert into ${tx.schema}.order_seen as o (tenant_id, stream, seen, stream_version, disorder)
             select tenant_id, stream, seen, last, disorder + (first <> 1)::int
             from jsonb_to_recordset($1) as r(tenant_id text, stream text, seen int, first int, last int, disorder int)
             on conflict (tenant_id, stream) do update
             set seen = o.seen + excluded.seen, stream_version = excluded.stream_version,
                 disorder = o.disorder + (select r.disorder + (r.first <> o.stream_version + 1)::int
                   from jsonb_to_recordset($1) as r(tenant_id text, stream text, first int, disorder int)
                   where r.tenant_id = o.tenant_id and r.stream = o.stream)`,
      values: [JSON.stringify(runs)],
    })
  },
}

function runOf(events: ProjectedEvent[]) {
  const versions = events.map(({ streamVersion }) => streamVersion)
  const disorder = versions.filter((version, index) => index > 0 && version !== (versions[index - 1] ?? 0) + 1).length
  return {
    tenant_id: events[0]?.tenantId,
    stream: events[0]?.stream,
    seen: events.length,
    first: versions[0],
    last: versions.at(-1),
    disorder,
  }
}

/** The projection, running in this process on a read database of its own. */
export async function startOrderProjection(database: TestDatabase, kafka: KafkaPort, topicPrefix: string) {
  const admin = new pg.Client(database.adminUrl)
  await admin.connect()
  await admin.query(`
    create schema order_1;
    create table order_1.order_seen (
      tenant_id text, stream text, seen bigint, stream_version bigint, disorder bigint, primary key (tenant_id, stream)
    );
    select secure_read_tables('order', 1)`)
  const pool = createPool({ url: database.urlAs('portolan_projections'), max: 4, name: 'order' }, logger)
  const readEvent = (_topic: string, { type, data }: { type: string; data: unknown }) => ({ type, data })
  const consumer: RunningConsumer = consume(
    { kafka, logger, metrics: createMetrics('test') },
    {
      name: 'order',
      groupId: `${topicPrefix}order`,
      topics: [topics.bookings],
      topicPrefix,
      sink: createPostgresSink({ pool, readEvent }, { projection: order, version: 1, generation: 1 }),
      waitDelaysMs: [100, 500],
      freshnessMs: 500,
    },
  )
  return {
    /** Waits until everything in the store was delivered, then compares. */
    async expectDelivered(adminUrl: string, withinMs = 30_000): Promise<void> {
      const heads = (
        await query(adminUrl, `select partition, position from log_heads where topic = '${topics.bookings}'`)
      ).map(({ partition, position }) => `${partition}/${position}`)
      await eventually(
        async () => {
          const { rows } = await admin.query('select partition, position from projection_checkpoints')
          expect(rows.map(({ partition, position }) => `${partition}/${position}`)).to.include.members(heads)
        },
        { withinMs },
      )
      expect(consumer.stopped()).to.deep.equal([])
      const { rows: seen } = await admin.query(
        'select tenant_id, stream, seen, stream_version, disorder from order_1.order_seen order by 1, 2',
      )
      const expected = await query(adminUrl, 'select tenant_id, stream, version from streams order by 1, 2')
      expect(seen).to.deep.equal(
        expected.map(({ tenant_id, stream, version }) => ({
          tenant_id,
          stream,
          seen: version,
          stream_version: version,
          disorder: '0',
        })),
      )
    },
    async stop() {
      await consumer.stop()
      await pool.end()
      await admin.end()
    },
  }
}

/** Positions dense from 1 to the head, versions dense in position order, and everything that was acknowledged is there. */
export async function expectWholeLog({
  adminUrl,
  ackFolder,
}: Pick<LogAddress, 'adminUrl' | 'ackFolder'>): Promise<number> {
  const gaps = await query(
    adminUrl,
    `select h.topic, h.partition, h.position, count(e.position), max(e.position)
     from log_heads h left join events e using (topic, partition)
     group by h.topic, h.partition, h.position
     having count(e.position) <> h.position or coalesce(max(e.position), 0) <> h.position`,
  )
  expect(gaps, 'partitions whose positions are not dense').to.deep.equal([])
  const disorder = await query(
    adminUrl,
    `select * from (
       select tenant_id, stream, stream_version,
         row_number() over (partition by tenant_id, stream order by position) as nth,
         min(partition) over (partition by tenant_id, stream) as low, max(partition) over (partition by tenant_id, stream) as high
       from events
     ) e where stream_version <> nth or low <> high limit 5`,
  )
  expect(disorder, 'events out of stream order').to.deep.equal([])
  const heads = await query(
    adminUrl,
    `select s.tenant_id, s.stream from streams s left join events e using (tenant_id, stream)
     group by s.tenant_id, s.stream, s.version having count(e.*) <> s.version limit 5`,
  )
  expect(heads, 'streams whose version is not their length').to.deep.equal([])
  const acknowledged = readdirSync(ackFolder).flatMap((file) =>
    // A killed writer may leave half a line.
    readFileSync(`${ackFolder}/${file}`, 'utf8')
      .split('\n')
      .filter((line) => line.split(' ').length === 3),
  )
  expect(acknowledged.filter((line) => line.startsWith('twice'))).to.deep.equal([])
  const stored = new Set(
    (await query(adminUrl, 'select tenant_id, stream, stream_version from events')).map(
      ({ tenant_id, stream, stream_version }) => `${tenant_id} ${stream} ${stream_version}`,
    ),
  )
  expect(acknowledged.length).to.be.greaterThan(100)
  expect(acknowledged.filter((line) => !stored.has(line)).slice(0, 5), 'acknowledged and lost').to.deep.equal([])
  expect(new Set(acknowledged).size, 'one version acknowledged twice').to.equal(acknowledged.length)
  return stored.size
}

/** Rows of one query on a connection of its own; counts and positions arrive as text. */
export async function query(url: string, text: string): Promise<Record<string, string>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

export const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))
