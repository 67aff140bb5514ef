// Part of promise P15: the list that operators keep. Sabotages seen to fail: a list of the first hundred; a list that is read and not applied.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { expect } from 'chai'
import pg from 'pg'

describe('the list of who was forgotten', () => {
  let read: TestDatabase
  let write: TestDatabase
  let admin: pg.Client
  let folder: string

  before(async () => {
    folder = mkdtempSync(`${tmpdir()}/portolan-forgets-`)
    ;[read, write] = await Promise.all([testDatabase('read'), testDatabase('write')])
    admin = new pg.Client(write.adminUrl)
    await admin.connect()
  })
  after(async () => {
    await admin.end()
    await Promise.all([read.drop(), write.drop()])
    rmSync(folder, { recursive: true })
  })

  const ops = (...args: string[]) =>
    new Promise<{ code: number; out: string; said: string }>((resolve) => {
      const env = {
        ...process.env,
        READ_DATABASE_URL: read.adminUrl,
        WRITE_DATABASE_URL: write.adminUrl,
        KAFKA_BROKERS: '127.0.0.1:1', // nobody needs it
        SERVICE_TOKEN: 'a-service-token-of-tests',
      }
      execFile(process.execPath, ['infra/ops/main.ts', ...args], { env }, (error, out, said) =>
        resolve({ code: error ? Number(error.code) : 0, out, said }),
      )
    })
  const makeKey = (id: string) =>
    admin.query("insert into personal_keys values ('coffeechain', 'CC1234567', $1, 'wrapped', 'test')", [id])
  const keys = async () =>
    (await admin.query('select key_id from personal_keys order by key_id')).rows.map((row) => row.key_id)
  const save = (text: string) => {
    writeFileSync(`${folder}/forgets.json`, text)
    return `${folder}/forgets.json`
  }

  it('is whole however long, and forgets again what a backup brought back, but not what was made since', async () => {
    expect((await ops('forgets')).out).to.equal('nobody was forgotten\n')
    await admin.query(`
      insert into forgotten_keys
      select 'coffeechain', 'CC' || n, 'key-' || n, 'requested-by-member', 'staff:stf_1', now() from generate_series(1, 150) n`)
    const { out } = await ops('forgets', '--json')
    const list = JSON.parse(out)
    expect(list).to.have.length(150)
    expect(Object.keys(list[0])).to.deep.equal(['tenant', 'member', 'key', 'reason', 'by', 'at'])

    await admin.query('delete from forgotten_keys')
    await makeKey('key-7')
    const first = await ops('reapply', save(out))
    expect(first.code, first.said).to.equal(0)
    expect(first.said).to.include('150 forgets applied; 1 of their keys had come back')
    expect(await keys()).to.deep.equal([])
    await makeKey('key-new')
    expect((await ops('reapply', save(out))).said).to.include('0 of their keys')
    expect(await keys()).to.deep.equal(['key-new'])
    expect((await admin.query('select from forgotten_keys where not in_log')).rowCount, 'to be recorded').to.equal(150)
  })

  it('is applied whole or not at all, and only when it is one', async () => {
    const entry = {
      tenant: 'coffeechain',
      member: 'CC1',
      key: 'key-new',
      reason: 'legal-order',
      by: 'staff:s',
      at: 'soon',
    }
    for (const text of ['', '{}', JSON.stringify([{ ...entry, at: new Date().toISOString() }, entry])]) {
      const refused = await ops('reapply', save(text))
      expect(refused.code, text).to.equal(1)
      expect(refused.said).to.include('is no list of')
    }
    expect(await keys()).to.deep.equal(['key-new'])
  })
}).timeout(60_000)
