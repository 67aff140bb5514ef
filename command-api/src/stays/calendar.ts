/**
 * Days as bits: of each month one row per property, bit 0 for its first day (migration 000066). What a command frees, asks for and takes is
 * worked out here, so that the database only combines whole numbers.
 */
import type { Days } from '@portolan/schemas/stays/periods.ts'

/** Months since year 0; bit 0 is the first day. */
export interface MonthChange {
  month: number
  free: number
  /** Must be free once `free` is. */
  ask: number
  take: number
}

const DAY_MS = 86_400_000
const nothing: Days = { from: 0, until: 0 }

/** In the order of the months, so that everybody locks them in the same order. */
export function monthChanges({
  free = nothing,
  ask = nothing,
  take = nothing,
}: Partial<Record<'free' | 'ask' | 'take', Days>>): MonthChange[] {
  const changes = new Map<number, MonthChange>()
  const mark = (what: 'free' | 'ask' | 'take', days: Days) => {
    for (const { month, bits } of monthsOf(days)) {
      const change = changes.get(month) ?? { month, free: 0, ask: 0, take: 0 }
      changes.set(month, { ...change, [what]: bits })
    }
  }
  mark('free', free)
  mark('ask', ask)
  mark('take', take)
  return [...changes.values()].sort((a, b) => a.month - b.month)
}

function monthsOf({ from, until }: Days): { month: number; bits: number }[] {
  const months: { month: number; bits: number }[] = []
  for (let day = from; day < until; ) {
    const date = new Date(day * DAY_MS)
    const first = date.getUTCDate() - 1
    const month = date.getUTCFullYear() * 12 + date.getUTCMonth()
    // Not Date.UTC, which takes years below 100 for those of the last century.
    const nextMonth = date.setUTCMonth(date.getUTCMonth() + 1, 1) / DAY_MS
    const count = Math.min(until, nextMonth) - day
    // At most 31 bits: a whole month is a positive 32-bit number.
    months.push({ month, bits: (2 ** count - 1) * 2 ** first })
    day += count
  }
  return months
}
