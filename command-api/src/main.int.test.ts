/**
 * The process as a whole: what it answers before anybody is known, and that it stops with nothing left open.
 *
 * Seen failing: with the body of /api/v1/staff/auth/password parsed before its sender is known; with a pool that is not ended.
 */
import { randomBytes } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import type { RunningProcess } from '@portolan/infra/lifecycle.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import pg from 'pg'
import { commandApiConfigSchema } from './config.ts'
import { start } from './main.ts'

const key = () => `k:${randomBytes(32).toString('base64')}`

describe('the command-api process', () => {
  let database: TestDatabase
  let running: RunningProcess

  before(async () => {
    database = await testDatabase('write')
    const env = {
      WRITE_DATABASE_URL: database.url,
      REDIS_URL: process.env.REDIS_URL,
      REDIS_KEY_PREFIX: `${database.name}:`,
      SERVICE_TOKEN: 'a-service-token-of-tests',
      PERSONAL_DATA_KEYS: key(),
      STAFF_JWT_KEYS: key(),
      COMMAND_API_PORT: '0',
      LOG_LEVEL: 'error',
    }
    running = await start(loadConfig(commandApiConfigSchema, env))
  })
  after(async () => {
    await running?.stop()
    await database?.drop()
  })

  const status = async (path: string, options?: RequestInit) => (await fetch(`${running.url}${path}`, options)).status
  const post = (path: string) =>
    status(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' })

  it('is ready and shows its documents', async () => {
    await eventually(async () => (await status('/health/ready')) === 200)
    for (const path of ['/openapi.json', '/asyncapi.json', '/docs']) expect(await status(path), path).to.equal(200)
  })

  it('asks everybody who they are before it reads a body', async () => {
    for (const path of ['/internal/attempts/start', '/ops/tenants/t/bookings/b/approve', '/api/v1/staff/auth/password'])
      expect(await post(path), path).to.equal(401)
    expect(await status('/ops/staff')).to.equal(401)
    const stranger = { 'X-Tenant-ID': 'nobody', 'X-CC-Member-ID': 'CC1234567', 'content-type': 'application/json' }
    expect(await status('/api/v1/bookings', { method: 'POST', headers: stranger, body: '{' })).to.equal(401)
  })

  it('stops, answers no more, and leaves no connection behind', async () => {
    const admin = new pg.Client(database.adminUrl)
    await admin.connect()
    const others = 'select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
    expect((await admin.query(others)).rowCount).to.be.greaterThan(0)
    await running.stop()
    expect(await status('/health/live').catch(() => 'gone')).to.equal('gone')
    // An idle connection that nobody ended would go by itself after ten seconds.
    await eventually(async () => (await admin.query(others)).rowCount === 0, { withinMs: 5000 })
    await admin.end()
  })
})
