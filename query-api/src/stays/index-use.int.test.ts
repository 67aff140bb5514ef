/**
 * Every query of stays uses its index, seen in the plans that the server carries out at a million reservations, as query-api's role.
 * Seen failing: without the index of a property's reservations, and without that of words.
 */
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { dayNumber } from '@portolan/schemas/stays/periods.ts'
import { type SearchStaysQuery, searchStaysQuerySchema } from '@portolan/schemas/stays/views.ts'
import { expect } from 'chai'
import pg from 'pg'
import { findReservation, listReservations, searchStays } from './read-stays.ts'

const logger = createLogger({ process: 'test', level: process.env.LOG_LEVEL ?? 'none' })
const properties = 100_000
const reservations = 1_000_000

describe('the queries of stays, at a million reservations', function () {
  this.timeout(180_000)
  let database: TestDatabase
  let pool: pg.Pool
  let plans: string[] = []

  before(async () => {
    database = await testDatabase('read')
    const admin = new pg.Client(database.adminUrl)
    await admin.connect()
    await fill(admin)
    await admin.end()
    const url = new URL(database.adminUrl)
    const settings = {
      session_preload_libraries: 'auto_explain',
      'auto_explain.log_min_duration': '0',
      'auto_explain.log_nested_statements': 'on',
      'auto_explain.log_level': 'notice',
      role: 'portolan_query_api',
    }
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
    url.searchParams.set('options', options.join(' '))
    pool = createPool({ url: url.href.replaceAll('+', '%20'), max: 1, name: 'test' }, logger)
    pool.on('connect', (client) => client.on('notice', ({ message = '' }) => plans.push(message)))
  })
  beforeEach(() => {
    plans = []
  })
  after(async () => {
    await pool.end()
    await database.drop()
  })

  async function fill(admin: pg.Client): Promise<void> {
    await admin.query(
      `insert into stays_1.stay_properties
       select 'stays', 'p' || n, 'Home ' || md5(n::text), 1 + n % 500, n % 20000, 'USD', n % 180 - 90 + (n % 997) / 1000.0, n % 360 - 180, false, 1
       from generate_series(1, $1::int) n`,
      [properties],
    )
    await admin.query(
      `insert into stays_1.stay_reservations
       select 'stays', gen_random_uuid(), 'p' || 1 + n % $2, date '2027-01-01' + n / $2 * 5, 3, 'reserved', 1 from generate_series(0, $1 - 1) n`,
      [reservations, properties],
    )
    await admin.query(
      `insert into stays_1.index_places select 'stays', 'p' || n, n / 1000, n % 1000 from generate_series(1, $1::int) n`,
      [properties],
    )
    await admin.query(
      `insert into stays_1.index_blocks select 'stays', min(property_id), block, repeat('1', 1024)::bit(1024), repeat('1', 1024)::bit(1024)
       from stays_1.index_places group by block`,
    )
    await admin.query(
      `insert into stays_1.index_nights select 'stays', block, date '2027-01-01' + day, repeat('01', 512)::bit(1024)
       from generate_series(0, $1 / 1000) block, generate_series(0, 364) day`,
      [properties],
    )
    await admin.query('vacuum analyze')
  }

  const search = (filters: Partial<Record<keyof SearchStaysQuery, string>>) =>
    searchStays(
      pool,
      { from: dayNumber('2027-03-01'), until: dayNumber('2027-03-05') },
      'p2',
      searchStaysQuerySchema.parse({ start_date: '2027-03-01', nights: 4, limit: '50', ...filters }),
    )

  /** The plans read by index alone. */
  function expectIndexes(...names: string[]): void {
    const all = plans.join('\n')
    expect(all).not.to.match(/Seq Scan on (stay|index)_/)
    for (const name of names) expect(all).to.include(name)
  }

  it('find a reservation by its id', async () => {
    await findReservation(pool, crypto.randomUUID())
    expectIndexes('stay_reservations_pkey')
  })

  it('list a property’s reservations', async () => {
    expect(await listReservations(pool, 'p77', ['2027-02-01', crypto.randomUUID()], 50)).to.have.length(3)
    expectIndexes('stay_properties_pkey', 'stay_reservations_by_property')
  })

  it('search by dates', async () => {
    expect(await search({})).to.have.length(51)
    expectIndexes('index_blocks_pkey', 'index_nights_pkey', 'index_places_by_block', 'stay_properties_pkey')
  })

  for (const [index, filters] of [
    ['stay_properties_by_text', { text: 'c4ca4238a0b92382' }],
    ['stay_properties_by_capacity', { guests: '500' }],
    ['stay_properties_by_price', { currency: 'USD', price_min: '77', price_max: '77' }],
    ['stay_properties_by_place', { bounds: '10,10,10.1,11' }],
  ] as const)
    it(`search by ${Object.keys(filters).join(', ')} where few match`, async () => {
      await search(filters)
      expectIndexes(index)
    })
})
