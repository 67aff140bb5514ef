/** Housekeeping of the write database, by every command-api process on its own timer; two at once do no harm. */
import type { Logger } from '@portolan/infra/log.ts'
import { startRegularly } from '@portolan/infra/regularly.ts'
import type pg from 'pg'

const EVERY_MS = 60_000
const KEYS_PER_BATCH = 1000
const BATCHES_MAX = 50

/** Deletes idempotency records older than `keepHours` (24 at least), in bounded batches. Returns how many. */
export async function pruneIdempotencyKeys(pool: pg.Pool, keepHours: number): Promise<number> {
  let pruned = 0
  for (let batch = 0; batch < BATCHES_MAX; batch++) {
    const { rows } = await pool.query<{ gone: number }>(
      'select prune_idempotency_keys(make_interval(hours => $1), $2) as gone',
      [keepHours, KEYS_PER_BATCH],
    )
    const gone = rows[0]?.gone ?? 0
    pruned += gone
    if (gone < KEYS_PER_BATCH) break
  }
  return pruned
}

/** Keeps table partitions for `events` ahead of the log and prunes idempotency records, now and every minute. */
export function startMaintenance(pool: pg.Pool, keepHours: number, logger: Logger): { stop(): Promise<void> } {
  async function maintain(): Promise<void> {
    const { rows } = await pool.query<{ created: number }>('select extend_events() as created')
    const pruned = await pruneIdempotencyKeys(pool, keepHours)
    if (rows[0]?.created || pruned) logger.info('store maintained', { created: rows[0]?.created, pruned })
  }
  const onError = (error: unknown) => logger.warn('store not maintained', { error })
  return startRegularly(maintain, { everyMs: EVERY_MS, onError })
}
