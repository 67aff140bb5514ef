/**
 * What B1 and `hot` measure: command-api processes on a Postgres and a Redis of the benchmark's own, with the settings they have by default
 * (row-level security, authentication, limits, a log line per request) and nothing behind them: no relay, no projections.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { prepareDatabases, urlOf, WRITE_DATABASE } from '../launch/databases.ts'
import { startOwnPostgres } from '../launch/own-postgres.ts'
import { startOwnRedis } from '../launch/own-redis.ts'
import { ROOT } from '../launch/paths.ts'
import { Obstacle, say } from '../launch/say.ts'
import { loadSecrets } from '../launch/secrets.ts'
import { waitUntil } from '../launch/wait.ts'
import { startLoad } from './load-process.ts'
import { freePort } from './ports.ts'
import { meterProcessor, type ProcessorMeter } from './processor-time.ts'
import type { ReserveLoad, ReserveLoadResult } from './reserve-load.ts'

const SETTINGS = { max_connections: '300', shared_buffers: '256MB', max_wal_size: '4GB' }
const READY_WITHIN_MS = 30_000

export interface ReserveSystem {
  /** Of the command-api processes. */
  urls: readonly string[]
  /** As command-api, on the write database. */
  databaseUrl: string
  /** As superuser, on the write database. */
  admin: pg.Client
  /** The server may read and write there. */
  dir: string
  conditions: readonly string[]
  /** Runs a load to its end. processes: how many of the command-api processes it calls. */
  load(
    options: Omit<ReserveLoad, 'urls' | 'properties' | 'acceptedFile'> & { processes: number },
  ): Promise<ReserveLoadResult & { processor: ProcessorMeter }>
  /** Lines of everything that was accepted so far, as files. */
  acceptedFiles: readonly string[]
}

/** Starts everything, with `properties` properties that nobody has reserved. Stopped and removed when `stack` is disposed of. */
export async function startReserveSystem(
  stack: AsyncDisposableStack,
  { processes, properties }: { processes: number; properties: number },
): Promise<ReserveSystem> {
  say('· starting a Postgres, a Redis and command-api for the benchmark')
  const dir = mkdtempSync(`${tmpdir()}/portolan-bench-`)
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  chmodSync(dir, 0o755) // the postgres user has to enter
  const postgres = await startOwnPostgres({
    dir: `${dir}/postgres`,
    port: await freePort(25_900),
    settings: SETTINGS,
  })
  stack.defer(() => postgres.release())
  const redis = await startOwnRedis({ dir: `${dir}/redis`, port: await freePort(26_900) })
  stack.defer(() => redis.release())
  const { commandApi: databaseUrl } = await prepareDatabases(postgres.url, 'bench')
  const admin = new pg.Client(urlOf(postgres.url, WRITE_DATABASE))
  await admin.connect()
  stack.defer(() => admin.end())
  await admin.query(
    `insert into stay_properties (tenant_id, property_id) select 'stays', 'property-' || n from generate_series(0, $1) n`,
    [properties - 1],
  )
  const { rows } = await admin.query<{ server_version: string }>('show server_version')
  const env = {
    ...loadSecrets(`${dir}/secrets.json`),
    WRITE_DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
  }
  const started: { url: string; pid: number }[] = []
  for (let nth = 0; nth < processes; nth++)
    started.push(await startCommandApi(stack, env, `${dir}/command-api-${nth}.log`))
  const urls = started.map(({ url }) => url)
  const pids = Object.fromEntries(started.map(({ pid }, nth) => [`command-api ${nth + 1}`, pid]))
  const acceptedFiles: string[] = []
  return {
    urls,
    databaseUrl,
    admin,
    dir,
    conditions: [
      `Postgres ${rows[0]?.server_version} (${Object.entries(SETTINGS)
        .map(([name, value]) => `${name}=${value}`)
        .join(
          ' ',
        )}, fsync on) and Redis of its own on this machine; command-api with its default settings, its log goes to a file; no relay, no projections`,
      'every request reserves one night; a token per client',
    ],
    acceptedFiles,
    async load({ processes: called, ...options }) {
      await admin.query('checkpoint')
      const acceptedFile = `${dir}/accepted-${acceptedFiles.length}`
      const load = startLoad<ReserveLoadResult>(stack, 'reserve-load.ts', {
        ...options,
        urls: urls.slice(0, called),
        properties,
        acceptedFile,
      } satisfies ReserveLoad)
      const processor = await meterProcessor(
        { serverPids: { ...pids, Postgres: postgres.pid, Redis: redis.pid } },
        load,
      )
      acceptedFiles.push(acceptedFile)
      return { ...(await load.result), processor }
    },
  }
}

async function startCommandApi(
  stack: AsyncDisposableStack,
  env: Record<string, string>,
  logFile: string,
): Promise<{ url: string; pid: number }> {
  const log = openSync(logFile, 'a')
  const { BENCH_PROFILE: profiles } = process.env
  const child = spawn(
    process.execPath,
    [...(profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []), 'command-api/src/main.ts'],
    { cwd: ROOT, env: { PATH: process.env.PATH, ...env, COMMAND_API_PORT: '0' }, stdio: ['ignore', log, log] },
  )
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  stack.defer(async () => {
    child.kill()
    await exited
  })
  process.once('exit', () => child.kill('SIGKILL'))
  // From its own ready line: on a port that was chosen for it another benchmark's process might answer instead.
  let url = ''
  const isReady = await waitUntil(
    async () => {
      url = /"message":"ready".*"url":"([^"]+)"/.exec(readFileSync(logFile, 'utf8'))?.[1] ?? ''
      return url !== '' && (await fetch(`${url}/health/ready`)).ok
    },
    { withinMs: READY_WITHIN_MS },
  )
  if (isReady) return { url, pid: child.pid as number }
  say(readFileSync(logFile, 'utf8').slice(-2000))
  throw new Obstacle('command-api did not become ready; what it said last stands above.')
}
