/**
 * The database's clock, which deciders are given: every process decides by the same time, whatever its machine says.
 * Measured every second as an offset to this process's monotonic clock, which no correction of the machine's time moves;
 * between measurements it costs nothing.
 */
import type { Logger } from '@portolan/infra/log.ts'
import type pg from 'pg'

export interface Clock {
  /** UTC instant, ISO 8601 with milliseconds. Never earlier than the one before it. */
  now(): string
  stop(): void
}

const MEASURE_EVERY_MS = 1000
/** A measurement that took longer says too little about when the server read its clock. */
const ROUND_TRIP_MAX_MS = 250

/** Measures once before it resolves; rejects when the database does not answer. Later failures keep the last offset. */
export async function startDatabaseClock(pool: pg.Pool, logger: Logger): Promise<Clock> {
  let { offsetMs } = await measure(pool)
  let lastMs = 0
  let isMeasuring = false
  const timer = setInterval(async () => {
    if (isMeasuring) return
    isMeasuring = true
    try {
      const measured = await measure(pool)
      if (measured.roundTripMs <= ROUND_TRIP_MAX_MS) offsetMs = measured.offsetMs
    } catch (error) {
      logger.warn('database clock not measured', { error })
    } finally {
      isMeasuring = false
    }
  }, MEASURE_EVERY_MS)
  timer.unref()
  return {
    now() {
      lastMs = Math.max(lastMs, Math.round(performance.now() + offsetMs))
      return new Date(lastMs).toISOString()
    },
    stop: () => clearInterval(timer),
  }
}

async function measure(pool: pg.Pool): Promise<{ offsetMs: number; roundTripMs: number }> {
  const sentAt = performance.now()
  const { rows } = await pool.query<{ ms: number }>({
    name: 'database-clock',
    text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
  })
  const roundTripMs = performance.now() - sentAt
  if (!rows[0]) throw new Error('the database gave no time')
  return { offsetMs: rows[0].ms - (sentAt + roundTripMs / 2), roundTripMs }
}
