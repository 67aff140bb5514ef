/** How long the next attempt waits after one that was not done, and how long a job that cannot begin stays away. */

const FIRST_MS = 500
const LONGEST_MS = 15_000
const LONGEST_ASKED_MS = 3_600_000

/**
 * attempt: the one that just ended, from 1. askedMs: what the other side asked for, which is never undercut; null when
 * it said nothing. Doubles from half a second to 15 s; up to a quarter is added so that those who failed together do
 * not come back together. random: 0 to 1.
 */
export function backOffMs(attempt: number, askedMs: number | null, random: () => number = Math.random): number {
  const ownMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10))
  const wantedMs = Math.max(ownMs, Math.min(askedMs ?? 0, LONGEST_ASKED_MS))
  return Math.round(wantedMs * (1 + random() / 4))
}

const LONGEST_WAIT_MS = 30_000
const WAIT_GROWTH = 1.5

/**
 * How long a job that cannot begin yet goes back into the queue. starts: how often it was taken up so far, from 1.
 * askedMs: the earliest it can make sense, never undercut; null when nobody knows. leftMs: until its deadline, when it
 * comes back for the last time. Grows from half a second to half a minute, but never past a quarter of what is left, and up to
 * a quarter is added: many wait for the same thing. random: 0 to 1.
 */
export function waitMs(
  starts: number,
  askedMs: number | null,
  leftMs: number,
  random: () => number = Math.random,
): number {
  const grownMs = Math.min(LONGEST_WAIT_MS, FIRST_MS * WAIT_GROWTH ** Math.min(starts - 1, 20))
  const ownMs = Math.min(grownMs, Math.max(FIRST_MS, leftMs / 4))
  const wantedMs = Math.max(ownMs, askedMs ?? 0) * (1 + random() / 4)
  return Math.round(Math.min(wantedMs, leftMs + 1))
}
