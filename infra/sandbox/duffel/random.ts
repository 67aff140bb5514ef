/** Repeatable randomness: the same words give the same numbers on every machine and in every process. */

/** 32-bit FNV-1a hash of a text. */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    value ^= text.charCodeAt(index)
    value = Math.imul(value, 0x01000193)
  }
  return value >>> 0
}

export interface Random {
  /** From 0 up to but excluding 1. */
  next(): number
  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number
  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T
}

/** A random sequence (mulberry32) that depends on the given words only. */
export function randomOf(...words: (string | number)[]): Random {
  let state = hash(words.join('|'))
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    // An index below the length of a list that is not empty always has an element.
    pick: <T>(list: readonly T[]) => list[Math.floor(next() * list.length)] as T,
  }
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * Ids that look like Duffel's (`ord_0000` and 18 more characters) and follow a counter, so a run repeats its ids and
 * later ids sort behind earlier ones.
 *
 * Returns a function from prefix to the next id of that prefix.
 */
export function createIds(seed: string): (prefix: string) => string {
  const counters = new Map<string, number>()
  const tag = base62(hash(seed), 6)
  return (prefix) => {
    const next = (counters.get(prefix) ?? 0) + 1
    counters.set(prefix, next)
    return `${prefix}_0000${tag}${base62(next, 6)}${base62(hash(`${seed}|${prefix}|${next}`), 6)}`
  }
}

function base62(value: number, length: number): string {
  let text = ''
  let rest = value
  while (text.length < length) {
    text = BASE62[rest % 62] + text
    rest = Math.floor(rest / 62)
  }
  return text
}
