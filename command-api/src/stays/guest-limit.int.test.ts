/**
 * The limit of an address, while Redis is away.
 *
 * Seen failing: without the limit; with one count for all addresses.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import type { RunningProcess } from '@portolan/infra/lifecycle.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { staysErrorSchema } from '@portolan/schemas/stays/views.ts'
import { expect } from 'chai'
import { commandApiConfigSchema } from '../config.ts'
import { start } from '../main.ts'

const key = () => `k:${randomBytes(32).toString('base64')}`
const LIMIT = 5

describe('the limit of guests', () => {
  let database: TestDatabase
  let running: RunningProcess

  before(async () => {
    database = await testDatabase('write')
    const env = {
      WRITE_DATABASE_URL: database.url,
      // Nobody listens there.
      REDIS_URL: 'redis://127.0.0.1:1',
      SERVICE_TOKEN: 'a-service-token-of-tests',
      PERSONAL_DATA_KEYS: key(),
      STAFF_JWT_KEYS: key(),
      COMMAND_API_PORT: '0',
      GUEST_RATE_LIMIT: String(LIMIT),
      LOG_LEVEL: 'error',
    }
    running = await start(loadConfig(commandApiConfigSchema, env))
  })
  after(async () => {
    await running?.stop()
    await database?.drop()
  })

  async function reserve(address: string) {
    // As the edge, which is on this machine, says who asks.
    const headers = { 'content-type': 'application/json', 'X-Forwarded-For': address, 'X-Access-Token': randomUUID() }
    const body = JSON.stringify({ property_id: 'nowhere', start_date: '2027-01-01', nights: 1 })
    const response = await fetch(`${running.url}/api/v1/reservations`, { method: 'POST', headers, body })
    const { code } = staysErrorSchema.parse(await response.json()).error
    return { answer: `${response.status} ${code}`, retryAfter: Number(response.headers.get('Retry-After')) }
  }

  it('is that of one address, whatever tokens it makes up, and says when to come again', async () => {
    for (let nth = 0; nth < LIMIT; nth++) expect((await reserve('203.0.113.1')).answer).to.equal('400 unknown_property')
    const refused = await reserve('203.0.113.1')
    expect(refused.answer).to.equal('429 rate_limit')
    expect(refused.retryAfter).to.be.within(1, 60)
    expect((await reserve('203.0.113.2')).answer).to.equal('400 unknown_property')
  })

  it('does not count what staff do', async () => {
    for (let nth = 0; nth <= LIMIT; nth++) {
      const response = await fetch(`${running.url}/api/v1/properties`, { method: 'POST' })
      expect(response.status).to.equal(401)
    }
  })

  it('is by default far above what 100 callers can ask of a process', () => {
    const { guestRateLimit } = loadConfig(commandApiConfigSchema, {
      WRITE_DATABASE_URL: database.url,
      SERVICE_TOKEN: 'a-service-token-of-tests',
      PERSONAL_DATA_KEYS: key(),
      STAFF_JWT_KEYS: key(),
    })
    expect(guestRateLimit / 60).to.be.at.least(20_000)
  })
})
