/**
 * A Redis of our own, for a machine without a usable one: on 127.0.0.1, every write in an append-only file, and never
 * evicting anything, since an evicted job would be a lost one.
 */
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { startDaemon } from './daemon.ts'
import { canInstallPackages, installDebianPackages } from './debian.ts'
import { choosePort, joinOrStart, type OwnServer, type ServerUser } from './own-server.ts'
import { DATA, LOGS } from './paths.ts'
import { Obstacle } from './say.ts'

const run = promisify(execFile)
export const OWN_REDIS_DIR = `${DATA}/redis`
export const OLDEST_REDIS = 7
const STANDARD_PORT = 16379
const REMEDY = 'set REDIS_URL to a Redis that runs already'

export type OwnRedisOptions = {
  dir?: string
  /** Default 16379, or the next free one in tens. */
  port?: number
  user?: ServerUser
}

/** Starts our Redis or joins the one that runs. Rejects with an Obstacle when the program or a port is missing. */
export function startOwnRedis(options: OwnRedisOptions = {}): Promise<OwnServer> {
  const { dir = OWN_REDIS_DIR, user = process.pid } = options
  const logFile = dir === OWN_REDIS_DIR ? `${LOGS}/redis.log` : `${dir}/redis.log`
  return joinOrStart({
    name: 'Redis',
    dir,
    logFile,
    user,
    launch: async (pidFile) => {
      await requireRedisServer()
      const port = await choosePort('Redis', options.port, STANDARD_PORT, REMEDY)
      mkdirSync(`${dir}/data`, { recursive: true })
      startDaemon({ command: 'redis-server', args: redisArgs(dir, port), pidFile, logFile })
      return `redis://127.0.0.1:${port}`
    },
    isReady: (url) => answersPing(Number(new URL(url).port)),
  })
}

// The process title would otherwise hide the folder by which we know our process again.
const redisArgs = (dir: string, port: number) =>
  `--port ${port} --bind 127.0.0.1 --appendonly yes --appendfsync everysec --maxmemory-policy noeviction --set-proc-title no`
    .split(' ')
    .concat('--dir', `${dir}/data`)

async function requireRedisServer(): Promise<void> {
  const version = async () => Number(/v=(\d+)/.exec((await run('redis-server', ['--version'])).stdout)?.[1] ?? 0)
  let found = await version().catch(() => 0)
  if (found === 0 && canInstallPackages()) {
    await installDebianPackages(['redis-server'])
    found = await version().catch(() => 0)
  }
  if (found >= OLDEST_REDIS) return
  const what =
    found === 0 ? 'There is no Redis here' : `The Redis here is version ${found} and ${OLDEST_REDIS} is needed`
  throw new Obstacle(`${what}: install it (Debian: apt-get install redis-server) or start Docker, or ${REMEDY}.`)
}

/** PONG, not LOADING: a Redis that still reads its append-only file accepts connections but no commands. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const answer = (isUp: boolean) => {
      socket.destroy()
      resolve(isUp)
    }
    socket.setTimeout(1000, () => answer(false))
    socket.once('data', (reply: Buffer) => answer(reply.toString().startsWith('+PONG')))
    socket.once('error', () => answer(false))
  })
}
