// Sabotage seen to fail: setting the tenant for the session instead of the transaction.
import { expect } from 'chai'
import pg from 'pg'
import { createPool, inTransaction, type PoolOptions, withTenant } from './postgres.ts'
import { type TestDatabase, testDatabase } from './testing/database.ts'
import { eventually } from './testing/eventually.ts'
import { createRecordingLogger } from './testing/recording-logger.ts'

describe('a pool', () => {
  let database: TestDatabase
  const pools: pg.Pool[] = []
  const logger = createRecordingLogger()
  const open = (options: Partial<PoolOptions> = {}) => {
    const pool = createPool({ url: database.url, max: 2, name: 'test pool', ...options }, logger)
    pools.push(pool)
    return pool
  }
  const tenantOf = async (pool: pg.Pool) =>
    (await pool.query("select nullif(current_setting('portolan.tenant', true), '') as tenant")).rows[0].tenant
  const asTenant = { text: "select current_setting('portolan.tenant') as tenant" }
  const failing = { text: 'select 1 / 0' }

  before(async () => {
    database = await testDatabase('write')
  })
  after(async () => {
    await Promise.all(pools.map((pool) => pool.end()))
    await database.drop()
  })

  it('works under its name and role, with numbers for bigint', async () => {
    const { rows } = await open().query(
      "select current_user as role, current_setting('application_name') as name, 9007199254740991::bigint as big, null::bigint as none",
    )
    expect(rows[0]).to.deep.equal({
      role: 'portolan_command_api',
      name: 'test pool',
      big: Number.MAX_SAFE_INTEGER,
      none: null,
    })
  })

  for (const pipeline of [true, false]) {
    describe(pipeline ? 'that sends queries together' : 'that sends queries one by one', () => {
      it('runs queries as one tenant, and as none afterwards', async () => {
        const pool = open({ pipeline, max: 1 })
        const results = await withTenant(pool, 'coffeechain', [asTenant, { text: 'select $1::int as n', values: [7] }])
        expect(results.map(({ rows }) => rows[0])).to.deep.equal([{ tenant: 'coffeechain' }, { n: 7 }])
        expect(await tenantOf(pool)).to.equal(null)
      })

      it("takes a tenant's name for a name, whatever is in it", async () => {
        const [result] = await withTenant(open({ pipeline }), "x'; drop table events; --", [asTenant])
        expect(result?.rows[0].tenant).to.equal("x'; drop table events; --")
      })

      it('throws the first error, commits nothing, and stays usable', async () => {
        const pool = open({ pipeline, max: 1 })
        const insert = {
          text: "insert into idempotency_keys (tenant_id, principal, method, path, key, body_hash) values ('t', 'p', 'm', 'x', $1, 'h')",
          values: [`key-${pipeline}`],
        }
        const failure = await withTenant(pool, 't', [insert, failing, asTenant]).catch((error) => error)
        expect(failure).to.have.property('code', '22012')
        const [found] = await withTenant(pool, 't', [
          { text: 'select from idempotency_keys where key = $1', values: [`key-${pipeline}`] },
        ])
        expect(found?.rowCount).to.equal(0)
        expect(await tenantOf(pool)).to.equal(null)
      })

      it('runs queries on a client it is given', async () => {
        const client = await open({ pipeline }).connect()
        const [result] = await withTenant(client, 't', [asTenant])
        expect(result?.rows[0].tenant).to.equal('t')
        client.release()
      })

      it('heals after its connections were cut', async () => {
        const pool = open({ pipeline, max: 1, name: `to be cut ${pipeline}` })
        await withTenant(pool, 't', [asTenant])
        const admin = new pg.Client({ connectionString: database.adminUrl })
        await admin.connect()
        await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
          `to be cut ${pipeline}`,
        ])
        await admin.end()
        await eventually(async () => (await withTenant(pool, 't', [asTenant])).length === 1)
      })
    })
  }

  it('rolls a transaction back when its work throws, and commits when it returns', async () => {
    const pool = open({ max: 1 })
    await pool.query("select set_config('portolan.tenant', 't', false)")
    const insert = (key: string) =>
      `insert into idempotency_keys (tenant_id, principal, method, path, key, body_hash) values ('t', 'p', 'm', 'y', '${key}', 'h')`
    const failure = await inTransaction(pool, async (client) => {
      await client.query(insert('undone'))
      throw new Error('changed its mind')
    }).catch((error) => error)
    expect(failure.message).to.equal('changed its mind')
    await inTransaction(pool, (client) => client.query(insert('done')))
    const { rows } = await pool.query("select key from idempotency_keys where path = 'y'")
    expect(rows).to.deep.equal([{ key: 'done' }])
  })

  it('ends statements and idle transactions at their limits', async () => {
    const pool = open({ statementTimeoutMs: 30, idleInTransactionTimeoutMs: 30, max: 1 })
    const slow = await pool.query('select pg_sleep(5)').catch((error) => error)
    expect(slow).to.have.property('code', '57014')
    const client = await pool.connect()
    const lost = new Promise<Error>((resolve) => client.once('error', resolve))
    await client.query('begin')
    expect(await lost).to.have.property('code', '25P03')
    client.release(true)
    expect((await pool.query('select 1 as one')).rows).to.deep.equal([{ one: 1 }])
  })

  it('gives up connecting to nobody', async () => {
    const failure = await open({ url: 'postgres://127.0.0.1:1/x' })
      .query('select 1')
      .catch((error) => error)
    expect(failure).to.have.property('code', 'ECONNREFUSED')
  })
})
