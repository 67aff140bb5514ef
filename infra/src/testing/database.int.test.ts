import { expect } from 'chai'
import pg from 'pg'
import { testDatabase } from './database.ts'

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

describe('a test database', () => {
  for (const [folder, role] of [
    ['write', 'portolan_command_api'],
    ['read', 'portolan_query_api'],
  ] as const) {
    it(`of the ${folder} side is migrated, has the server settings of its migrations, and is used as ${role}`, async () => {
      const database = await testDatabase(folder)
      try {
        const [who] = await query(database.url, 'select current_user as role, current_database() as name')
        expect(who).to.deep.equal({ role, name: database.name })
        const [migrated] = await query(database.adminUrl, 'select count(*)::int as n from migrations')
        expect(migrated?.n).to.be.greaterThan(0)
        const [setting] = await query(
          database.url,
          "select current_setting('idle_in_transaction_session_timeout') as limit",
        )
        expect(setting?.limit).to.not.equal('0')
      } finally {
        await database.drop()
      }
    })
  }

  it('is empty however full another is, and gone after its drop, open connections or not', async () => {
    const [one, other] = [await testDatabase('write'), await testDatabase('write')]
    await query(one.adminUrl, 'create table litter (id int)')
    expect(await query(other.adminUrl, "select to_regclass('litter') as litter")).to.deep.equal([{ litter: null }])
    const client = new pg.Client({ connectionString: one.url })
    client.on('error', () => {}) // cut by the drop
    await client.connect()
    await one.drop()
    const left = await query(other.adminUrl, `select datname from pg_database where datname = '${one.name}'`)
    expect(left).to.deep.equal([])
    await other.drop()
    await client.end().catch(() => undefined)
  })

  it('left by a run that was killed is dropped by the next', async () => {
    const database = await testDatabase('write')
    const serverUrl = database.adminUrl.replace(/\/[^/]*$/, '/postgres')
    // A process id that no process can have.
    const orphan = database.name.replace(/_\d+_/, '_99999999_')
    await query(serverUrl, `create database ${orphan}`)
    const next = await testDatabase('write')
    expect(await query(serverUrl, `select from pg_database where datname = '${orphan}'`)).to.have.length(0)
    expect(await query(serverUrl, `select from pg_database where datname = '${database.name}'`)).to.have.length(1)
    await database.drop()
    await next.drop()
  })
})
