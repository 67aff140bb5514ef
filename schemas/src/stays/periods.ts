/**
 * Stays are counted in days since 1970-01-01, and the rule says which days a reservation occupies and which a request asks for (contract
 * section 4). One setting, `OTA_INTERVAL`, chooses the rule for search, reserve and constraint together.
 */
import { z } from 'zod'

/**
 * nights: half-open on both sides, one guest leaves on the day another arrives. closed: the day of departure belongs to both. literal: a
 * reservation occupies its nights, a request asks for its day of departure too, so that what is possible depends on who comes first.
 */
export const intervalRules = ['nights', 'closed', 'literal'] as const
export const intervalRuleSchema = z.enum(intervalRules)
export type IntervalRule = z.infer<typeof intervalRuleSchema>

export const NIGHTS_MAX = 365

/** A calendar day, `2021-01-31`. Refuses days that do not exist, and the year 0, which Postgres does not know. */
export const daySchema = z.iso.date().refine((day) => day >= '0001', 'Must be a day of the years 1 to 9999')

export const periodSchema = z.object({ startDate: daySchema, nights: z.int().min(1).max(NIGHTS_MAX) })
export type Period = z.infer<typeof periodSchema>

/** Whole days since 1970-01-01, from the first up to but without the last. */
export interface Days {
  from: number
  until: number
}

const DAY_MS = 86_400_000
/** 9999-12-31: no day behind it can be written down. */
const LAST_DAY = Date.UTC(9999, 11, 31) / DAY_MS

export const dayNumber = (day: string): number => Date.parse(`${day}T00:00:00Z`) / DAY_MS
export const dayText = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10)

/** The day of departure. */
export const endDate = ({ startDate, nights }: Period): string => dayText(dayNumber(startDate) + nights)

/** Whether even its day of departure can be written down. */
export const endsInTime = ({ startDate, nights }: Period): boolean => dayNumber(startDate) + nights <= LAST_DAY

/** The days that must be free for it. */
export function asked(rule: IntervalRule, { startDate, nights }: Period): Days {
  const from = dayNumber(startDate)
  return { from, until: from + nights + (rule === 'nights' ? 0 : 1) }
}

/** The days that are taken by it. */
export function occupied(rule: IntervalRule, { startDate, nights }: Period): Days {
  const from = dayNumber(startDate)
  return { from, until: from + nights + (rule === 'closed' ? 1 : 0) }
}

/**
 * The nights of which none may be sold when it is searched for. Where a reservation occupies its day of departure too, whoever leaves on the day
 * before is in the way as well: reservations are known by their nights, whatever the rule.
 */
export function searched(rule: IntervalRule, period: Period): Days {
  const { from, until } = asked(rule, period)
  return { from: rule === 'closed' ? from - 1 : from, until }
}
