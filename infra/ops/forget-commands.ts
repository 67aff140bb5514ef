/** Forgetting a person, the list of who was forgotten, and applying that list to a database restored from an older backup. */
import { readFileSync } from 'node:fs'
import { forgetReasonSchema } from '@portolan/schemas/members/messages.ts'
import { forgottenSchema } from '@portolan/schemas/ops/views.ts'
import { z } from 'zod'
import { Obstacle } from '../launch/say.ts'
import type { Command } from './command.ts'
import type { Row } from './table.ts'

const rememberNote = 'add it to the list kept outside the databases: `npm run ops -- forgets --json > forgets.json`'

const forget: Command = {
  name: 'forget',
  takes: ['<tenant>', '<member>', '<reason>', '[reference]'],
  help: `blank everything a member gave, for good, as OPERATOR_EMAIL; reasons: ${forgetReasonSchema.options.join(', ')}`,
  async run({ asOperator }, { values: [tenant = '', member = '', reason, reference] }) {
    const path = `/ops/tenants/${encodeURIComponent(tenant)}/members/${encodeURIComponent(member)}/forget`
    const { forgottenAt } = forgottenSchema.parse(await asOperator(path, { reason, reference }))
    return { notes: [`${member} of ${tenant} is forgotten since ${forgottenAt}`, rememberNote] }
  },
}

/** Everything `reapply` needs; an entry names no person but by the programme's member id. */
const listSchema = z.array(
  z.strictObject({
    tenant: z.string(),
    member: z.string(),
    key: z.string(),
    reason: forgetReasonSchema,
    by: z.string(),
    at: z.iso.datetime(),
  }),
)

const forgets: Command = {
  name: 'forgets',
  takes: [],
  help: 'everybody who was forgotten; with --json the list to keep outside the databases',
  async run({ write }, { tenant }) {
    // All of them, whatever the limit: a list cut short would bring people back.
    const { rows } = await write.query<Row>(
      `select tenant_id as tenant, person_id as member, key_id as key, reason, forgotten_by as by,
         to_char(forgotten_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
       from forgotten_keys where ($1::text is null or tenant_id = $1) order by forgotten_at, tenant_id, key_id`,
      [tenant],
    )
    return { rows, none: 'nobody was forgotten' }
  },
}

const reapply: Command = {
  name: 'reapply',
  takes: ['<file>'],
  help: 'after restoring a backup, before starting: forget again whom the list of `forgets --json` names',
  async run({ write }, { values: [file = ''] }) {
    const list = readList(file)
    let deleted = 0
    await write.query('begin transaction read write')
    for (const { tenant, member, key, reason, by, at } of list) {
      const { rows } = await write.query<{ found: boolean }>('select reapply_forget($1, $2, $3, $4, $5, $6) as found', [
        tenant,
        member,
        key,
        reason,
        by,
        at,
      ])
      if (rows[0]?.found) deleted += 1
    }
    await write.query('commit')
    return { notes: [`${list.length} forgets applied; ${deleted} of their keys had come back`] }
  },
}

function readList(file: string): z.output<typeof listSchema> {
  try {
    return listSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    throw new Obstacle(`${file} is no list of \`npm run ops -- forgets --json\`: ${(error as Error).message}`)
  }
}

export const forgetCommands: readonly Command[] = [forget, forgets, reapply]
