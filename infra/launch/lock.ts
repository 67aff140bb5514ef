import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isAlive } from './daemon.ts'
import { Obstacle } from './say.ts'
import { waitUntil } from './wait.ts'

/** Takes the lock file for this process. Returns true, or the process id of the living owner. A dead owner's lock is taken over. */
export function tryLock(path: string): true | number {
  mkdirSync(dirname(path), { recursive: true })
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      writeFileSync(path, `${process.pid}\n`, { flag: 'wx' })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const owner = lockOwner(path)
    if (owner !== undefined) return owner
    rmSync(path, { force: true })
  }
  return process.pid
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
