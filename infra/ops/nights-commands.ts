/** The nights that stays hold in the write database, made again from the log. */
import { intervalRuleSchema } from '@portolan/schemas/stays/periods.ts'
import { STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import type pg from 'pg'
import { Obstacle } from '../launch/say.ts'
import type { Command, Outcome } from './command.ts'
import type { Row } from './table.ts'

const lockNotAvailable = '55P03'

const rebuildNights: Command = {
  name: 'stays rebuild-nights',
  takes: [],
  help: 'makes the nights that are taken what the log says; guests who reserve meanwhile wait up to ten seconds, then hear 503',
  async run({ write }, { limit }) {
    await write.query('begin transaction read write')
    try {
      const outcome = await rebuild(write, limit)
      await write.query('commit')
      return outcome
    } catch (error) {
      await write.query('rollback').catch(() => undefined) // a broken connection has rolled back already
      if ((error as { code?: string }).code !== lockNotAvailable) throw error
      throw new Obstacle('Somebody has held the nights for 15 seconds; nothing was done. Repeat the command.')
    }
  },
}

async function rebuild(write: pg.Client, limit: number): Promise<Outcome> {
  // Every reservation is read and sorted, and there may be hundreds of millions.
  await write.query("set local statement_timeout = '6h'")
  await write.query("set local lock_timeout = '15s'")
  // Before the rule is read: a process that starts with another one must not come between.
  await write.query('lock table stay_months in share row exclusive mode')
  const { rows: rules } = await write.query<{ rule: string }>('select rule from stay_rules where tenant_id = $1', [
    STAYS_TENANT,
  ])
  if (!rules[0]) return { notes: ['nobody has reserved yet: nothing was done'] }
  const rule = intervalRuleSchema.parse(rules[0].rule)
  const { rows: rebuilt } = await write.query<{ differed: number }>('select rebuild_nights($1, $2) as differed', [
    STAYS_TENANT,
    rule,
  ])
  const { rows } = await write.query<Row>(
    `select property_id as property, first_id as first, (date '1970-01-01' + first_day)::text as from, first_nights as nights,
       second_id as second, (date '1970-01-01' + second_day)::text as second_from, second_nights
     from stay_collisions($1, $2) order by property_id, first_day, second_day limit $3`,
    [STAYS_TENANT, rule, limit],
  )
  const differed = rebuilt[0]?.differed ?? 0
  const found =
    differed === 0
      ? 'every month and property was as the log says'
      : `${differed} months or properties were not as the log says`
  if (rows.length === 0) return { notes: [`${found} (rule ${rule})`] }
  const sold = `nights were sold twice: ${rows.length === limit ? 'the first ' : ''}${rows.length} pairs are above`
  return { rows, notes: [`${found} (rule ${rule})`, sold], isGood: false }
}

export const nightsCommands: readonly Command[] = [rebuildNights]
