/** Properties over HTTP, by staff. Seen failing: without the guard on `describe`; with the effect of `retire` left out. */
import { randomBytes, randomUUID } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import type { RunningProcess } from '@portolan/infra/lifecycle.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { propertySchema, staysErrorSchema } from '@portolan/schemas/stays/views.ts'
import { expect } from 'chai'
import { commandApiConfigSchema } from '../config.ts'
import { start } from '../main.ts'
import { seed, seedConfigSchema } from '../seed.ts'

const key = () => `k:${randomBytes(32).toString('base64')}`

describe('properties', () => {
  let database: TestDatabase
  let running: RunningProcess
  let staff = ''

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
      OPERATOR_PASSWORD: 'a-password-of-tests',
    }
    await seed(loadConfig(seedConfigSchema, { ...env, WRITE_DATABASE_URL: database.url }))
    running = await start(loadConfig(commandApiConfigSchema, env))
    const signIn = { email: 'operator@portolan.example', password: env.OPERATOR_PASSWORD }
    const { body } = await post('/api/v1/staff/auth/login', signIn)
    staff = String(body.accessToken)
  })
  after(async () => {
    await running?.stop()
    await database?.drop()
  })

  async function post(
    path: string,
    body: unknown,
    headers: Record<string, string> = { Authorization: `Bearer ${staff}` },
  ) {
    const response = await fetch(`${running.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    const answer = (await response.json()) as Record<string, unknown>
    return { status: response.status, body: answer, location: response.headers.get('Location') }
  }
  const codeOf = ({ body }: { body: unknown }) => staysErrorSchema.parse(body).error.code
  const reserve = (propertyId: unknown) =>
    post(
      '/api/v1/reservations',
      { property_id: propertyId, start_date: `2027-01-${String(10 + ++day)}`, nights: 1 },
      { Authorization: `Bearer ${randomUUID()}` },
    )
  let day = 0

  it('are registered with what the host says, and can be reserved from then on', async () => {
    const facts = {
      description: '3 bedroom house, cook’s kitchen',
      capacity: 6,
      nightly_price: { amount_minor: 18_900, currency: 'EUR' },
      location: { latitude: 47.37, longitude: 8.54 },
    }
    const { status, body, location } = await post('/api/v1/properties', { property_id: 'g3hbWxJ5TdXidt', ...facts })
    expect(status).to.equal(201)
    expect(propertySchema.parse(body)).to.deep.equal({ property_id: 'g3hbWxJ5TdXidt', ...facts, is_retired: false })
    expect(location).to.equal('/api/v1/properties/g3hbWxJ5TdXidt')
    expect((await reserve('g3hbWxJ5TdXidt')).status).to.equal(200)
    const unnamed = (await post('/api/v1/properties', { description: 'A flat' })).body
    expect(unnamed.property_id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    expect(unnamed).to.include({ capacity: null, nightly_price: null, location: null })
    expect((await reserve(unnamed.property_id)).status).to.equal(200)
  })

  it('are registered once, and a retry with its key finds the same one', async () => {
    const body = { description: 'A hut' }
    const again = { Authorization: `Bearer ${staff}`, 'Idempotency-Key': randomUUID() }
    const first = await post('/api/v1/properties', body, again)
    expect((await post('/api/v1/properties', body, again)).body.property_id).to.equal(first.body.property_id)
    const taken = await post('/api/v1/properties', { ...body, property_id: first.body.property_id })
    expect({ status: taken.status, code: codeOf(taken) }).to.deep.equal({ status: 409, code: 'conflict' })
  })

  it('are described anew, and retired: then they keep their reservations and take no other', async () => {
    const { property_id: id } = (await post('/api/v1/properties', { description: 'A barn', capacity: 2 })).body
    const again = { Authorization: `Bearer ${staff}`, 'Idempotency-Key': randomUUID() }
    const described = await post(`/api/v1/properties/${id}/describe`, { description: 'A loft' }, again)
    expect(described.body).to.include({ description: 'A loft', capacity: null, is_retired: false })
    expect((await reserve(id)).status).to.equal(200)
    for (let time = 0; time < 2; time++)
      expect((await post(`/api/v1/properties/${id}/retire`, {})).body).to.include({
        description: 'A loft',
        is_retired: true,
      })
    expect(codeOf(await reserve(id))).to.equal('unknown_property')
    expect((await post(`/api/v1/properties/${id}/describe`, { description: 'A ruin' })).status).to.equal(409)
    const retried = await post(`/api/v1/properties/${id}/describe`, { description: 'A loft' }, again)
    expect(retried.body).to.deep.equal(described.body)
  })

  it('are nobody’s but the staff’s, and what is said of them is checked', async () => {
    const strangers: Record<string, string>[] = [{}, { Authorization: `Bearer ${randomUUID()}` }]
    for (const path of ['/api/v1/properties', '/api/v1/properties/x/describe', '/api/v1/properties/x/retire'])
      for (const headers of strangers)
        expect((await post(path, { description: 'Mine' }, headers)).status, path).to.equal(401)
    for (const body of [
      {},
      { description: '' },
      { description: 'A', capacity: 0 },
      { description: 'A\u0000' },
      { description: 'A', nightly_price: { amount_minor: 1.5, currency: 'EUR' } },
      { description: 'A', location: { latitude: 91, longitude: 0 } },
      { description: 'A', property_id: 'two words' },
      { description: 'A', stars: 5 },
    ]) {
      const answer = await post('/api/v1/properties', body)
      expect({ status: answer.status, code: codeOf(answer) }).to.deep.equal({ status: 400, code: 'validation_error' })
    }
    for (const verb of ['describe', 'retire'])
      for (const id of ['nowhere', 'x'.repeat(3000)])
        expect((await post(`/api/v1/properties/${id}/${verb}`, { description: 'A' })).status).to.equal(404)
    const elsewhere = { Authorization: `Bearer ${staff}`, 'X-Tenant-ID': 'coffeechain' }
    expect((await post('/api/v1/properties', { description: 'A' }, elsewhere)).status).to.equal(404)
  })
})
