/**
 * Loading rows over HTTP (contracts/ota-api.md 1 and 4).
 *
 * Seen failing: with all rows decided at once; with a fresh id for a repetition; with a fault where a row is refused; without the look at who
 * asks; without the look into the log for what a guest was sold.
 */
import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto'
import { loadConfig } from '@portolan/infra/config.ts'
import type { RunningProcess } from '@portolan/infra/lifecycle.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { LOAD_ROWS_MAX, type LoadAnswer, loadAnswerSchema } from '@portolan/schemas/stays/loading.ts'
import { expect } from 'chai'
import pg from 'pg'
import { commandApiConfigSchema } from '../config.ts'
import { start } from '../main.ts'
import { seed, seedConfigSchema } from '../seed.ts'

const key = () => `k:${randomBytes(32).toString('base64')}`
const stay = (
  propertyId: unknown,
  startDate: unknown,
  nights: unknown = 2,
  reservationId: unknown = randomUUIDv7(),
) => ({
  reservationId,
  propertyId,
  startDate,
  nights,
})

describe('loading stays', () => {
  let database: TestDatabase
  let running: RunningProcess
  let admin: pg.Client
  let staff = ''
  let made = 0

  before(async () => {
    database = await testDatabase('write')
    admin = new pg.Client(database.adminUrl)
    await admin.connect()
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
    await seed(loadConfig(seedConfigSchema, env))
    running = await start(loadConfig(commandApiConfigSchema, env))
    const signIn = { email: 'operator@portolan.example', password: 'portolan-demo-operator' }
    staff = String((await post('/api/v1/staff/auth/login', signIn)).body.accessToken)
  })
  after(async () => {
    await running?.stop()
    await admin?.end()
    await database?.drop()
  })

  async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${running.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', Authorization: `Bearer ${staff}`, ...headers },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  async function load(rows: object, headers: Record<string, string> = {}): Promise<LoadAnswer> {
    const { status, body } = await post('/ops/stays/load', rows, headers)
    expect(status, JSON.stringify(body)).to.equal(200)
    return loadAnswerSchema.parse(body)
  }
  async function newProperty(): Promise<string> {
    const propertyId = `villa-${++made}`
    expect(await load({ properties: [{ propertyId, description: 'A villa' }] })).to.include({ loaded: 1 })
    return propertyId
  }
  const codesOf = ({ refused }: LoadAnswer) => refused.map(({ row, code }) => `${row} ${code}`)
  async function nightsOf(propertyId: string) {
    const { rows } = await admin.query(
      `select coalesce(sum(bit_count(taken::bit(32))), 0)::int as taken, coalesce(sum(bit_count(twice::bit(32))), 0)::int as twice
       from stay_months where property_id = $1`,
      [propertyId],
    )
    return rows[0]
  }

  it('appends each row as an event of its own, and nothing when the same rows come again', async () => {
    const properties = [
      { propertyId: 'attic', description: 'An attic', capacity: 2 },
      { propertyId: 'barn', description: 'A barn' },
    ]
    const reservations = [stay('attic', '2021-01-02'), stay('attic', '2021-01-04', 7), stay('barn', '2021-01-02')]
    const first = await load({ properties, reservations })
    expect(first).to.deep.equal({
      loaded: 5,
      present: 0,
      refused: [],
      reservationIds: reservations.map(({ reservationId }) => reservationId),
    })
    expect(await load({ properties, reservations })).to.include({ loaded: 0, present: 5 })
    const { rows } = await admin.query(
      `select type, data ->> 'holder' as holder, metadata #>> '{actor,kind}' as actor from events
       where data ->> 'propertyId' = 'attic' order by type, data ->> 'startDate'`,
    )
    const reserved = { type: 'StayReserved', holder: null, actor: 'staff' }
    expect(rows).to.deep.equal([{ ...reserved, type: 'PropertyRegistered' }, reserved, reserved])
    expect(await nightsOf('attic')).to.deep.equal({ taken: 9, twice: 0 })
    const guest = { Authorization: `Bearer ${randomUUID()}` }
    const request = { property_id: 'attic', start_date: '2021-01-03', nights: 1 }
    expect((await post('/api/v1/reservations', request, guest)).body.error).to.include({ code: 'not_available' })
  })

  it('refuses rows by themselves, with a reason, and loads the others', async () => {
    const villa = await newProperty()
    const taken = stay(villa, '2021-05-01')
    const answer = await load({
      properties: [
        { propertyId: villa, description: 'Another villa' },
        { propertyId: 'two words', description: 'A flat' },
        { propertyId: 'mute', description: null },
        'text',
      ],
      reservations: [
        taken,
        stay(null, '2021-01-02'),
        stay(villa, null),
        stay(villa, '2021-01-02', null),
        stay(villa, '2021-01-02', 0),
        stay(villa, '2021-01-02', 366),
        stay(villa, '2021-02-30'),
        stay(villa, '9999-12-30', 2),
        stay('nowhere', '2021-01-02'),
        stay('two words', '2021-01-02'),
        stay(villa, '2021-05-02'),
        stay(villa, '2021-06-01', 2, taken.reservationId),
        stay(villa, '2021-05-03', 365),
      ],
    })
    expect(answer.loaded).to.equal(2)
    expect(answer.refused.filter(({ list }) => list === 'properties').map(({ code }) => code)).to.deep.equal([
      'conflict',
      ...['validation-error', 'validation-error', 'validation-error'],
    ])
    const refused = { ...answer, refused: answer.refused.filter(({ list }) => list === 'reservations') }
    expect(codesOf(refused)).to.deep.equal([
      ...[1, 2, 3, 4, 5, 6, 7].map((row) => `${row} validation-error`),
      '8 unknown-property',
      '9 unknown-property',
      '10 not-available',
      '11 conflict',
    ])
    expect(refused.refused[3]?.reason).to.equal('nights: Must be at least 1')
    expect(answer.reservationIds.filter(Boolean)).to.have.length(2)
    const metrics = await (await fetch(`${running.url}/metrics`)).text()
    expect(metrics).to.match(/stays_commands_total\{command="load",code="not-available".*\} 1\n/)
  })

  it('lets the first of those that overlap stand, whoever else is loaded', async () => {
    const villa = await newProperty()
    const others = Array.from({ length: 40 }, (_, nth) => stay(villa, `20${30 + nth}-01-01`, 365))
    const first = stay(villa, '2021-01-01', 3)
    const again = { ...first, reservationId: randomUUIDv7() }
    const answer = await load({ reservations: [...others, first, stay(villa, '2021-01-02', 300), again] })
    expect(codesOf(answer)).to.deep.equal(['41 not-available', '42 not-available'])
  })

  it('takes nights a second time only when asked to', async () => {
    const villa = await newProperty()
    const rows = [stay(villa, '2021-01-02'), stay(villa, '2021-01-03')]
    expect(codesOf(await load({ reservations: rows }))).to.deep.equal(['1 not-available'])
    expect(await nightsOf(villa)).to.deep.equal({ taken: 2, twice: 0 })
    expect(await load({ asIs: true, reservations: rows })).to.include({ loaded: 1, present: 1 })
    expect(await nightsOf(villa)).to.deep.equal({ taken: 3, twice: 1 })
    expect(codesOf(await load({ asIs: true, reservations: [stay('nowhere', '2021-01-02')] }))).to.deep.equal([
      '0 unknown-property',
    ])
  })

  it('takes no night that a guest was sold, as it is or not, in one commit with the guest or after', async () => {
    const guest = { Authorization: `Bearer ${randomUUID()}` }
    for (const together of [true, false]) {
      const villa = await newProperty()
      const wanted = { property_id: villa, start_date: '2021-01-03', nights: 2 }
      const reserving = post('/api/v1/reservations', wanted, guest)
      if (!together) await reserving
      const loading = load({ asIs: true, reservations: [stay(villa, '2021-01-02')] })
      const [{ status }, { loaded }] = await Promise.all([reserving, loading])
      expect([status, loaded]).to.deep.equal(together && status === 400 ? [400, 1] : [200, 0])
      expect(await nightsOf(villa)).to.deep.equal({ taken: 2, twice: 0 })
    }
  })

  it('gives rows without an id one, the same to a repetition with the key', async () => {
    const villa = await newProperty()
    const rows = {
      reservations: ['2021-01-02', '2021-01-10', '2021-01-11'].map((startDate) => ({
        propertyId: villa,
        startDate,
        nights: 2,
      })),
    }
    expect((await post('/ops/stays/load', rows)).body).to.include({ status: 400, code: 'validation-error' })
    const again = { 'Idempotency-Key': randomUUID() }
    const answers = await Promise.all([load(rows, again), load(rows, again)])
    const [first] = answers
    expect(first?.reservationIds.map((id) => id?.[14])).to.deep.equal(['7', '7', undefined])
    answers.push(await load(rows, again))
    for (const { reservationIds, loaded, refused } of answers)
      expect({ reservationIds, loaded, refused: refused.length }).to.deep.equal({
        reservationIds: first?.reservationIds,
        loaded: 2,
        refused: 1,
      })
    const other = await post('/ops/stays/load', { ...rows, asIs: true }, again)
    expect(other).to.deep.include({ status: 422 })
    expect(await nightsOf(villa)).to.deep.equal({ taken: 4, twice: 0 })
  })

  it('is for operators, and bounded', async () => {
    for (const Authorization of ['', `Bearer ${randomUUID()}`, 'Bearer a-service-token-of-tests'])
      expect((await post('/ops/stays/load', {}, { Authorization })).status).to.equal(401)
    const properties = (count: number) =>
      Array.from({ length: count }, (_, nth) => ({ propertyId: `flat-${nth}`, description: 'ü'.repeat(2000) }))
    expect((await post('/ops/stays/load', { properties: properties(LOAD_ROWS_MAX + 1) })).status).to.equal(400)
    expect((await post('/ops/stays/load', { propertys: [] })).status).to.equal(400)
    expect(await load({ properties: properties(LOAD_ROWS_MAX) })).to.include({ loaded: LOAD_ROWS_MAX })
  })
})
