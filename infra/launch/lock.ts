import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isAlive } from './daemon.ts'
import { Obstacle } from './say.ts'
import { waitUntil } from './wait.ts'

/** Takes the lock file for this process. Returns true, or the process id of the living owner. A dead owner's lock is taken over. */
export function tryLock(path: string): true | number {
  mkdirSync(dirname(path), { recursive: true })
  const mine = `${path}.${process.pid}`
  // Linked when written: at no moment is there a lock without its owner, which others would take for a dead one's.
  writeFileSync(mine, `${process.pid}\n`)
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      if (linked(mine, path)) return true
      const owner = lockOwner(path)
      if (owner !== undefined) return owner
      removeDead(path, mine)
    }
    return lockOwner(path) ?? process.pid
  } finally {
    rmSync(mine, { force: true })
  }
}

function linked(from: string, path: string): boolean {
  try {
    linkSync(from, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/**
 * Removes a dead owner's lock. One at a time: who has seen a dead owner might otherwise remove the lock that another
 * has taken over meanwhile. `mine` is a file that names this process.
 */
function removeDead(path: string, mine: string): void {
  const guard = `${path}.takeover`
  if (!linked(mine, guard)) {
    if (isDead(guard)) rmSync(guard, { force: true })
    return
  }
  try {
    if (isDead(path)) rmSync(path, { force: true })
  } finally {
    rmSync(guard, { force: true })
  }
}

/** Whether there is a lock and its owner is gone; false when there is none. */
function isDead(path: string): boolean {
  try {
    return !isAlive(Number.parseInt(readFileSync(path, 'utf8'), 10))
  } catch {
    return false // released just now
  }
}

/** Process id of the living owner of a lock file, or undefined. */
export function lockOwner(path: string): number | undefined {
  try {
    const owner = Number.parseInt(readFileSync(path, 'utf8'), 10)
    return Number.isInteger(owner) && isAlive(owner) ? owner : undefined
  } catch {
    return undefined // released just now
  }
}

/** Releases a lock that this process holds. */
export function unlock(path: string): void {
  if (lockOwner(path) === process.pid) rmSync(path, { force: true })
}

/** Runs `work` while holding the lock, so that `npm start` and `npm test` begun together install and start things once. */
export async function withLock<T>(path: string, work: () => Promise<T>, { withinMs = 300_000 } = {}): Promise<T> {
  const taken = await waitUntil(() => tryLock(path) === true, { withinMs, everyMs: 100 })
  if (!taken) {
    throw new Obstacle(
      `Process ${lockOwner(path)} has held ${path} for too long: stop it, then run this command again.`,
    )
  }
  try {
    return await work()
  } finally {
    unlock(path)
  }
}
