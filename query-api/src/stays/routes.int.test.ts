/**
 * Searching stays and reading reservations over HTTP, on real rows (contracts/ota-api.md).
 * Seen failing: with the occupied days of `nights` under every rule, with 400 before 401, with a page that forgets its cursor, with the read that
 * does not wait for what its token wrote.
 */

import { createHash, randomUUID } from 'node:crypto'
import { expectedResults, sampleReservations } from '@portolan/schemas/stays/contract-results.ts'
import { type IntervalRule, intervalRules } from '@portolan/schemas/stays/periods.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { type QueryFixture, queryFixture } from '../query-fixture.ts'

const token = randomUUID()

describe('stays in query-api', () => {
  let fixture: QueryFixture
  const apis = {} as Record<IntervalRule, { url: string; stop(): Promise<void> }>
  const ids = new Map<string, string>()

  before(async () => {
    fixture = await queryFixture()
    for (const [propertyId, reservations] of Object.entries(sampleReservations)) {
      await insertProperty(propertyId)
      for (const [startDate, nights] of reservations)
        ids.set(`${propertyId} ${startDate}`, await insertReservation(propertyId, startDate, nights))
    }
    for (const rule of intervalRules) apis[rule] = await fixture.startProcess({ intervalRule: rule, readWaitMs: 300 })
  })
  after(async () => {
    for (const api of Object.values(apis)) await api.stop()
    await fixture.close()
  })

  async function insertProperty(
    propertyId: string,
    { capacity = null as number | null, price = null as number | null } = {},
  ) {
    await fixture.admin.query(
      `insert into stays_1.stay_properties values ('stays', $1, 'Property ' || $1, $2, $3, case when $3::bigint is not null then 'USD' end, null, null, false, 1)`,
      [propertyId, capacity, price],
    )
    await fixture.admin.query(`select place_stay_properties('stays_1', 'stays', array[$1])`, [propertyId])
    await fixture.admin.query(
      `update stays_1.index_blocks b set live = set_bit(live, x.slot, 1) from stays_1.index_places x
       where x.property_id = $1 and x.block = b.block`,
      [propertyId],
    )
  }

  async function insertReservation(propertyId: string, startDate: string, nights: number, status = 'reserved') {
    const reservationId = randomUUID()
    await fixture.admin.query(`insert into stays_1.stay_reservations values ('stays', $1, $2, $3, $4, $5, 1)`, [
      reservationId,
      propertyId,
      startDate,
      nights,
      status,
    ])
    await fixture.admin.query(
      `insert into stays_1.index_nights as n select 'stays', x.block, $2::date + nth, set_bit(repeat('0', 1024)::bit(1024), x.slot, 1)
       from stays_1.index_places x, generate_series(0, $3 - 1) as nth where x.property_id = $1
       on conflict (tenant_id, block, day) do update set taken = n.taken | excluded.taken`,
      [propertyId, startDate, nights],
    )
    return reservationId
  }

  const get = async (
    path: string,
    headers: Record<string, string> = { Authorization: `Bearer ${token}` },
    rule: IntervalRule = 'nights',
  ) => {
    const response = await fetch(`${apis[rule].url}${path}`, { headers })
    // Each test checks what it needs of the body.
    return { status: response.status, headers: response.headers, body: (await response.json()) as never as Body }
  }
  type Body = {
    properties: { property_id: string }[]
    reservations: { reservation_id: string; start_date: string }[]
    next_cursor?: string
    error: { code: string; details?: { field: string }[] }
  }
  const available = (query: string, headers?: Record<string, string>, rule?: IntervalRule) =>
    get(`/api/v1/properties/available?${query}`, headers, rule)
  const idsOf = ({ body }: { body: Body }) => body.properties.map((found) => found.property_id)

  for (const [start, nights, taken] of expectedResults) {
    for (const rule of intervalRules) {
      it(`finds what the contract's table says: ${start}, ${nights}, ${rule}`, async () => {
        const answer = await available(`start_date=${start}&nights=${nights}`, undefined, rule)
        expect(answer.status).to.equal(200)
        expect(answer.headers.get('X-Interval-Rule')).to.equal(rule)
        const free = Object.keys(sampleReservations).filter((id) => !taken[rule].split(' ').includes(id))
        expect(idsOf(answer)).to.deep.equal(free.sort((a, b) => (a < b ? -1 : 1)))
      })
    }
  }

  it('takes number_of_nights for nights, and the token from wherever it may stand', async () => {
    const query = 'start_date=2021-01-20&number_of_nights=1'
    for (const [more, headers] of [
      ['', { Authorization: `bearer ${token.toUpperCase()}` }],
      ['', { 'X-Access-Token': token }],
      [`&access_token=${token}`, {}],
      [`&token=${token}`, { Authorization: `Bearer ${token}` }],
    ] as const)
      expect((await available(query + more, headers)).status).to.equal(200)
  })

  it('answers 401 before anything else', async () => {
    for (const [query, headers] of [
      ['start_date=2021-02-30&nights=x', {}],
      ['start_date=2021-01-20&nights=1', { Authorization: token }],
      ['start_date=2021-01-20&nights=1', { Authorization: `Bearer {${token}}` }],
      [`start_date=2021-01-20&nights=1&token=${randomUUID()}`, { Authorization: `Bearer ${token}` }],
      ['limit=0', { Authorization: 'Bearer none', 'X-Tenant-ID': 'coffeechain' }],
    ] as const) {
      const { status, headers: answered, body } = await available(query, headers)
      expect(status, query).to.equal(401)
      expect(answered.get('WWW-Authenticate')).to.equal('Bearer')
      expect(body.error.code).to.equal('unauthorized')
    }
    expect((await get(`/api/v1/reservations/${randomUUID()}`, {})).status).to.equal(401)
    expect((await get('/api/v1/properties/xE6v/reservations', {})).status).to.equal(401)
    for (const path of [
      '/api/v1/properties/available?start_date=%00',
      '/api/v1/properties/%ZZ/reservations',
      '/api/v1/reservations/%ZZ',
    ]) {
      expect((await get(path, {})).status, path).to.equal(401)
      expect((await get(path, { Authorization: `Bearer ${token}` })).status, path).to.equal(400)
    }
  })

  it('answers 400 and says which parameter it did not take', async () => {
    const fine = 'start_date=2021-01-20&nights=1'
    for (const [query, field] of [
      ['nights=1', 'start_date'],
      ['start_date=2021-02-30&nights=1', 'start_date'],
      ['start_date=20210120&nights=1', 'start_date'],
      ['start_date=9999-12-31&nights=1', 'start_date'],
      ['start_date=2021-01-20', 'nights'],
      ['start_date=2021-01-20&nights=0', 'nights'],
      ['start_date=2021-01-20&nights=366', 'nights'],
      ['start_date=2021-01-20&nights=1.5', 'nights'],
      ['start_date=2021-01-20&nights=1&nights=2', 'nights'],
      [`${fine}&number_of_nights=2`, 'number_of_nights'],
      [`${fine}&limit=0`, 'limit'],
      [`${fine}&limit=1001`, 'limit'],
      [`${fine}&cursor=nonsense`, 'cursor'],
      [`${fine}&guests=none`, 'guests'],
      [`${fine}&price_max=100`, 'currency'],
      [`${fine}&bounds=1,2,3`, 'bounds'],
      [`${fine}&text=x`, 'text'],
    ] as const) {
      const { status, body } = await available(query)
      expect(status, query).to.equal(400)
      expect(body.error.code).to.equal('validation_error')
      expect(
        body.error.details?.map((detail) => detail.field),
        query,
      ).to.include(field)
    }
  })

  it('answers 404 for another tenant, and where nothing is free', async () => {
    const query = 'start_date=2021-01-20&nights=1'
    expect((await available(query, { Authorization: `Bearer ${token}`, 'X-Tenant-ID': 'stays' })).status).to.equal(200)
    expect(
      (await available(query, { Authorization: `Bearer ${token}`, 'X-Tenant-ID': 'coffeechain' })).status,
    ).to.equal(404)
    const none = await available(`${query}&guests=900`)
    expect([none.status, none.body.error.code]).to.deep.equal([404, 'no_availability'])
  })

  it('pages by id, and an exhausted cursor is an empty page', async () => {
    const query = 'start_date=2021-01-20&nights=1'
    const all = idsOf(await available(query))
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await available(`${query}&limit=3${cursor ? `&cursor=${cursor}` : ''}`)
      expect(page.body.properties.length).to.be.within(1, 3)
      seen.push(...idsOf(page))
      cursor = page.body.next_cursor
    } while (cursor)
    expect(seen).to.deep.equal(all)
    const behind = Buffer.from(JSON.stringify([all.at(-1)])).toString('base64url')
    const exhausted = await available(`${query}&cursor=${behind}`)
    expect([exhausted.status, exhausted.body]).to.deep.equal([200, { properties: [] }])
  })

  it('shows what the host has said, and finds by it', async () => {
    await insertProperty('A1', { capacity: 6, price: 12_000 })
    const query = 'start_date=2021-01-20&nights=1'
    for (const filter of ['guests=6', 'currency=USD&price_min=12000&price_max=12000', 'text=property%20a1'])
      expect((await available(`${query}&${filter}`)).body, filter).to.deep.equal({
        properties: [
          {
            property_id: 'A1',
            description: 'Property A1',
            capacity: 6,
            nightly_price: { amount_minor: 12_000, currency: 'USD' },
          },
        ],
      })
    const plain = (await available(query)).body.properties.find((found) => found.property_id === 'ApkY')
    expect(plain).to.deep.equal({ property_id: 'ApkY', description: 'Property ApkY' })
  })

  it('shows a reservation, and those of a property that stand, by date', async () => {
    const reservationId = ids.get('xE6v 2021-01-04')
    const one = await get(`/api/v1/reservations/${reservationId?.toUpperCase()}`)
    expect(one.body).to.deep.equal({
      reservation_id: reservationId,
      property_id: 'xE6v',
      start_date: '2021-01-04',
      end_date: '2021-01-11',
      nights: 7,
      status: 'reserved',
    })
    const cancelled = await insertReservation('xE6v', '2021-03-01', 1, 'cancelled')
    expect((await get(`/api/v1/reservations/${cancelled}`)).body).to.include({ status: 'cancelled' })
    const first = await get('/api/v1/properties/xE6v/reservations?limit=2')
    const second = await get(`/api/v1/properties/xE6v/reservations?limit=2&cursor=${first.body.next_cursor}`)
    const starts = [...first.body.reservations, ...second.body.reservations].map((stay) => stay.start_date)
    expect(starts).to.deep.equal(['2021-01-02', '2021-01-04', '2021-01-22'])
    expect(second.body.next_cursor).to.equal(undefined)
    for (const path of ['reservations/none', `reservations/${randomUUID()}`, 'properties/none/reservations'])
      expect((await get(`/api/v1/${path}`)).status, path).to.equal(404)
  })

  it('says how fresh it is, and waits for what its token wrote but for nobody else’s', async () => {
    await fixture.reach(['stays'], topics.stays, 0, 5)
    const principal = `guest:${createHash('sha256').update(token).digest('base64url')}`
    await fixture.written.remember('stays', principal, {
      generation: 1,
      positions: { [topics.stays]: { 0: 6 } },
    })
    const query = 'start_date=2021-01-20&nights=1'
    const mine = await available(query)
    expect([mine.status, mine.body.error.code]).to.deep.equal([503, 'read_model_behind'])
    expect((await available(query, { Authorization: `Bearer ${randomUUID()}` })).status).to.equal(200)
    await fixture.reach(['stays'], topics.stays, 0, 6)
    const fresh = await available(query)
    expect(fresh.status).to.equal(200)
    expect(Number(fresh.headers.get('X-Read-Model-Age'))).to.be.at.least(0)
  })
})
