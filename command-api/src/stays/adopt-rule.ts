/**
 * `OTA_INTERVAL` against the rule that the nights of the write database are kept by, looked at once when the process starts. Where they differ
 * and the reservations fit the new rule, the months are filled again for it; processes that still have the old one are refused from then on.
 */
import type { Logger } from '@portolan/infra/log.ts'
import { inTransaction, withTenant } from '@portolan/infra/postgres.ts'
import { dayText, type IntervalRule } from '@portolan/schemas/stays/periods.ts'
import type pg from 'pg'

/** What `change_stay_rule` answers (migration 000067). */
interface RuleChange {
  /** The rule before; null where nobody has reserved yet. */
  from: IntervalRule | null
  /** Pairs of reservations that the new rule forbids. Not 0: nothing was changed. */
  collisions: number
  first?: Collision[]
  /** Months whose row was changed. */
  months: number
}

/** Days since 1970-01-01. */
interface Collision {
  property_id: string
  first_id: string
  first_day: number
  first_nights: number
  second_id: string
  second_day: number
  second_nights: number
}

/** Every reservation is read and sorted, about 20,000 a second; there may be hundreds of millions. */
const REBUILD_MAX = '6h'
/** A commit that sells nights ends within ten seconds. */
const LOCK_MAX = '15s'

/**
 * Makes the rule the one that nights are kept by. Returns whether the months were filled again.
 * Throws, naming the first ten pairs, when reservations were sold that the rule would have refused.
 */
export async function adoptRule(
  { pool, logger }: { pool: pg.Pool; logger: Logger },
  tenantId: string,
  rule: IntervalRule,
): Promise<boolean> {
  const kept = { text: 'select rule from stay_rules where tenant_id = $1', values: [tenantId] }
  const [found] = await withTenant(pool, tenantId, [kept])
  const before = (found?.rows[0] as { rule: IntervalRule } | undefined)?.rule
  if (before === undefined || before === rule) return false
  const change = await changeRule(pool, tenantId, rule)
  if (change.collisions > 0) throw new Error(refusal(rule, change))
  if (change.from === rule) return false
  logger.info('nights are kept by another rule', { tenantId, rule, before: change.from, months: change.months })
  return true
}

async function changeRule(pool: pg.Pool, tenantId: string, rule: IntervalRule): Promise<RuleChange> {
  return inTransaction(pool, async (client) => {
    await client.query(`set local statement_timeout = '${REBUILD_MAX}'`)
    await client.query(`set local lock_timeout = '${LOCK_MAX}'`)
    const { rows } = await client.query<{ change: RuleChange }>('select change_stay_rule($1, $2) as change', [
      tenantId,
      rule,
    ])
    if (!rows[0]) throw new Error('change_stay_rule gave no answer')
    return rows[0].change
  })
}

function refusal(rule: IntervalRule, { from, collisions, first = [] }: RuleChange): string {
  const stay = (id: string, day: number, nights: number) => `${dayText(day)} for ${nights} (${id})`
  const named = first.map(
    (pair) =>
      `${pair.property_id}: ${stay(pair.first_id, pair.first_day, pair.first_nights)} and ${stay(pair.second_id, pair.second_day, pair.second_nights)}`,
  )
  const more = collisions > first.length ? `; and ${collisions - first.length} pairs more` : ''
  return `OTA_INTERVAL=${rule} does not fit reservations that were sold by '${from}': ${named.join('; ')}${more}`
}
