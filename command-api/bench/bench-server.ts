/** A Postgres of the benchmark's own: freshly initialised, fsync on, thrown away afterwards. */
import { execFile, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { promisify } from 'node:util'

const run = promisify(execFile)
const DEBIAN_POSTGRES = '/usr/lib/postgresql'

export interface BenchServer {
  /** As administrator, on the database `postgres`. */
  url: string
  /** Folder of the server's programs, pgbench among them. */
  bin: string
  /** Settings that differ from the server's defaults. */
  settings: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/**
 * Initialises and starts a server on a free port; as root it runs as the user `postgres`, which owns its data.
 * Rejects when there is no Postgres on this machine, or when it is not ready after 20 s.
 */
export async function startBenchServer(): Promise<BenchServer> {
  const bin = postgresBin()
  const folder = mkdtempSync('/var/tmp/portolan-bench-')
  const owner = process.getuid?.() === 0 ? await postgresUser() : undefined
  mkdirSync(`${folder}/data`)
  if (owner) for (const path of [folder, `${folder}/data`]) chownSync(path, owner.uid, owner.gid)
  const options = { ...owner, cwd: '/' }
  await run(
    `${bin}/initdb`,
    ['-D', `${folder}/data`, '-U', 'postgres', '--auth=trust', '--locale=C.UTF-8', '-E', 'UTF8'],
    options,
  )
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(await freePort()),
    unix_socket_directories: '',
    max_connections: '300',
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    fsync: 'on',
    synchronous_commit: 'on',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(`${bin}/postgres`, ['-D', `${folder}/data`, ...args], { ...options, stdio: 'ignore' })
  const exited = new Promise((resolve) => server.once('exit', resolve))
  const url = `postgres://postgres@127.0.0.1:${settings.port}/postgres`
  const stop = async () => {
    server.kill('SIGINT')
    await exited
    rmSync(folder, { recursive: true })
  }
  process.once('exit', () => server.kill('SIGKILL'))
  await ready(bin, url).catch(async (error) => {
    await stop()
    throw error
  })
  return { url, bin, settings, stop }
}

function postgresBin(): string {
  const versions = existsSync(DEBIAN_POSTGRES) ? readdirSync(DEBIAN_POSTGRES).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => `${DEBIAN_POSTGRES}/${version}/bin`),
    ...(process.env.PATH ?? '').split(':'),
  ]
  const found = folders.find((folder) => existsSync(`${folder}/initdb`) && existsSync(`${folder}/pgbench`))
  if (!found)
    throw new Error('the benchmark needs initdb and pgbench: install Postgres (Debian: apt-get install postgresql)')
  return found
}

async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const idOf = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout)
  return { uid: await idOf('-u'), gid: await idOf('-g') }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

async function ready(bin: string, url: string): Promise<void> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const isUp = await run(`${bin}/pg_isready`, ['-d', url, '-t', '1']).then(
      () => true,
      () => false,
    )
    if (isUp) return
    if (Date.now() > deadline) throw new Error('the benchmark server was not ready after 20 s')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
