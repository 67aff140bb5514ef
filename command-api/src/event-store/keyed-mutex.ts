/** Mutual exclusion by name, within one process. */

/**
 * Returns a function that waits until all named things are free, takes them, and resolves with what gives them back.
 * First come, first served per name. Names are taken in sorted order, so that two holders of several never wait for each other.
 */
export function createKeyedMutex(): (names: readonly string[]) => Promise<() => void> {
  /** The last one in line for each name; resolves when it is done. */
  const tails = new Map<string, Promise<void>>()

  async function take(name: string): Promise<() => void> {
    const before = tails.get(name)
    const { promise: mine, resolve } = Promise.withResolvers<void>()
    tails.set(name, mine)
    await before
    return () => {
      if (tails.get(name) === mine) tails.delete(name)
      resolve()
    }
  }

  return async (names) => {
    const releases: (() => void)[] = []
    for (const name of [...new Set(names)].sort()) releases.push(await take(name))
    return () => {
      for (const release of releases) release()
    }
  }
}
