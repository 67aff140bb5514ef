/**
 * The projections process as it runs, over a real broker and a real database: rows of the live version, every event
 * twice, a rebuild beside it, a switch, parked streams.
 * Seen failing: without `on conflict do nothing` on ledger_lines "every event twice" doubles the ledger; without the
 * comparison in switch_projection a version that is behind goes live.
 */
import { type Projection, projected } from '@portolan/infra/consumer/projection.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool, inTransaction } from '@portolan/infra/postgres.ts'
import { type TestDatabase, testDatabase } from '@portolan/infra/testing/database.ts'
import { type EventLog, type NewEvent, testLog } from '@portolan/infra/testing/event-log.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { sampleData } from '@portolan/infra/testing/samples.ts'
import { type TestTopics, testTopics } from '@portolan/infra/testing/topics.ts'
import { readEvent } from '@portolan/schemas/catalogue.ts'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import { bookingStream, memberAccountStream, topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import pg from 'pg'
import { bookingDetails } from './bookings/booking-details.ts'
import { bookingList } from './bookings/booking-list.ts'
import { projectionsConfigSchema } from './config.ts'
import { ledger } from './ledger/ledger.ts'
import { start } from './main.ts'

const logger = createLogger({ process: 'test', level: process.env.LOG_LEVEL ?? 'none' })
const partitions = 4

const booking = (id: string, type: string, changes: Record<string, unknown> = {}, schemaVersion = 1): NewEvent => ({
  topic: topics.bookings,
  stream: bookingStream(id),
  type,
  schemaVersion,
  data: sampleData(topics.bookings, type, changes, schemaVersion),
})
const account = (memberId: string, type: string, changes: Record<string, unknown> = {}): NewEvent => ({
  topic: topics.members,
  stream: memberAccountStream(memberId),
  type,
  data: sampleData(topics.members, type, { memberId, ...changes }),
})
const confirmedBooking = (id: string, memberId: string): NewEvent[] => [
  booking(id, 'BookingRequested', { bookingId: id, memberId }),
  booking(id, 'StepRequested'),
  booking(id, 'HoldPlaced'),
  account(memberId, 'MovementOpened', { bookingId: id }),
  account(memberId, 'MovementSettled', { bookingId: id, kind: 'deduction', amount: 35_000 }),
  booking(id, 'PaymentDeducted'),
  // Version 1 as old logs hold it, version 2 as it is written now.
  booking(id, 'BookingConfirmed', {}, id.endsWith('1') ? 1 : 2),
]
const cancelledBooking = (id: string, memberId: string): NewEvent[] => [
  ...confirmedBooking(id, memberId),
  booking(id, 'CancellationRequested'),
  booking(id, 'OrderCancelled', { penaltyMinor: 4500, currency: 'USD' }),
  account(memberId, 'MovementSettled', { bookingId: id, kind: 'refund', amount: 35_000 }),
  booking(id, 'PaymentRefunded'),
  booking(id, 'BookingCancelled'),
]

describe('the projections process', () => {
  let database: TestDatabase
  let admin: pg.Client
  let pool: pg.Pool
  let kafkaTopics: TestTopics
  let log: EventLog
  let stop: (() => Promise<void>) | null
  let url: string

  const startProcess = async (projections?: readonly Projection[]) => {
    const config = projectionsConfigSchema.parse({
      kafkaBrokers: kafkaTopics.brokers.join(','),
      kafkaTopicPrefix: kafkaTopics.prefix,
      readDatabaseUrl: database.urlAs('portolan_projections'),
      port: 0,
      versionsPollMs: 50,
      ledgerCheckMs: 100,
    })
    const running = await start(config, { logger, projections })
    stop = running.stop
    url = running.url
  }

  beforeEach(async () => {
    database = await testDatabase('read')
    admin = new pg.Client(database.adminUrl)
    await admin.connect()
    pool = createPool({ url: database.urlAs('portolan_projections'), max: 3, name: 'test' }, logger)
    kafkaTopics = testTopics()
    await kafkaTopics.create([topics.bookings, topics.members, topics.stays, topics.tenants], partitions)
    log = await testLog(kafkaTopics.kafka, kafkaTopics.prefix, partitions)
    stop = null
  })
  afterEach(async () => {
    await stop?.()
    await log.close()
    await kafkaTopics.drop()
    await pool.end()
    await admin.end()
    await database.drop()
  })

  const statuses = async (schema = 'read_models'): Promise<Record<string, string>> => {
    const { rows } = await admin.query(`select booking_id, status from ${schema}.booking_details`)
    return Object.fromEntries(rows.map(({ booking_id, status }) => [booking_id, status]))
  }
  const everything = async (version: number) => {
    const tables = ['booking_details', 'booking_list', 'ledger_lines', 'ledger_balances']
    const schemas = ['booking_details', 'booking_list', 'ledger', 'ledger']
    const all: unknown[][] = []
    for (const [i, table] of tables.entries()) {
      const { rows } = await admin.query(
        `select to_jsonb(t) as row from ${schemas[i]}_${version}.${table} t order by to_jsonb(t)::text`,
      )
      all.push(rows)
    }
    return all
  }
  /** Whether these projections of the version have applied everything that was published. */
  const caughtUp = async (version: number, names = ['booking_details', 'booking_list', 'ledger']) => {
    const { rows } = await admin.query<{ projection: string; topic: string; partition: number; position: string }>(
      'select projection, topic, partition, position from projection_checkpoints where version = $1 and projection = any($2)',
      [version, names],
    )
    const heads = new Map<string, number>()
    for (const { topic, partition, position } of published) heads.set(`${topic}/${partition}`, position)
    // The ledger reads two topics, the others one.
    const wanted = names.reduce((sum, name) => sum + (name === 'ledger' ? 2 : 1) * partitions, 0)
    return (
      rows.length === wanted &&
      rows.every(({ topic, partition, position }) => Number(position) === (heads.get(`${topic}/${partition}`) ?? 0))
    )
  }
  let published: EventEnvelope[]
  const append = async (...events: NewEvent[]) => {
    published = [...published, ...(await log.append(...events))]
  }
  beforeEach(() => {
    published = []
  })

  it('turns events into details, list rows and a balanced ledger', async () => {
    await append(...confirmedBooking('bkg_a1', 'CC0000001'), ...cancelledBooking('bkg_b2', 'CC0000002'))
    await startProcess()
    await eventually(async () => expect(await statuses()).to.deep.equal({ bkg_a1: 'confirmed', bkg_b2: 'cancelled' }))
    await eventually(() => caughtUp(1))
    const { rows } = await admin.query(
      'select booking_id, member_id, status, flight_number, origin, destination, departure_date::text, loyalty_amount::int, stream_version::int from read_models.booking_list order by 1',
    )
    expect(rows).to.deep.equal([
      {
        booking_id: 'bkg_a1',
        member_id: 'CC0000001',
        status: 'confirmed',
        flight_number: 'UA123',
        origin: 'JFK',
        destination: 'LAX',
        departure_date: '2027-03-15',
        loyalty_amount: 35_000,
        stream_version: 5,
      },
      {
        booking_id: 'bkg_b2',
        member_id: 'CC0000002',
        status: 'cancelled',
        flight_number: 'UA123',
        origin: 'JFK',
        destination: 'LAX',
        departure_date: '2027-03-15',
        loyalty_amount: 35_000,
        stream_version: 9,
      },
    ])
    const balances = await expectLedgerBalanced(database.adminUrl)
    expect(balances.map(({ account, currency, balance }) => [account, currency, balance])).to.deep.equal([
      ['member:CC0000001', 'stars', -35_000],
      ['programme', 'stars', 35_000],
      ['supplier:duffel', 'USD', -4500],
      ['tenant-penalties', 'USD', 4500],
    ])
    await eventually(async () => {
      const text = await (await fetch(`${url}/metrics`)).text()
      expect(text).to.match(/portolan_ledger_sum{currency="stars".*} 0/)
      expect(text).to.match(/portolan_ledger_balance_mismatches{.*} 0/)
      expect(text).to.match(/portolan_consumer_lag_records{consumer="ledger.v1".*} 0/)
      expect(text).to.match(/portolan_parked_streams{consumer="booking_details.v1".*} 0/)
    })
    const ready = await fetch(`${url}/health/ready`)
    expect(await ready.json()).to.deep.include({ parts: { database: true, partitions: true } })
  })

  it('changes nothing when every event is applied twice', async () => {
    const envelopes = log.number(...cancelledBooking('bkg_c1', 'CC0000003'))
    const apply = () =>
      inTransaction(pool, async (tx) => {
        for (const projection of [bookingDetails, bookingList, ledger]) {
          const events = envelopes
            .filter(({ topic, type }) => projection.handles[topic as keyof Projection['handles']]?.includes(type))
            .map((envelope) =>
              projected(readEvent, {
                ...envelope,
                topic: envelope.topic as never,
                offset: 0,
                value: '',
                envelope,
                unreadable: null,
              }),
            )
          // A batch is of one partition.
          for (const group of Map.groupBy(events, ({ topic, partition }) => `${topic}/${partition}`).values())
            await projection.apply(group, { schema: `${projection.name}_1`, query: (query) => tx.query(query) })
        }
      })
    await apply()
    const once = await everything(1)
    expect(once.map((rows) => rows.length)).to.deep.equal([1, 1, 6, 4])
    await apply()
    expect(await everything(1)).to.deep.equal(once)
  })

  it('builds a second version from the log that equals the live one, and switches to it at once', async () => {
    for (let i = 0; i < 30; i += 1) await append(...cancelledBooking(`bkg_${i}`, `CC000010${i % 7}`))
    await startProcess()
    await eventually(() => caughtUp(1))
    for (const name of ['booking_details', 'booking_list', 'ledger'])
      await admin.query('select create_projection_version($1)', [name])
    // Reads go on while it is built, and the live version goes on consuming.
    await append(...confirmedBooking('bkg_meanwhile1', 'CC0000200'))
    await eventually(() => caughtUp(2), { withinMs: 20_000 })
    await eventually(() => caughtUp(1))
    expect(await everything(2)).to.deep.equal(await everything(1))

    for (const name of ['booking_details', 'booking_list', 'ledger'])
      await admin.query('select switch_projection($1, 2)', [name])
    await append(...confirmedBooking('bkg_after2', 'CC0000201'))
    await eventually(async () => expect((await statuses()).bkg_after2).to.equal('confirmed'))
    await eventually(async () =>
      expect((await statuses('booking_details_1')).bkg_after2, 'the old version goes on').to.equal('confirmed'),
    )
    await expectLedgerBalanced(database.adminUrl)
    await admin.query("select switch_projection('ledger', 1)")
    await expectLedgerBalanced(database.adminUrl)
  })

  it('refuses to switch to a version that is behind', async () => {
    await append(...confirmedBooking('bkg_1', 'CC0000001'))
    await startProcess([bookingDetails])
    await eventually(() => caughtUp(1, ['booking_details']))
    await stop?.()
    stop = null
    await admin.query("select create_projection_version('booking_details')")
    const refusal = await admin.query("select switch_projection('booking_details', 2)").catch((error: Error) => error)
    expect(refusal)
      .to.be.an('error')
      .with.property('message')
      .that.matches(/is behind the live version/)
  })

  it('refuses to switch to a version that has parked what the live one shows', async () => {
    await append(...confirmedBooking('bkg_1', 'CC0000001'))
    await startProcess([bookingDetails])
    await eventually(() => caughtUp(1, ['booking_details']))
    await admin.query("select create_projection_version('booking_details')")
    await eventually(() => caughtUp(2, ['booking_details']))
    const park = (version: number) =>
      admin.query(
        `insert into parked_streams (projection, version, tenant_id, stream, topic, generation, partition, position, reason)
         values ('booking_details', $1, 'coffeechain', 'booking-bkg_1', 'bookings.events.v1', 1, 0, 1, 'a test')`,
        [version],
      )
    await park(2)
    const switchOver = () => admin.query("select switch_projection('booking_details', 2)").then(() => 'switched')
    expect(await switchOver().catch((error: Error) => error.message)).to.match(/has parked 1 streams that the live/)
    await park(1)
    expect(await switchOver()).to.equal('switched')
  })

  // Seen failing: without a bound on the wait (the live version stands still for as long as the other holds its lock).
  it('refuses to switch soon when somebody holds the live version', async () => {
    await append(...confirmedBooking('bkg_1', 'CC0000001'))
    await startProcess([bookingDetails])
    await eventually(() => caughtUp(1, ['booking_details']))
    await admin.query("select create_projection_version('booking_details')")
    await eventually(() => caughtUp(2, ['booking_details']))
    const holder = new pg.Client(database.adminUrl)
    await holder.connect()
    const switchOver = () => admin.query("select switch_projection('booking_details', 2)").then(() => 'switched')
    try {
      await holder.query('begin')
      await holder.query('select from projection_checkpoints where version = 1 for update')
      const startedAt = performance.now()
      const letGo = setTimeout(() => holder.query('rollback'), 4000)
      expect(await switchOver().catch((error: { code?: string }) => error.code)).to.equal('55P03')
      expect(performance.now() - startedAt).to.be.below(2000)
      clearTimeout(letGo)
      await holder.query('rollback')
      expect(await switchOver()).to.equal('switched')
    } finally {
      await holder.end()
    }
  })

  it('stops consuming for a retired version and forgets its rows', async () => {
    await append(...confirmedBooking('bkg_1', 'CC0000001'))
    await startProcess([bookingDetails])
    await eventually(() => caughtUp(1, ['booking_details']))
    await admin.query("select create_projection_version('booking_details')")
    await eventually(() => caughtUp(2, ['booking_details']))
    await admin.query("select retire_projection_version('booking_details', 2)")
    await eventually(async () => {
      const text = await (await fetch(`${url}/metrics`)).text()
      return !text.includes('consumer_lag_records{consumer="booking_details.v2"')
    })
    const { rows } = await admin.query(
      "select count(*)::int as n from pg_namespace where nspname = 'booking_details_2'",
    )
    expect(rows).to.deep.equal([{ n: 0 }])
  })

  it('parks a booking that does not begin with its request, and retries it when asked', async () => {
    await startProcess()
    await append(booking('bkg_orphan', 'PaymentDeducted'), ...confirmedBooking('bkg_1', 'CC0000001'))
    await eventually(async () => expect(await statuses()).to.deep.equal({ bkg_1: 'confirmed' }))
    const parked = async () => (await admin.query('select projection, attempts from parked_streams order by 1')).rows
    await eventually(async () =>
      expect(await parked()).to.deep.equal([
        { projection: 'booking_details', attempts: 1 },
        { projection: 'booking_list', attempts: 1 },
      ]),
    )
    await admin.query("update parked_streams set retry_requested_at = now() where projection = 'booking_list'")
    await eventually(async () => expect((await parked())[1]).to.deep.equal({ projection: 'booking_list', attempts: 2 }))
  })

  it('shows members only their own tenant, and staff everything', async () => {
    const foreign = confirmedBooking('bkg_f1', 'CC0000009').map((event) => ({ ...event, tenantId: 'teachain' }))
    await append(...confirmedBooking('bkg_1', 'CC0000001'), ...foreign)
    await startProcess()
    await eventually(() => caughtUp(1))
    const reader = new pg.Client(database.url)
    await reader.connect()
    const seen = async (...settings: string[]) => {
      await reader.query('begin')
      for (const setting of settings) await reader.query(setting)
      const { rows } = await reader.query('select booking_id from read_models.booking_list order by 1')
      await reader.query('commit')
      return rows.map(({ booking_id }) => booking_id)
    }
    try {
      expect(await seen()).to.deep.equal([])
      expect(await seen("select set_config('portolan.tenant', 'coffeechain', true)")).to.deep.equal(['bkg_1'])
      expect(await seen("select set_config('portolan.tenant', 'teachain', true)")).to.deep.equal(['bkg_f1'])
      expect(await seen('set local role portolan_staff_reader')).to.deep.equal(['bkg_1', 'bkg_f1'])
      const write = await reader.query('delete from booking_list_1.booking_list').catch((error: Error) => error)
      expect(write)
        .to.be.an('error')
        .with.property('message')
        .that.matches(/permission denied/)
    } finally {
      await reader.end()
    }
  })
})
