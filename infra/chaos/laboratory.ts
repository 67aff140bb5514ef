/**
 * The system under fire: servers of its own, both databases, all processes under a supervisor, and what the faults and the load need to
 * reach them. Nothing of it is shared with anybody; everything is gone after `dispose`, except the folder when it is to be kept.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import pg from 'pg'
import { commonEnvironment, teahouse } from '../e2e/environment.ts'
import { READ_DATABASE, urlOf, WRITE_DATABASE } from '../launch/databases.ts'
import { startBalancer } from './balancer.ts'
import { createFleet, type Fleet, type ProcessSpec } from './fleet.ts'
import { type Plan, type ProcessKind, processCounts } from './plan.ts'
import { freePorts } from './ports.ts'
import { environment } from './profiles.ts'
import { type Servers, startServers } from './servers.ts'

const run = promisify(execFile)
const READY_WITHIN_MS = 180_000

/** Two tenants of the same kind, so that each has its own members, limits and rows. */
export const tenants = [
  teahouse,
  { ...teahouse, tenantId: 'kettle', name: 'Kettle', memberIdPattern: '^KT\\d{7}$', credential: 'test_kettle_key' },
] as const
export type Tenant = (typeof tenants)[number]

const entries: Record<ProcessKind, string> = {
  'command-api': 'command-api/src/main.ts',
  relay: 'command-api/src/relay.ts',
  workers: 'workers/src/main.ts',
  projections: 'projections/src/main.ts',
  'query-api': 'query-api/src/main.ts',
}

export interface Laboratory {
  /** Root of the product under test. */
  root: string
  folder: string
  servers: Servers
  fleet: Fleet
  /** As their administrator. */
  writeUrl: string
  readUrl: string
  topicPrefix: string
  redisKeyPrefix: string
  partnerUrl: string
  duffelUrl: string
  /** For `npm run ops`. */
  opsEnv: Record<string, string>
  /** Rows of one query on a connection of its own. */
  query<Row extends pg.QueryResultRow>(url: string, text: string, values?: unknown[]): Promise<Row[]>
  /** Runs one of the product's entries to its end. Rejects with its output. */
  runEntry(entry: string, args: string[], env: Record<string, string>): Promise<string>
  /** Ends everything. keepsFolder: logs and evidence stay. */
  dispose(keepsFolder: boolean): Promise<void>
}

export interface LaboratoryOptions {
  root: string
  plan: Plan
  onPhase(phase: string): void
}

/** Starts everything and waits until every process is ready. Rejects, with what was started stopped again, when that fails. */
export async function startLaboratory({ root, plan, onPhase }: LaboratoryOptions): Promise<Laboratory> {
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync('/var/tmp/portolan-chaos-')
  chmodSync(folder, 0o755) // the postgres user has to enter
  let keepsFolder = true // of a start that failed, for whoever asks why
  cleanup.defer(() => removeFolder(folder, keepsFolder))
  const ports = await choosePorts()
  onPhase('starting Postgres, Redis and Kafka')
  const servers = await startServers(folder, ports.servers)
  cleanup.defer(() => servers.dispose())

  const runEntry = entryRunner(root)
  onPhase('migrating both databases')
  const [writeUrl, readUrl] = await makeDatabases(servers.url('postgres'), runEntry)
  const { told, common, shared } = environmentsOf(servers, ports, { writeUrl, readUrl })
  await runEntry('command-api/src/seed.ts', [], {
    ...told['command-api'],
    SEED_TENANTS: JSON.stringify(tenants),
    SEED_STAYS: 'true',
  })
  const specs: ProcessSpec[] = processNames.map(({ kind, name }, index) => {
    const port = ports.processes[index] ?? 0
    const portVariable = `${kind.toUpperCase().replace('-', '_')}_PORT`
    return { name, kind, entry: entries[kind], port, env: { ...told[kind], [portVariable]: String(port) } }
  })
  const portsOf = (kind: ProcessKind) => specs.filter((spec) => spec.kind === kind).map(({ port }) => port)
  for (const kind of ['command-api', 'workers'] as const) {
    const balancer = await startBalancer(ports.balancers[kind], portsOf(kind))
    cleanup.defer(() => balancer.close())
  }

  onPhase('starting the processes')
  const fleet = createFleet({ root, logFolder: `${folder}/logs`, arms: structuredClone(plan.arms) })
  cleanup.defer(() => fleet.dispose())
  for (const spec of [...standIns(ports), ...specs]) fleet.start(spec)
  await fleet.allReady(READY_WITHIN_MS)

  const running = cleanup.move()
  return {
    root,
    folder,
    servers,
    fleet,
    writeUrl,
    readUrl,
    topicPrefix: common.KAFKA_TOPIC_PREFIX ?? '',
    redisKeyPrefix: common.REDIS_KEY_PREFIX ?? '',
    partnerUrl: at(ports.partner),
    duffelUrl: at(ports.duffel),
    opsEnv: { ...shared, WRITE_DATABASE_URL: writeUrl, READ_DATABASE_URL: readUrl },
    query,
    runEntry,
    dispose: (keeps) => {
      keepsFolder = keeps
      return running.disposeAsync()
    },
  }
}

