/**
 * A Portolan for a benchmark: Postgres, Redis and Kafka of its own in a temporary folder, on ports nobody else uses, and on them
 * everything that `npm start` runs, started by its launcher (relay, projections, row-level security, authentication, limits). What
 * differs from `npm start` stands in `differences` and is printed with the figures.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { READ_DATABASE, urlOf, WRITE_DATABASE } from '../launch/databases.ts'
import { startOwnKafka } from '../launch/own-kafka.ts'
import { startOwnPostgres } from '../launch/own-postgres.ts'
import { startOwnRedis } from '../launch/own-redis.ts'
import type { OwnServer } from '../launch/own-server.ts'
import { ROOT } from '../launch/paths.ts'
import { Obstacle, say } from '../launch/say.ts'
import { loadSecrets } from '../launch/secrets.ts'
import { waitUntil } from '../launch/wait.ts'
import { benchTenant, UNLIMITED } from './bench-tenant.ts'
import { environmentOfANewcomer, stopGroup } from './installation.ts'
import { nodeProcessesBelow } from './memory.ts'
import { choosePorts, freePort } from './ports.ts'

const READY_WITHIN_MS = 120_000

export interface BenchServers {
  /** Superuser's, on the database `postgres`. */
  postgresUrl: string
  redisUrl: string
  brokers: string
  /** Process ids by name. */
  serverPids: Record<string, number>
  /** Temporary folder of everything. */
  dir: string
}

export interface BenchSystem extends BenchServers {
  /** Of the launcher; every process descends from it. */
  pid: number
  edgeUrl: string
  commandApiUrl: string
  queryApiUrl: string
  coffeechainUrl: string
  duffelUrl: string
  /** Superuser's, on our two databases. */
  writeDatabaseUrl: string
  readDatabaseUrl: string
  /** What our processes share. */
  serviceToken: string
  /** By process, where it answers `/metrics`. */
  metricsUrls: Record<string, string>
  differences: readonly string[]
}

/** Starts the three servers with nothing in them. All is stopped and removed when `stack` is disposed of. */
export async function startBenchServers(
  stack: AsyncDisposableStack,
  postgresSettings: Record<string, string> = {},
): Promise<BenchServers> {
  say('· starting a Postgres, a Redis and a Kafka for the benchmark')
  const dir = mkdtempSync(`${tmpdir()}/portolan-bench-`)
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  chmodSync(dir, 0o755) // the postgres user has to enter
  const settings = { max_connections: '300', ...postgresSettings }
  const results = await Promise.allSettled([
    startOwnPostgres({ dir: `${dir}/postgres`, port: await freePort(25_500), settings }),
    startOwnRedis({ dir: `${dir}/redis`, port: await freePort(26_500) }),
    startOwnKafka({ dir: `${dir}/kafka`, port: await freePort(27_500, 2) }),
  ])
  for (const result of results) if (result.status === 'fulfilled') stack.defer(() => result.value.release())
  const [postgres, redis, kafka] = results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  }) as [OwnServer, OwnServer, OwnServer]
  const serverPids = { Postgres: postgres.pid, Redis: redis.pid, Kafka: kafka.pid }
  return { postgresUrl: postgres.url, redisUrl: redis.url, brokers: kafka.url, serverPids, dir }
}

export interface BenchSystemOptions {
  /** Added to the environment of `npm start`. */
  env?: Record<string, string>
  /** Settings of the tenant that differ from `benchTenant`. */
  tenant?: Partial<typeof benchTenant>
  /** Added to the settings of Postgres. */
  postgres?: Record<string, string>
}

