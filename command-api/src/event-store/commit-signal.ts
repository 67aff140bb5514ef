/**
 * Wakes the relay: NOTIFY on a channel of the write database, sent outside of command transactions (inside them it cuts
 * commits to a third), at most once per 5 ms. A lost signal costs nothing but the relay's poll interval.
 */
import type pg from 'pg'

export const COMMIT_CHANNEL = 'portolan_commits'
const EVERY_MS = 5

/** pool: one of its connections is busy while a signal is under way. Returns what to call after each commit. */
export function createCommitSignal(pool: pg.Pool): () => void {
  let isUnderWay = false
  let isWanted = false
  async function send(): Promise<void> {
    isUnderWay = true
    while (isWanted) {
      isWanted = false
      // Nobody hears it: the relay polls.
      await pool.query(`notify ${COMMIT_CHANNEL}`).catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    }
    isUnderWay = false
  }
  return () => {
    isWanted = true
    if (!isUnderWay) void send()
  }
}
