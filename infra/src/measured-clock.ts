/**
 * Another machine's clock, as an offset to this process's monotonic clock, which no correction of the machine's own time moves.
 * Measured every second; between measurements it costs nothing, and a measurement that fails keeps the last offset.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startRegularly } from './regularly.ts'

export interface MeasuredClock {
  /** UTC, whole milliseconds. */
  nowMs(): number
  /** Measures now, unless a measurement is under way; rejects when the clock cannot be read. */
  measure(): Promise<void>
  stop(): void
}

const MEASURE_EVERY_MS = 1000
/** A measurement that took longer says too little about when the other side read its clock: it counts only until a better one. */
const ROUND_TRIP_MAX_MS = 250
/** So often is the clock read for a measurement as long as no good one is known, as on a machine that is busy with starting. */
const READINGS_MAX = 3
/** Then a reading is given up: one that never ended would end all measuring. */
const READ_WITHIN_MS = 5000

/**
 * Starts measuring, at once and then regularly. read: the other clock, UTC milliseconds. Until the first measurement the machine's own
 * clock counts. onFailure: told once of every regular measurement that failed.
 */
export function startMeasuredClock(
  read: () => Promise<number>,
  onFailure: (error: unknown) => void,
  { everyMs = MEASURE_EVERY_MS, readWithinMs = READ_WITHIN_MS } = {},
): MeasuredClock {
  let offsetMs = Date.now() - performance.now()
  let bestRoundTripMs = Number.POSITIVE_INFINITY
  let underWay: Promise<void> | null = null

  async function measureOnce(): Promise<void> {
    for (let reading = 1; reading <= READINGS_MAX; reading++) {
      const sentAt = performance.now()
      const readMs = await within(readWithinMs, read())
      const roundTripMs = performance.now() - sentAt
      if (roundTripMs <= Math.max(ROUND_TRIP_MAX_MS, bestRoundTripMs)) offsetMs = readMs - (sentAt + roundTripMs / 2)
      bestRoundTripMs = Math.min(bestRoundTripMs, roundTripMs)
      if (bestRoundTripMs <= ROUND_TRIP_MAX_MS) return
    }
  }

  const measure = (): Promise<void> => {
    underWay ??= measureOnce().finally(() => {
      underWay = null
    })
    return underWay
  }
  const measuring = startRegularly(measure, { everyMs, onError: onFailure })
  return { nowMs: () => Math.round(performance.now() + offsetMs), measure, stop: () => void measuring.stop() }
}

/** The promise's outcome; rejects when it takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const settled = new AbortController()
  const deadline = sleep(ms, undefined, { signal: settled.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${ms} ms`)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    settled.abort()
  }
}
