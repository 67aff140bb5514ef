/** Chance from a seed: the same seed and name give the same numbers, whatever else is drawn meanwhile. */

export interface Random {
  /** In [0, 1). */
  next(): number
  /** Whole, from `least` to `most`, both included. */
  between(least: number, most: number): number
  /** True in `share` of all cases. */
  chance(share: number): boolean
  /** One of them; throws for an empty list. */
  pick<T>(list: readonly T[]): T
  shuffle<T>(list: readonly T[]): T[]
}

/** name: what the numbers are for, so that one drawer more does not move everybody else's (mulberry32 over an FNV-1a hash). */
export function createRandom(seed: number, name: string): Random {
  let state = 0x811c9dc5
  for (const char of `${seed}/${name}`) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  const shuffle = <T>(list: readonly T[]): T[] => {
    const left = [...list]
    for (let last = left.length - 1; last > 0; last--) {
      const other = between(0, last)
      const moved = left[last] as T
      left[last] = left[other] as T
      left[other] = moved
    }
    return left
  }
  return {
    next,
    between,
    chance: (share) => next() < share,
    pick: (list) => {
      if (list.length === 0) throw new Error('nothing to pick from')
      return list[Math.floor(next() * list.length)] as (typeof list)[number]
    },
    shuffle,
  }
}
