/**
 * The backing services of docker-compose.yml, for machines where a Docker engine answers. They run until their last user lets go of
 * them, or, once `npm run services -- up` asked for them, until `down`. Each checkout has containers and data of its own; the ports are
 * the same, so that a second checkout that runs at the same time is refused by Docker and looks for another way.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { joinUsers, leaveUsers } from './daemon.ts'
import { withLock } from './lock.ts'
import type { ServerUser } from './own-server.ts'
import { DATA, ROOT } from './paths.ts'
import { longStep, say } from './say.ts'

const run = promisify(execFile)
const PROJECT = `portolan-${createHash('sha256').update(ROOT).digest('hex').slice(0, 8)}`
const COMPOSE = ['compose', '-f', `${ROOT}/docker-compose.yml`, '-p', PROJECT]
const USERS = `${DATA}/compose/users`
/** Stands while they are to stay up without a user. */
const KEPT = `${DATA}/compose/kept`
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
 * cannot (no network for the images, a port that is taken), so that the next way is tried; what came up nevertheless is stopped again.
 */
export async function composeUp(services: ComposeService[], user: ServerUser): Promise<boolean> {
  return withLock(LOCK, async () => {
    if (user !== 'itself') joinUsers(USERS, user) // first: whoever is stopped meanwhile must be able to let go
    const wasKept = existsSync(KEPT)
    if (user === 'itself') writeFileSync(KEPT, '')
    try {
      await longStep(`starting ${services.join(', ')} with Docker Compose`, () =>
        run('docker', [...COMPOSE, 'up', '-d', '--wait', ...services], { timeout: 600_000, maxBuffer: 64 << 20 }),
      )
      return true
    } catch (error) {
      if (!wasKept) rmSync(KEPT, { force: true })
      await stopUnlessUsed(user).catch(() => undefined) // the sentence below names the fault that matters
      say(refusalOf(error as Error & { stderr?: string }))
      return false
    }
  })
}

/** What to say when Docker refused. A taken port is most often taken by containers of ours that nobody remembers. */
export function refusalOf({ stderr = '', message }: { stderr?: string; message: string }): string {
  const reason = stderr.trim().split('\n').at(-1) || message.split('\n')[0]
  const refused = `· Docker Compose could not start them (${reason}); looking for another way`
  if (!/port is already allocated|address already in use/i.test(stderr)) return refused
  const former = 'those of a release before checkouts had their own are stopped with `docker compose -p portolan stop`'
  return `${refused}. \`docker compose ls\` lists containers that may hold the port; ${former}`
}

/** Stops the containers when `user` was the last; their volumes stay. Does nothing for a user that never joined. */
export async function releaseCompose(user: ServerUser): Promise<void> {
  if (user === 'itself' || !existsSync(`${USERS}/${user}`)) return
  await withLock(LOCK, () => stopUnlessUsed(user))
}

async function stopUnlessUsed(leaving: ServerUser): Promise<void> {
  if (leaveUsers(USERS, leaving) && !existsSync(KEPT)) await stop()
}

const stop = () => run('docker', [...COMPOSE, 'stop'], { timeout: 60_000 })

/** Stops the containers, whoever uses them, if any was ever started from this checkout; their volumes stay. */
export async function stopCompose(): Promise<void> {
  rmSync(KEPT, { force: true })
  if (existsSync(`${DATA}/compose`) && (await hasDocker())) await stop()
}
