/**
 * Relay alone and projections alone: events per second from the table to the topic, then from the topic to the rows.
 *
 *   npm run bench -- rails [events, default 110000]
 *
 * Each is timed from its ready line, so its election or its joining of a group is part of it, to the last event; of the read models
 * the slowest counts. Yardsticks: for the relay a producer alone with the same records in the same batches; for the projections COPY
 * of the same rows into tables like theirs, indexes included.
 */
import { availableParallelism, loadavg } from 'node:os'
import { createKafka, type KafkaPort } from '@portolan/infra/kafka.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'
import { topics } from '@portolan/schemas/topics.ts'
import pg from 'pg'
import { type DatabaseUrls, prepareDatabases, READ_DATABASE, urlOf, WRITE_DATABASE } from '../launch/databases.ts'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { type BenchServers, startBenchServers } from './bench-system.ts'
import { startLoad } from './load-process.ts'
import { fillLog } from './log-fixture.ts'
import type { YardstickResult } from './producer-yardstick.ts'
import { type Figure, publish } from './report.ts'
import { withinProcess } from './within-process.ts'

const POLL_MS = 25
const WITHIN_MS = 120_000
/** Every read model of the topic that is filled: the slowest counts, also one that has not begun. */
const READ_MODELS = ['booking_details', 'booking_list', 'ledger']
/** What the events of the fixture become. */
const TABLES = ['booking_details_1.booking_details', 'booking_list_1.booking_list']

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [wanted = 110_000] = process.argv.slice(2).map(Number)
  if (!(wanted > 0)) throw new Obstacle('Say it like `npm run bench -- rails 110000`.')
  const loadBefore = loadavg()[0] ?? 0
  const servers = await startBenchServers(stack)
  const databases = await prepareDatabases(servers.postgresUrl, 'bench')
  say(`· appending ${wanted} events`)
  const events = await fillLog(urlOf(servers.postgresUrl, WRITE_DATABASE), wanted)
  const relay = await measureRelay(stack, servers, databases, events)
  const relayPerSecond = relay.perSecond.get('relay') ?? 0
  say('· the yardstick: a producer alone')
  const producer = await startLoad<YardstickResult>(stack, 'producer-yardstick.ts', {
    brokers: servers.brokers,
    topic: topics.bookings,
  }).result
  const projected = await measureProjections(stack, servers, databases, events)
  const projectedPerSecond = Math.min(...projected.perSecond.values())
  say('· the yardstick: COPY of the same rows')
  const copySeconds = await copyRows(urlOf(servers.postgresUrl, READ_DATABASE), `${servers.dir}/postgres`)
  const rate = (what: string, value: number): Figure => ({ what, value, unit: '1/s' })
  publish({
    bench: 'rails',
    conditions: [
      'Postgres (max_connections=300), Redis and Kafka of its own on this machine; the relay runs alone, then projections run alone, with their settings under npm start',
      `${events} events of ${(events / 11).toFixed(0)} bookings in 16 partitions, ${producer.bytesPerRecord.toFixed(0)} bytes each as a record, all there before the process starts`,
      `timed from the process's ready line to the last event, what had arrived by then not counted; the first ones had arrived ${relay.firstAfterSeconds.toFixed(1)} s (relay) and ${projected.firstAfterSeconds.toFixed(1)} s (projections) after it`,
      `rows: ${TABLES.join(', ')}; each projection reads every event; a row of a COPY is written once, a projection's as often as batches touch it`,
      `load average of the machine before the start: ${loadBefore.toFixed(1)} on ${availableParallelism()} cores`,
    ],
    figures: [
      rate('relay: events from table to topic, per second', relayPerSecond),
      rate('yardstick: a producer alone, records per second', producer.recordsPerSecond),
      { what: 'relay ÷ producer alone', value: relayPerSecond / producer.recordsPerSecond, unit: 'ratio' },
      rate('projections: events from topic to rows of all read models, per second', projectedPerSecond),
      ...[...projected.perSecond].map(([name, perSecond]) => rate(`… ${name}`, perSecond)),
      rate('yardstick: COPY of the final rows, in events per second', events / copySeconds),
      { what: 'projections ÷ COPY', value: (projectedPerSecond * copySeconds) / events, unit: 'ratio' },
    ],
  })
}

