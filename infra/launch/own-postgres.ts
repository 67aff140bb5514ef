/**
 * A Postgres cluster of our own: for a machine without a usable one, and for tests and benchmarks that must be free to
 * kill and restart theirs. It listens on 127.0.0.1 only, on a port of its own, and trusts local connections.
 *
 * Postgres refuses to run as root; then the cluster belongs to the `postgres` user that Debian's package makes.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { delimiter, dirname } from 'node:path'
import { promisify } from 'node:util'
import { startDaemon } from './daemon.ts'
import { canInstallPackages, installDebianPackages } from './debian.ts'
import { choosePort, joinOrStart, type OwnServer, type ServerUser } from './own-server.ts'
import { DATA, LOGS, ROOT } from './paths.ts'
import { Obstacle } from './say.ts'

const run = promisify(execFile)
export const OLDEST_POSTGRES = 15
const STANDARD_PORT = 15432
const REMEDY = 'set DATABASE_URL to a Postgres that runs already'

export type OwnPostgresOptions = {
  /** Holds `data/`; the postgres user must be able to enter it. */
  dir?: string
  /** Default 15432, or the next free one in tens. */
  port?: number
  /** Server settings as postgresql.conf has them: `{ max_connections: '300' }`. Given at every start. */
  settings?: Record<string, string>
  user?: ServerUser
}

/**
 * Creates the cluster when there is none, and starts it or joins the one that runs.
 * `url` is its superuser's, on the database `postgres`. Rejects with an Obstacle.
 */
export function startOwnPostgres(options: OwnPostgresOptions = {}): Promise<OwnServer> {
  const { dir = ownPostgresDir(), user = process.pid } = options
  const logFile = options.dir ? `${dir}/postgres.log` : `${LOGS}/postgres.log`
  return joinOrStart({
    name: 'Postgres',
    dir,
    logFile,
    user,
    launch: (pidFile) => launchCluster(options, { dir, pidFile, logFile }),
    isReady: async (url) => run(`${await findPostgresBin()}/pg_isready`, ['-d', url, '-t', '2']),
  })
}

/** Where our cluster lives: below .data, or elsewhere when the postgres user may not enter it (a clone in /root, say). */
export function ownPostgresDir(): string {
  const dir = `${DATA}/postgres`
  const isOpen = parentsOf(dir).every((parent) => !existsSync(parent) || (statSync(parent).mode & 0o001) !== 0)
  if (process.getuid?.() !== 0 || isOpen) return dir
  return `/var/tmp/portolan-${createHash('sha256').update(ROOT).digest('hex').slice(0, 12)}/postgres`
}

function parentsOf(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [parent, ...parentsOf(parent)]
}

async function launchCluster(
  options: OwnPostgresOptions,
  files: { dir: string; pidFile: string; logFile: string },
): Promise<string> {
  const { dir, pidFile, logFile } = files
  const bin = await findPostgresBin()
  const owner = clusterOwner()
  const port = await choosePort('Postgres', options.port, STANDARD_PORT, REMEDY)
  if (!existsSync(`${dir}/data/PG_VERSION`)) {
    // Under another name until it is whole: an interrupted initdb leaves what neither it nor Postgres accepts.
    const unfinished = `${dir}/data.new`
    rmSync(unfinished, { recursive: true, force: true })
    mkdirSync(unfinished, { recursive: true })
    if (owner) chownSync(unfinished, owner.uid, owner.gid)
    const initArgs = ['-D', unfinished, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C.UTF-8']
    await run(`${bin}/initdb`, initArgs, { ...owner, cwd: '/' }).catch((error: Error & { stderr?: string }) => {
      const reason = error.stderr?.trim().split('\n').at(-1) || error.message
      throw new Obstacle(`A Postgres cluster could not be made in ${dir} (${reason}): mend that, or ${REMEDY}.`)
    })
    rmSync(`${dir}/data`, { recursive: true, force: true }) // holds no cluster
    renameSync(unfinished, `${dir}/data`)
  }
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '', // Debian's default folder belongs to its own clusters
    max_connections: '200',
    ...options.settings,
  }
  const settingArgs = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  startDaemon({
    command: `${bin}/postgres`,
    args: ['-D', `${dir}/data`, ...settingArgs],
    pidFile,
    logFile,
    cwd: '/',
    ...owner,
  })
  return `postgres://postgres@127.0.0.1:${port}/postgres`
}

/** User and group ids to run Postgres under when we are root; undefined when we are not and it can run as we do. */
function clusterOwner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) {
    throw new Obstacle(
      `Postgres does not run as root and there is no user postgres on this machine: create one, or ${REMEDY}.`,
    )
  }
  return { uid: Number(uid), gid: Number(gid) }
}

/** Folder of the newest Postgres programs; installs Debian's package when there are none and we may. */
export async function findPostgresBin(): Promise<string> {
  const found = searchPostgresBin()
  if (found) return found
  if (!canInstallPackages()) {
    throw new Obstacle(
      `There is no Postgres ${OLDEST_POSTGRES} or newer here: install it (Debian: apt-get install postgresql) or start Docker, or ${REMEDY}.`,
    )
  }
  await installDebianPackages(['postgresql'])
  const installed = searchPostgresBin()
  if (installed) return installed
  throw new Obstacle(`This Debian's Postgres is older than ${OLDEST_POSTGRES}: install a newer one, or ${REMEDY}.`)
}

function searchPostgresBin(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian)
    ? readdirSync(debian)
        .map(Number)
        .filter((version) => version >= OLDEST_POSTGRES)
    : []
  const folders = versions.sort((a, b) => b - a).map((version) => `${debian}/${version}/bin`)
  const inPath = (process.env.PATH ?? '').split(delimiter)
  return [...folders, ...inPath].find((folder) => existsSync(`${folder}/initdb`) && existsSync(`${folder}/postgres`))
}