const processNames = (Object.keys(processCounts) as ProcessKind[]).flatMap((kind) =>
  Array.from({ length: processCounts[kind] }, (_, index) => ({ kind, name: `${kind}-${index + 1}` })),
)

const at = (port: number) => `http://127.0.0.1:${port}`

type Ports = Awaited<ReturnType<typeof choosePorts>>

/** One for each server, and a second for Kafka's controller; two balancers, two stand-ins, and one for each process. */
async function choosePorts() {
  const [a = 0, b = 0, c = 0, d = 0, commandApis = 0, workers = 0, duffel = 0, partner = 0, ...processes] =
    await freePorts(8 + processNames.length)
  return { servers: [a, b, c, d], balancers: { 'command-api': commandApis, workers }, duffel, partner, processes }
}

function entryRunner(root: string): Laboratory['runEntry'] {
  return async (entry, args, env) => {
    const { DATABASE_URL: _, ...inherited } = process.env
    const { stdout } = await run(process.execPath, [entry, ...args], {
      cwd: root,
      env: { ...inherited, ...env },
      maxBuffer: 64 << 20,
    }).catch((error: Error & { stdout?: string; stderr?: string }) => {
      throw new Error(`${entry} ${args.join(' ')} failed: ${error.stdout}${error.stderr}`, { cause: error })
    })
    return stdout
  }
}

/** Creates and migrates both. Returns their addresses as administrator. */
async function makeDatabases(serverUrl: string, runEntry: Laboratory['runEntry']): Promise<[string, string]> {
  const urls: [string, string] = [urlOf(serverUrl, WRITE_DATABASE), urlOf(serverUrl, READ_DATABASE)]
  for (const name of [WRITE_DATABASE, READ_DATABASE]) await query(serverUrl, `create database ${name}`)
  await runEntry('migrations/migrate.ts', ['write', urls[0]], {})
  await runEntry('migrations/migrate.ts', ['read', urls[1]], {})
  return urls
}

/** What each kind of process is told; what all are told; and what all but command-api and the relay are told. */
function environmentsOf(servers: Servers, ports: Ports, { writeUrl, readUrl }: { writeUrl: string; readUrl: string }) {
  const common: Record<string, string> = {
    ...commonEnvironment({
      redisUrl: servers.url('redis'),
      redisKeyPrefix: `chaos-${randomBytes(3).toString('hex')}:`,
      brokers: [servers.url('kafka')],
      topicPrefix: 'chaos.',
      workersUrl: at(ports.balancers.workers),
      partnerUrl: at(ports.partner),
      duffelUrl: at(ports.duffel),
    }),
    ...environment,
  }
  const asRole = (url: string, role: string) => `${url}?options=-c%20role%3D${role}`
  const onWrite = { ...common, WRITE_DATABASE_URL: asRole(writeUrl, 'portolan_command_api') }
  const shared: Record<string, string> = { ...common, COMMAND_API_URL: at(ports.balancers['command-api']) }
  const told: Record<ProcessKind, Record<string, string>> = {
    'command-api': onWrite,
    relay: onWrite,
    workers: shared,
    projections: { ...shared, READ_DATABASE_URL: asRole(readUrl, 'portolan_projections') },
    'query-api': { ...shared, READ_DATABASE_URL: asRole(readUrl, 'portolan_query_api') },
  }
  return { told, common, shared }
}

function standIns({ duffel, partner }: Ports): ProcessSpec[] {
  const standIn = (name: string, port: number, env: Record<string, string>): ProcessSpec => {
    return { name: `sandbox-${name}`, kind: 'stand-in', entry: `infra/sandbox/main-${name}.ts`, port, env }
  }
  return [
    standIn('duffel', duffel, {
      SANDBOX_DUFFEL_PORT: String(duffel),
      SANDBOX_ASYNC_DELAY_SECONDS: '2',
      // A hold runs out within an outage, and is met overdue.
      SANDBOX_HOLD_TTL_SECONDS: '10',
    }),
    standIn('coffeechain', partner, { SANDBOX_COFFEECHAIN_PORT: String(partner) }),
  ]
}

/** Everything, or all but what tells a story: logs and evidence, not the servers' data and the backups. */
function removeFolder(folder: string, keepsStory: boolean): void {
  const remove = (path: string) => rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  const data = ['postgres', 'redis', 'kafka'].map((server) => `${server}/data`)
  const backups = readdirSync(folder).filter((name) => name.endsWith('.dump'))
  for (const name of keepsStory ? [...data, ...backups] : ['']) remove(`${folder}/${name}`)
}

export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined) // of a server that a fault ends meanwhile: the query says so
  await client.connect()
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    await client.end().catch(() => undefined)
  }
}
