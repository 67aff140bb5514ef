/**
 * Commands per second of `handle` alone: 100 concurrent callers in one process, each command a new stream with one event of about
 * 300 bytes and an idempotency key; NOTIFY and Redis included, no HTTP, no relay.
 *
 * Yardstick, in turn on the same server: pgbench -c 100 -M prepared, one transaction per command with the same three inserts as
 * the same role under row-level security (yardstick.sql). It gives positions from a sequence, without a lock; what positions in
 * commit order cost is shown by a second yardstick that takes them from `log_heads`.
 *
 *   node command-api/bench/handle-command.bench.ts [seconds per run, default 8] [rounds, default 2]
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createRedis } from '@portolan/infra/redis.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { event } from '@portolan/schemas/event-catalogue.ts'
import { topics } from '@portolan/schemas/topics.ts'
import pg from 'pg'
import { z } from 'zod'
import { openEventStore } from '../src/event-store/event-store.ts'
import type { StreamType } from '../src/event-store/stream-type.ts'
import { type BenchServer, startBenchServer } from './bench-server.ts'

const run = promisify(execFile)
const CALLERS = 100
const NOTE = 'x'.repeat(260)
const BODY_HASH = 'RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o'

const counterEvents = { Added: event(z.object({ amount: z.int(), note: z.string() })) } as const
type Added = { type: 'Added'; data: { amount: number; note: string } }
const counterType: StreamType<number, Added> = {
  topic: topics.bookings,
  catalogue: counterEvents,
  initialState: () => 0,
  evolve: (sum, { data }) => sum + data.amount,
}

interface Run {
  commandsPerSecond: number
  p50Ms: number
  p99Ms: number
  /** Processor time of this process per command; pgbench does not tell. */
  cpuMicros: number | null
}

const [seconds = 8, rounds = 2] = process.argv.slice(2).map(Number)
const server = await startBenchServer()
try {
  const urls = await prepareDatabase(server)
  const runs: Record<string, Run[]> = { handle: [], yardstick: [], 'yardstick with log_heads': [] }
  await runHandle(urls.role, 2) // warms both sides up
  for (let round = 0; round < rounds; round++) {
    runs.handle?.push(await runHandle(urls.role, seconds))
    runs.yardstick?.push(await runPgbench(urls.role, "nextval('yardstick')"))
    runs['yardstick with log_heads']?.push(await runPgbench(urls.role, 'next_position(:partition)', 'random(200, 215)'))
  }
  await requireDense(urls.admin)
  report(runs)
} finally {
  await server.stop()
}

async function prepareDatabase({ url }: BenchServer): Promise<{ admin: string; role: string }> {
  const admin = url.replace(/\/postgres$/, '/bench')
  await query(url, 'create database bench')
  await run(process.execPath, ['migrations/migrate.ts', 'write', admin], { cwd: `${import.meta.dirname}/../..` })
  // The yardstick writes directly what the store writes through a function.
  await query(
    admin,
    `grant insert on events to portolan_command_api;
     create sequence yardstick; grant usage on sequence yardstick to portolan_command_api;
     create table yardstick_heads (partition integer primary key, position bigint not null) with (fillfactor = 10);
     insert into yardstick_heads select p, 0 from generate_series(200, 215) p;
     grant select, update on yardstick_heads to portolan_command_api;
     create function next_position(wanted integer) returns bigint language sql as
       'update yardstick_heads set position = position + 1 where partition = wanted returning position';
     grant execute on function next_position(integer) to portolan_command_api`,
  )
  return { admin, role: `${admin}?options=-c%20role%3Dportolan_command_api` }
}