async function measureRelay(
  stack: AsyncDisposableStack,
  servers: BenchServers,
  databases: DatabaseUrls,
  events: number,
): Promise<Arrival> {
  const logger = createLogger({ process: 'bench', level: 'error' })
  const kafka = createKafka({ brokers: [servers.brokers], clientId: 'bench' }, logger)
  stack.defer(() => kafka.disconnect())
  say('· the relay alone')
  const relay = await start(stack, 'command-api/src/relay.ts', {
    WRITE_DATABASE_URL: databases.commandApi,
    KAFKA_BROKERS: servers.brokers,
    RELAY_PORT: '0',
  })
  const arrival = await timeFromNow(events, async () => new Map([['relay', await inTopic(kafka)]]))
  await relay.stop()
  return arrival
}

const inTopic = async (kafka: KafkaPort) =>
  (await kafka.topicOffsets(topics.bookings).catch(() => [])).reduce((sum, { high }) => sum + high, 0)

async function measureProjections(
  stack: AsyncDisposableStack,
  servers: BenchServers,
  databases: DatabaseUrls,
  events: number,
): Promise<Arrival> {
  const client = new pg.Client(urlOf(servers.postgresUrl, READ_DATABASE))
  await client.connect()
  stack.defer(() => client.end())
  const applied = async () => {
    const { rows } = await client.query<{ projection: string; events: string }>(
      `select projection, sum(position) as events from projection_checkpoints where topic = $1 group by 1`,
      [topics.bookings],
    )
    const known = new Map(rows.map((row) => [row.projection, Number(row.events)]))
    return new Map([...READ_MODELS.map((name): [string, number] => [name, 0]), ...known])
  }
  say('· the projections alone')
  const projections = await start(stack, 'projections/src/main.ts', {
    READ_DATABASE_URL: databases.projections,
    KAFKA_BROKERS: servers.brokers,
    PROJECTIONS_PORT: '0',
  })
  const arrival = await timeFromNow(events, applied)
  await projections.stop()
  return arrival
}

interface Arrival {
  /** By name. */
  perSecond: Map<string, number>
  /** Until any had arrived: leading, or joining a group, is part of it. */
  firstAfterSeconds: number
}

/** Polls until every count is `wanted`; each is timed from now, so from the ready line, and what it has already is not counted. */
async function timeFromNow(wanted: number, count: () => Promise<Map<string, number>>): Promise<Arrival> {
  const beganAt = performance.now()
  const secondsNow = () => (performance.now() - beganAt) / 1000
  const before = await count()
  const perSecond = new Map<string, number>()
  let firstAfterSeconds: number | undefined
  for (;;) {
    const now = await count()
    const has = (name: string) => now.get(name) ?? 0
    const had = (name: string) => before.get(name) ?? 0
    if ([...now.keys()].some((name) => has(name) > had(name))) firstAfterSeconds ??= secondsNow()
    for (const name of now.keys())
      if (has(name) >= wanted && !perSecond.has(name)) perSecond.set(name, (wanted - had(name)) / secondsNow())
    if (perSecond.size === now.size) return { perSecond, firstAfterSeconds: firstAfterSeconds ?? 0 }
    if (secondsNow() > WITHIN_MS / 1000)
      throw new Obstacle(`Only ${Math.min(...now.values())} of ${wanted} arrived within ${WITHIN_MS / 1000} s.`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Seconds that COPY takes for what the projections wrote. folder: one that the server may write to. */
async function copyRows(adminUrl: string, folder: string): Promise<number> {
  const client = new pg.Client(adminUrl)
  await client.connect()
  try {
    let seconds = 0
    for (const table of TABLES) {
      const file = `${folder}/data/${table}.copy`
      await client.query(`copy ${table} to '${file}'`)
      await client.query(`create table yardstick (like ${table} including all)`)
      const beganAt = performance.now()
      await client.query(`copy yardstick from '${file}'`)
      seconds += (performance.now() - beganAt) / 1000
      await client.query('drop table yardstick')
    }
    return seconds
  } finally {
    await client.end()
  }
}

async function start(stack: AsyncDisposableStack, entry: string, env: Record<string, string>): Promise<StartedProcess> {
  const started = await startProcess({ entry, env })
  stack.defer(async () => void (await started.stop()))
  return started
}

await runEntry(() => withinProcess(measure))