/** Starts everything and waits until it is ready. What the options change stands among the differences. */
export async function startBenchSystem(
  stack: AsyncDisposableStack,
  { env = {}, tenant = {}, postgres = {} }: BenchSystemOptions = {},
): Promise<BenchSystem> {
  const servers = await startBenchServers(stack, postgres)
  const ports = await choosePorts()
  say('· starting everything that npm start runs')
  const log = `${servers.dir}/start.log`
  const launcher = spawn(process.execPath, ['infra/launch/start.ts'], {
    cwd: ROOT,
    env: {
      ...environmentOfANewcomer(),
      ...ports,
      DATABASE_URL: servers.postgresUrl,
      REDIS_URL: servers.redisUrl,
      KAFKA_BROKERS: servers.brokers,
      PORTOLAN_DATA_DIR: `${servers.dir}/data`,
      SEED_TENANTS: JSON.stringify([{ ...benchTenant, ...tenant }]),
      RATE_LIMIT: String(UNLIMITED),
      ...profiling(),
      ...env,
    },
    stdio: ['ignore', openSync(log, 'a'), openSync(log, 'a')],
    detached: true, // Ctrl-C is for us, who stop it in order
  })
  stack.defer(() => stopGroup(launcher))
  await requireReady(launcher, log)
  const url = (variable: keyof typeof ports) => `http://127.0.0.1:${ports[variable]}`
  return {
    ...servers,
    pid: launcher.pid as number,
    edgeUrl: url('EDGE_PORT'),
    commandApiUrl: url('COMMAND_API_PORT'),
    queryApiUrl: url('QUERY_API_PORT'),
    coffeechainUrl: url('SANDBOX_COFFEECHAIN_PORT'),
    duffelUrl: url('SANDBOX_DUFFEL_PORT'),
    writeDatabaseUrl: urlOf(servers.postgresUrl, WRITE_DATABASE),
    readDatabaseUrl: urlOf(servers.postgresUrl, READ_DATABASE),
    serviceToken: loadSecrets(`${servers.dir}/data/secrets.json`).SERVICE_TOKEN,
    metricsUrls: {
      'launcher and edge': url('EDGE_METRICS_PORT'),
      'command-api': url('COMMAND_API_PORT'),
      relay: url('RELAY_PORT'),
      workers: url('WORKERS_PORT'),
      projections: url('PROJECTIONS_PORT'),
      'query-api': url('QUERY_API_PORT'),
    },
    differences: [
      'as under npm start, on a Postgres (max_connections=300), Redis and Kafka of its own on this machine',
      "a benchmark tenant of CoffeeChain's kind without limits worth the name, towards us and towards the partner; RATE_LIMIT raised likewise",
      ...Object.entries({ ...env, ...postgres, ...tenant }).map(([name, value]) => `${name}=${value}`),
    ],
  }
}

/**
 * BENCH_PROFILE=<folder>: every process leaves a profile of its processor time there when it stops.
 * BENCH_HEAP=<folder>: every process leaves a snapshot of its heap there when `snapshotHeaps` asks for it.
 */
function profiling(): Record<string, string> {
  const { BENCH_PROFILE: profiles, BENCH_HEAP: heaps } = process.env
  const options = [
    ...(profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []),
    ...(heaps ? ['--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${heaps}`] : []),
  ]
  return options.length > 0 ? { NODE_OPTIONS: options.join(' ') } : {}
}

/** Asks every process for a snapshot of its heap, for which it stands still for seconds; nothing without BENCH_HEAP. */
export function snapshotHeaps({ pid }: BenchSystem): void {
  if (!process.env.BENCH_HEAP) return
  for (const below of nodeProcessesBelow(pid)) process.kill(below.pid, 'SIGUSR2')
}

async function requireReady(launcher: ChildProcess, log: string): Promise<void> {
  const said = () => (existsSync(log) ? readFileSync(log, 'utf8') : '')
  const outcome = await waitUntil(
    () => {
      if (said().includes('Portolan is ready')) return 'ready'
      return (launcher.exitCode !== null || launcher.signalCode !== null) && 'ended'
    },
    { withinMs: READY_WITHIN_MS },
  )
  if (outcome === 'ready') return
  for (const line of said().trim().split('\n').slice(-15)) say(line)
  throw new Obstacle('The system did not become ready; what it said last stands above.')
}