async function runHandle(url: string, forSeconds: number): Promise<Run> {
  const logger = createLogger({ process: 'bench', level: 'error' })
  const pool = createPool({ url, max: 6, name: 'bench', pipeline: true }, logger)
  const appendPool = createPool({ url, max: 4, name: 'bench-append', statementTimeoutMs: 10_000 }, logger)
  const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
  const redis = createRedis(redisUrl, 'command', logger)
  const subscriber = createRedis(redisUrl, 'subscriber', logger)
  const metrics = createMetrics('bench')
  const lanes = process.env.LANES ? Number(process.env.LANES) : undefined
  const store = await openEventStore(
    { pool, appendPool, redis, subscriber, keyPrefix: 'portolan-bench:', logger, metrics },
    { lanes },
  )
  const context = { tenantId: 'bench', actor: { kind: 'service' as const, id: 'bench' }, causationId: null }
  const decided: Added = { type: 'Added', data: { amount: 1, note: NOTE } }
  const command = () => {
    const stream = `counter-${randomUUID()}`
    return store.handle({
      context: { ...context, correlationId: 'bench-0000' },
      streams: { counter: { type: counterType, stream, isNew: true } },
      decide: () => ({ events: { counter: [decided] } }),
      idempotency: {
        principal: 'member-bench',
        method: 'POST',
        path: '/api/v1/counters',
        key: randomUUID(),
        bodyHash: BODY_HASH,
        reference: stream,
      },
    })
  }
  const durations: number[] = []
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const endsAt = startedAt + forSeconds * 1000
  const call = async () => {
    while (performance.now() < endsAt) {
      const at = performance.now()
      await command()
      durations.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, call))
  const elapsedMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpu)
  await store.stop()
  redis.disconnect()
  subscriber.disconnect()
  await Promise.all([pool.end(), appendPool.end()])
  durations.sort((a, b) => a - b)
  const quantile = (q: number) => durations[Math.floor(durations.length * q)] ?? Number.NaN
  return {
    commandsPerSecond: (durations.length / elapsedMs) * 1000,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    cpuMicros: (user + system) / durations.length,
  }
}

async function runPgbench(url: string, position: string, partition = 'random(100, 115)'): Promise<Run> {
  const folder = mkdtempSync(`${tmpdir()}/portolan-bench-`)
  const script = readFileSync(`${import.meta.dirname}/yardstick.sql`, 'utf8')
  const filled = script
    .replace("nextval('yardstick')", position)
    .replace('random(100, 115)', partition)
    .replace('@note@', NOTE)
  writeFileSync(`${folder}/script.sql`, filled)
  const { hostname, port, pathname } = new URL(url)
  const args = [
    '-n',
    '-M',
    'prepared',
    '-c',
    String(CALLERS),
    '-j',
    String(availableParallelism()),
    '-T',
    String(seconds),
  ]
  const { stdout } = await run(
    `${server.bin}/pgbench`,
    [...args, '-l', `--log-prefix=${folder}/log`, '-f', `${folder}/script.sql`, pathname.slice(1)],
    {
      cwd: folder,
      maxBuffer: 64 << 20,
      env: {
        ...process.env,
        PGHOST: hostname,
        PGPORT: port,
        PGUSER: 'postgres',
        PGOPTIONS: '-c role=portolan_command_api',
      },
    },
  )
  const latencies = (
    await run('sh', ['-c', `cut -d' ' -f3 ${folder}/log.* | sort -n`], { maxBuffer: 256 << 20 })
  ).stdout
    .split('\n')
    .filter(Boolean)
    .map((micros) => Number(micros) / 1000)
  rmSync(folder, { recursive: true })
  const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  const quantile = (q: number) => latencies[Math.floor(latencies.length * q)] ?? Number.NaN
  return { commandsPerSecond: perSecond, p50Ms: quantile(0.5), p99Ms: quantile(0.99), cpuMicros: null }
}

/** A figure counts only when the log behind it is whole. */
async function requireDense(url: string): Promise<void> {
  const { rows } = await query(
    url,
    `select h.partition from log_heads h
     where h.position <> (select count(*) from events e where e.topic = h.topic and e.partition = h.partition)`,
  )
  if (rows.length > 0) throw new Error('the log is not dense: this run has no figure')
}

async function query(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}

function report(all: Record<string, Run[]>): void {
  const mean = (list: number[]) => list.reduce((sum, one) => sum + one, 0) / list.length
  const yardstick = mean((all.yardstick ?? []).map((one) => one.commandsPerSecond))
  const results = Object.entries(all).map(([name, runs]) => ({
    name,
    commandsPerSecond: Math.round(mean(runs.map((one) => one.commandsPerSecond))),
    ratio: Number((mean(runs.map((one) => one.commandsPerSecond)) / yardstick).toFixed(2)),
    p50Ms: Number(mean(runs.map((one) => one.p50Ms)).toFixed(1)),
    p99Ms: Number(mean(runs.map((one) => one.p99Ms)).toFixed(1)),
    cpuMicros: runs[0]?.cpuMicros === null ? null : Math.round(mean(runs.map((one) => one.cpuMicros ?? 0))),
    runs: runs.map((one) => Math.round(one.commandsPerSecond)),
  }))
  console.table(results.map(({ runs, ...row }) => ({ ...row, runs: runs.join(' ') })))
  console.log(
    JSON.stringify({
      bench: 'handle-command',
      callers: CALLERS,
      seconds,
      target: 1,
      settings: server.settings,
      results,
    }),
  )
}
