/** A Redis of a test's own, to be stopped and started: the shared one never is. */
import { type ChildProcess, spawn } from 'node:child_process'
import { type AddressInfo, createServer } from 'node:net'
import { Redis } from 'ioredis'
import { eventually } from './eventually.ts'

export interface OwnRedis {
  url: string
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>
  /** Ends it at once, as a crash would. */
  stop(): Promise<void>
}

/** Starts one on a free port. Call `stop` in `after`. Needs the `redis-server` that the development set-up installs. */
export async function startOwnRedis(): Promise<OwnRedis> {
  const port = await freePort()
  let server: ChildProcess | null = null
  const own: OwnRedis = {
    url: `redis://127.0.0.1:${port}`,
    start: async () => {
      server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' })
      await eventually(async () => {
        const probe = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => null })
        probe.on('error', () => {}) // connect rejects with it
        try {
          await probe.connect()
          return (await probe.ping()) === 'PONG'
        } finally {
          probe.disconnect()
        }
      })
    },
    stop: async () => {
      const running = server
      server = null
      if (!running || running.exitCode !== null) return
      const ended = new Promise((resolve) => running.once('exit', resolve))
      running.kill('SIGKILL')
      await ended
    },
  }
  await own.start()
  return own
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
