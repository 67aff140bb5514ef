/**
 * A Portolan of its own for a benchmark: a fresh clone in a temporary folder, on ports, databases, topics and keys that
 * nobody else uses, started with `npm start` as a newcomer would.
 *
 * Postgres and Redis are servers of the benchmark, up before the clock starts: the ones on the standard ports may be
 * somebody's. Kafka is left to `npm start`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter } from 'node:path'
import { startOwnPostgres } from '../launch/own-postgres.ts'
import { startOwnRedis } from '../launch/own-redis.ts'
import { ROOT } from '../launch/paths.ts'
import { Obstacle, say } from '../launch/say.ts'
import { waitUntil } from '../launch/wait.ts'
import { choosePorts, freePort } from './ports.ts'

const READY_WITHIN_MS = 15 * 60_000
const STOPPED_WITHIN_MS = 60_000

export interface Installation {
  url: string
  /** Runs `npm start` until it says that it is ready. */
  start(): Promise<RunningInstallation>
}

export interface RunningInstallation {
  /** Of npm; everything else descends from it. */
  pid: number
  startedAt: number
  /** What was said on the way, with seconds since the start. */
  progress: readonly { atSeconds: number; line: string }[]
  /** Ctrl-C. Resolves when everything has ended; rejects when it did not end well. */
  stop(): Promise<void>
}

/**
 * Clones HEAD and prepares an environment as on a machine that has never seen Portolan: empty caches of npm and Maven.
 * Everything is removed when `stack` is disposed of.
 */
export async function createInstallation(stack: AsyncDisposableStack): Promise<Installation> {
  const dir = mkdtempSync(`${tmpdir()}/portolan-bench-`)
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  chmodSync(dir, 0o755) // the postgres user has to enter
  execFileSync('git', ['clone', '--quiet', ROOT, `${dir}/clone`])
  const [postgres, redis] = await Promise.all([
    startOwnPostgres({ dir: `${dir}/postgres`, port: await freePort(25_500) }),
    startOwnRedis({ dir: `${dir}/redis`, port: await freePort(26_500) }),
  ])
  stack.defer(async () => {
    await Promise.all([postgres.release(), redis.release()])
  })
  const ports = await choosePorts()
  const env = {
    ...environmentOfANewcomer(),
    ...ports,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    KAFKA_TOPIC_PREFIX: `bench-${process.pid}.`,
    npm_config_cache: `${dir}/npm-cache`,
    MAVEN_OPTS: `-Dmaven.repo.local=${dir}/maven`,
  }
  return {
    url: `http://127.0.0.1:${ports.EDGE_PORT}`,
    start: () => startInstallation(`${dir}/clone`, env, stack),
  }
}

async function startInstallation(
  cwd: string,
  env: NodeJS.ProcessEnv,
  stack: AsyncDisposableStack,
): Promise<RunningInstallation> {
  const startedAt = performance.now()
  const npm = spawn('npm', ['start'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const progress: { atSeconds: number; line: string }[] = []
  const note = (chunk: Buffer) => {
    const atSeconds = (performance.now() - startedAt) / 1000
    for (const line of chunk.toString().split('\n')) if (line.trim()) progress.push({ atSeconds, line })
  }
  npm.stdout.on('data', note)
  npm.stderr.on('data', note)
  const stop = () => stopGroup(npm)
  stack.defer(() => stop().catch(() => {}))
  const outcome = await waitUntil(
    () => {
      if (progress.some(({ line }) => line.startsWith('Portolan is ready'))) return 'ready'
      return hasEnded(npm) ? 'ended' : undefined
    },
    { withinMs: READY_WITHIN_MS, everyMs: 10 },
  )
  if (outcome === 'ready') return { pid: npm.pid as number, startedAt, progress, stop }
  for (const { line } of progress.slice(-15)) say(line)
  throw new Obstacle('npm start did not become ready; what it said last stands above.')
}

/**
 * A terminal sends Ctrl-C to the whole foreground group: to npm, its shell and the launcher. Npm may end before the rest, and
 * what still installs packages would go on writing into a folder that is being removed: so the whole group must be gone.
 */
export async function stopGroup(npm: ChildProcess): Promise<void> {
  const group = npm.pid as number
  if (isGone(group)) return
  process.kill(-group, 'SIGINT')
  if (await waitUntil(() => isGone(group), { withinMs: STOPPED_WITHIN_MS })) return
  process.kill(-group, 'SIGKILL')
  throw new Obstacle('npm start did not end within a minute after Ctrl-C.')
}

function isGone(group: number): boolean {
  try {
    process.kill(-group, 0)
    return false
  } catch {
    return true
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

/** Our environment without what npm and our own launcher have put into it, and without anything that configures Portolan. */
export function environmentOfANewcomer(): NodeJS.ProcessEnv {
  const isOurs = (name: string) =>
    /^(npm_|NODE_|INIT_CWD$|PORTOLAN_|SANDBOX_|DUFFEL_|COFFEECHAIN_|KAFKA_|.*_PORT$|.*_URL$|.*_KEYS$|SERVICE_TOKEN$)/.test(
      name,
    )
  const kept = Object.entries(process.env).filter(([name]) => !isOurs(name))
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(ROOT))
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter) }
}
