/** The backing services of docker-compose.yml, for machines where a Docker engine answers. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { joinUsers, leaveUsers } from './daemon.ts'
import { withLock } from './lock.ts'
import type { ServerUser } from './own-server.ts'
import { DATA, ROOT } from './paths.ts'
import { longStep, say } from './say.ts'

const run = promisify(execFile)
const COMPOSE = ['compose', '-f', `${ROOT}/docker-compose.yml`, '-p', 'portolan']
const USERS = `${DATA}/compose/users`
const LOCK = `${DATA}/compose/lock`

export type ComposeService = 'postgres' | 'redis' | 'kafka'

/** Addresses of the services of docker-compose.yml as seen from this machine. */
export const COMPOSE_URLS: Record<ComposeService, string> = {
  postgres: 'postgres://postgres:portolan@127.0.0.1:25432/postgres',
  redis: 'redis://127.0.0.1:26379',
  kafka: '127.0.0.1:29092',
}

/** True when a Docker engine answers and has the compose command. Takes three seconds at most: an engine may hang. */
export async function hasDocker(): Promise<boolean> {
  const quickly = { timeout: 3000, killSignal: 'SIGKILL' as const }
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], quickly)
    await run('docker', ['compose', 'version'], quickly)
    return true
  } catch {
    return false // no docker, no engine behind it, no right to use it, or no compose: the next way is tried
  }
}

/**
 * Brings the services up and waits for their health checks. Returns false, after saying why in one line, when Docker
 * cannot (no network for the images, say), so that the next way is tried.
 */
export async function composeUp(services: ComposeService[], user: ServerUser): Promise<boolean> {
  return withLock(LOCK, async () => {
    if (user !== 'itself') joinUsers(USERS, user) // first: whoever is stopped meanwhile must be able to let go
    try {
      await longStep(`starting ${services.join(', ')} with Docker Compose`, () =>
        run('docker', [...COMPOSE, 'up', '-d', '--wait', ...services], { timeout: 600_000, maxBuffer: 64 << 20 }),
      )
      return true
    } catch (error) {
      if (user !== 'itself') leaveUsers(USERS, user)
      const { stderr = '', message } = error as Error & { stderr?: string }
      const reason = stderr.trim().split('\n').at(-1) || message.split('\n')[0]
      say(`· Docker Compose could not start them (${reason}); looking for another way`)
      return false
    }
  })
}

/** Stops the containers when `user` was the last; their volumes stay. Does nothing for a user that never joined. */
export async function releaseCompose(user: ServerUser): Promise<void> {
  if (user === 'itself' || !existsSync(`${USERS}/${user}`)) return
  await withLock(LOCK, async () => {
    if (leaveUsers(USERS, user)) await run('docker', [...COMPOSE, 'stop'], { timeout: 60_000 })
  })
}

/** Stops the containers, whoever uses them, if any was ever started from this checkout; their volumes stay. */
export async function stopCompose(): Promise<void> {
  if (existsSync(`${DATA}/compose`) && (await hasDocker()))
    await run('docker', [...COMPOSE, 'stop'], { timeout: 60_000 })
}
