/**
 * What our own Kafka, Postgres and Redis have in common. A server lives in a folder: `server.pid`, `address` (what
 * clients use), `users/` (process ids it runs for) and `lock`. The first user starts it, later ones join, the last one
 * that leaves stops it. A user that was killed counts as gone. So `npm start` and `npm test` share one broker, whoever
 * began first, and a broker that outlived its launcher is found again.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { daemonPid, joinUsers, leaveUsers, stopProcess } from './daemon.ts'
import { withLock } from './lock.ts'
import { Obstacle, say } from './say.ts'
import { isPortFree, waitUntil } from './wait.ts'

/** Who a server is started for: a process, or `'itself'`, which means until somebody stops it explicitly. */
export type ServerUser = number | 'itself'

export type OwnServer = {
  /** What clients use: a URL, or `host:port` for Kafka. */
  url: string
  pid: number
  /** False when it ran already and was only joined. */
  isNew: boolean
  /** Says that this user is done; the last one stops the server. */
  release: () => Promise<void>
}

export type OwnServerRecipe = {
  /** `Kafka`, for sentences. */
  name: string
  /** Absolute; must appear in the server's command line, by which we know our process again. */
  dir: string
  logFile: string
  user: ServerUser
  /** Installs, configures and starts the server; writes `server.pid` and returns its address. */
  launch: (pidFile: string) => Promise<string>
  /** Resolves when the server can be used, rejects or returns false while it cannot. */
  isReady: (url: string) => Promise<unknown>
}

const pidFileOf = (dir: string) => `${dir}/server.pid`
const addressFileOf = (dir: string) => `${dir}/address`

/** Starts a server of our own or joins the one that runs in this folder. Rejects with an Obstacle when it does not come up. */
export async function joinOrStart(recipe: OwnServerRecipe): Promise<OwnServer> {
  const { name, dir, user, logFile } = recipe
  mkdirSync(dir, { recursive: true })
  return withLock(`${dir}/lock`, async () => {
    // Before the launch: a user that is stopped meanwhile must be able to let go of what it began.
    if (user !== 'itself') joinUsers(`${dir}/users`, user)
    const isNew = ownServerPid(dir) === undefined
    if (isNew) writeFileSync(addressFileOf(dir), await recipe.launch(pidFileOf(dir)))
    const url = readFileSync(addressFileOf(dir), 'utf8')
    const isUp = () => recipe.isReady(url).then((ready) => ready !== false)
    const hasDied = () => ownServerPid(dir) === undefined
    const outcome = await waitUntil(async () => ((await isUp().catch(() => false)) ? 'up' : hasDied() && 'dead'), {
      withinMs: 60_000,
      everyMs: 100,
    })
    const pid = ownServerPid(dir)
    if (outcome !== 'up' || pid === undefined) {
      throw new Obstacle(
        `Our own ${name} (${url}) ${outcome === 'dead' ? 'ended at once' : 'does not answer'}: its log ${logFile} says why.`,
      )
    }
    if (user === 'itself') joinUsers(`${dir}/users`, pid)
    return { url, pid, isNew, release: () => releaseOwnServer(dir, user) }
  })
}

/** Process id of the server that runs in this folder, or undefined. */
export function ownServerPid(dir: string): number | undefined {
  return daemonPid(pidFileOf(dir), dir)
}

/** Strikes a user off and stops the server when nobody is left. Does nothing for a user that never joined. */
export async function releaseOwnServer(dir: string, user: ServerUser): Promise<void> {
  if (user === 'itself' || !existsSync(`${dir}/users/${user}`)) return
  await withLock(`${dir}/lock`, async () => {
    if (leaveUsers(`${dir}/users`, user)) await stopOwnServer(dir)
  })
}

/** Stops the server of this folder, whoever uses it. Returns whether it ran. */
export async function stopOwnServer(dir: string): Promise<boolean> {
  const pid = ownServerPid(dir)
  if (pid !== undefined) await stopProcess(pid, { signal: 'SIGINT' }) // to Postgres, SIGTERM means: wait for every client to leave
  rmSync(pidFileOf(dir), { force: true })
  return pid !== undefined
}

/**
 * The port to listen on. One that the caller chose must be free; our own default moves up in tens, because a second
 * checkout on the same machine may be using it. `span` ports are needed from there on.
 */
export async function choosePort(
  name: string,
  chosen: number | undefined,
  standard: number,
  remedy: string,
  span = 1,
): Promise<number> {
  const candidates = chosen === undefined ? Array.from({ length: 10 }, (_, i) => standard + i * 10) : [chosen]
  for (const port of candidates) {
    const areFree = await Promise.all(Array.from({ length: span }, (_, i) => isPortFree(port + i)))
    if (!areFree.every(Boolean)) continue
    if (port !== (chosen ?? standard)) say(`· port ${standard} is taken, our own ${name} listens on ${port}`)
    return port
  }
  throw new Obstacle(
    `Port ${candidates[0]}, which our own ${name} needs, is taken by another program: stop that program, or ${remedy}.`,
  )
}
