/** Staff accounts: which there are, and keeping one out. */
import { staffAccountViewSchema } from '@portolan/schemas/staff/views.ts'
import { Obstacle } from '../launch/say.ts'
import { type Command, firstRows } from './command.ts'
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

const staff: Command = {
  name: 'staff',
  takes: [],
  help: 'staff accounts, and who is kept out',
  async run({ write }, { tenant, limit }) {
    const { rows } = await write.query<Row>(
      `select email, role, coalesce(tenant_scope, 'all') as tenant, account_id as account,
         to_char(disabled_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as disabled
       from staff_accounts where $1::text is null or tenant_scope = $1
       order by email limit $2`,
      [tenant, limit + 1],
    )
    return { ...firstRows(rows, limit), none: 'no staff accounts' }
  },
}

const disable: Command = {
  name: 'disable',
  takes: ['<email>', '<reason>'],
  help: 'keep a member of staff out, signed in or not, as OPERATOR_EMAIL; the reason stands in the audit trail',
  run: (connections, { values }) => change(connections, 'disable', values, 'is kept out'),
}

const enable: Command = {
  name: 'enable',
  takes: ['<email>', '<reason>'],
  help: 'let a member of staff in again, as OPERATOR_EMAIL',
  run: (connections, { values }) => change(connections, 'enable', values, 'may sign in'),
}

async function change(
  { write, asOperator }: Connections,
  verb: 'disable' | 'enable',
  [email = '', reason]: readonly string[],
  done: string,
) {
  const { rows } = await write.query<{ account_id: string }>(
    'select account_id from staff_accounts where email = lower($1)',
    [email],
  )
  const [account] = rows
  if (!account) throw new Obstacle(`There is no staff account ${email}: \`npm run ops -- staff\` lists them.`)
  const answer = await asOperator(`/ops/staff/${encodeURIComponent(account.account_id)}/${verb}`, { reason })
  return { notes: [`${staffAccountViewSchema.parse(answer).email} ${done}`] }
}

export const staffCommands: readonly Command[] = [staff, disable, enable]
