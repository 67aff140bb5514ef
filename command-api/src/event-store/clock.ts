/** The database's clock, which deciders are given: every process decides by the same time, whatever its machine says. */
import type { Logger } from '@portolan/infra/log.ts'
import { startMeasuredClock } from '@portolan/infra/measured-clock.ts'
import type pg from 'pg'

export interface Clock {
  /** UTC instant, ISO 8601 with milliseconds. Never earlier than the one before it. */
  now(): string
  stop(): void
}

/** Measures once before it resolves; rejects when the database does not answer. Later failures keep the last offset. */
export async function startDatabaseClock(pool: pg.Pool, logger: Logger): Promise<Clock> {
  const measured = startMeasuredClock(
    () => readDatabaseClock(pool),
    (error) => logger.warn('database clock not measured', { error }),
  )
  try {
    await measured.measure()
  } catch (error) {
    measured.stop()
    throw error
  }
  let lastMs = 0
  return {
    now() {
      lastMs = Math.max(lastMs, measured.nowMs())
      return new Date(lastMs).toISOString()
    },
    stop: measured.stop,
  }
}

async function readDatabaseClock(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: number }>({
    name: 'database-clock',
    text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
  })
  if (!rows[0]) throw new Error('the database gave no time')
  return rows[0].ms
}
