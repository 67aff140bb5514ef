/** The operator's commands about staff accounts, over real rows; what command-api does with them is tested there. */
import { testDatabase } from '@portolan/infra/testing/database.ts'
import { expect } from 'chai'
import pg from 'pg'
import type { Arguments } from './command.ts'
import type { Connections } from './connect.ts'
import { staffCommands } from './staff-commands.ts'

describe('npm run ops -- staff, disable, enable', () => {
  let database: Awaited<ReturnType<typeof testDatabase>>
  let write: pg.Client
  const asked: unknown[] = []

  before(async () => {
    database = await testDatabase('write')
    write = new pg.Client(database.adminUrl)
    await write.connect()
    await write.query(`insert into staff_accounts (account_id, email, password_hash, role, tenant_scope, disabled_at) values
      ('a1', 'boss@example.com', 'hash', 'operator', null, null), ('a2', 'jo@example.com', 'hash', 'viewer', 'coffeechain', '2026-11-21T10:00:00Z')`)
  })
  after(async () => {
    await write?.end()
    await database?.drop()
  })

  const run = (name: string, ...values: string[]) => {
    const command = staffCommands.find((candidate) => candidate.name === name)
    const asOperator = async (path: string, body: unknown) => {
      asked.push([path, body])
      return { accountId: 'a2', email: 'jo@example.com', role: 'viewer', tenantScope: null, disabledAt: null }
    }
    const args = { values, tenant: undefined, limit: 1, data: false } as Partial<Arguments> as Arguments
    return command?.run({ write, asOperator } as Partial<Connections> as Connections, args)
  }

  it('lists accounts without their hashes, and says when there are more', async () => {
    const { rows, notes } = (await run('staff')) ?? {}
    expect(rows).to.deep.equal([
      { email: 'boss@example.com', role: 'operator', tenant: 'all', account: 'a1', disabled: null },
    ])
    expect(notes).to.deep.equal(['the first 1; --limit shows more'])
  })

  it('asks command-api, as an operator, about the account with an e-mail of whatever case', async () => {
    expect((await run('disable', 'Jo@Example.com', 'Left'))?.notes).to.deep.equal(['jo@example.com is kept out'])
    expect((await run('enable', 'jo@example.com', 'Back'))?.notes).to.deep.equal(['jo@example.com may sign in'])
    expect(asked).to.deep.equal([
      ['/ops/staff/a2/disable', { reason: 'Left' }],
      ['/ops/staff/a2/enable', { reason: 'Back' }],
    ])
  })

  it('names what to do about an e-mail that nobody has', async () => {
    const refusal = await run('disable', 'nobody@example.com', 'x')?.catch((error: Error) => error.message)
    expect(refusal).to.equal('There is no staff account nobody@example.com: `npm run ops -- staff` lists them.')
  })
})
