/** How long the next attempt waits after one that was not done. */

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
