import { expect } from 'chai'
import pg from 'pg'
import { migrate } from './migrate.ts'

describe('migrating', () => {
  const serverUrl = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres'
  const name = `portolan_migrate_test_${process.pid}`
  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
  const onServer = async (text: string) => {
    const client = new pg.Client(serverUrl)
    await client.connect()
    await client.query(text)
    await client.end()
  }

  beforeEach(() => onServer(`create database ${name}`))
  afterEach(() => onServer(`drop database ${name} with (force)`))

  it('is done once by instances that start together', async () => {
    const all = await Promise.all([1, 2, 3].map(() => migrate({ url, folder: 'write' })))
    const applied = all.flatMap((one) => one.applied)
    expect(applied).to.include('000001_event_store.ts')
    expect(new Set(applied).size).to.equal(applied.length)
    expect((await migrate({ url, folder: 'write' })).applied).to.deep.equal([])
  })

  it('goes on after an instance was killed while it migrated', async () => {
    await migrate({ url, folder: 'write' })
    const client = new pg.Client(url)
    await client.connect()
    await client.query('update migrations_lock set is_locked = 1')
    await client.end()
    expect((await migrate({ url, folder: 'write' })).applied).to.deep.equal([])
  })
})
