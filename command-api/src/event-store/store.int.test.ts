import { createPool } from '@portolan/infra/postgres.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { openEventStore } from './event-store.ts'
import { pruneIdempotencyKeys } from './maintenance.ts'
import {
  askForRetry,
  claimRetry,
  countParkedStreams,
  listParkedStreams,
  parkEvents,
  settleRetry,
} from './parked-events.ts'
import { streamsQuery } from './read.ts'
import { added, contextOf, counterType, createStoreFixture } from './store-fixture.ts'

type Fixture = Awaited<ReturnType<typeof createStoreFixture>>

describe('the store', () => {
  let fixture: Fixture
  let store: Awaited<ReturnType<Fixture['open']>>

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open({ topics: [topics.bookings] })
  })
  after(() => fixture.close())

  it('is not opened by a role that row-level security does not bind', async () => {
    const opening = openEventStore({ ...store, pool: fixture.admin })
    expect((await opening.catch((error: Error) => error)) as Error)
      .to.have.property('message')
      .that.includes('row-level')
  })

  it('is not opened by the role that owns its tables, whom row-level security does not bind either', async () => {
    const [owner] = (await fixture.admin.query('select current_user as name')).rows
    await fixture.admin.query('alter table streams owner to portolan_command_api')
    try {
      const opening = openEventStore(store, { topics: [topics.bookings] })
      expect(await opening.catch((error: Error) => error.message)).to.match(/row-level security does not bind/)
    } finally {
      await fixture.admin.query(`alter table streams owner to ${owner.name}`)
      await fixture.admin.query('grant select, insert, update on streams to portolan_command_api')
    }
  })

  it('is not opened where a crash would lose what was committed', async () => {
    const url = fixture.database.urlAs('portolan_command_api -c synchronous_commit=off')
    const pool = createPool({ url, max: 1, name: 'store-test' }, fixture.logger)
    const opening = openEventStore({ ...store, pool })
    expect((await opening.catch((error: Error) => error)) as Error)
      .to.have.property('message')
      .that.includes('synchronous_commit')
    await pool.end()
  })

  it('keeps the number of partitions a topic was created with', async () => {
    const again = await fixture.open({ topics: [topics.bookings], partitions: 64 })
    expect(again.generation()).to.equal(1)
    const { rows } = await fixture.admin.query('select partitions from log_topics')
    expect(rows).to.deep.equal([{ partitions: 4 }])
  })

  it('loads streams as their tenant, and leaves the connection to nobody', async () => {
    const counter = { type: counterType, stream: 'loaded-by-one' }
    await store.handle({
      context: contextOf(),
      streams: { counter },
      decide: () => ({ events: { counter: [added()] } }),
    })
    const connection = await store.pool.connect()
    try {
      const load = async (tenantId: string) =>
        (await connection.query(streamsQuery(tenantId, [{ ...counter, after: 0 }]))).rows
      expect(await load('harbour')).to.have.length(1)
      expect(await load('lagoon')).to.deep.equal([])
      const { rows } = await connection.query("select current_setting('portolan.tenant', true) as tenant")
      expect(rows[0].tenant).to.be.oneOf(['', null])
      const { rows: unbound } = await connection.query("select from events where stream = 'loaded-by-one'")
      expect(unbound).to.deep.equal([])
    } finally {
      connection.release()
    }
  })

  it('tells the time of the database', async () => {
    const { rows } = await fixture.admin.query('select clock_timestamp() as now')
    expect(Math.abs(Date.parse(store.clock.now()) - rows[0].now.getTime())).to.be.lessThan(250)
  })

  it('keeps idempotency records for 24 hours whatever is asked, and prunes older ones in batches', async () => {
    await fixture.admin.query(`
      insert into idempotency_keys (tenant_id, principal, method, path, key, body_hash, created_at)
      select 'harbour', 'p', 'POST', '/', 'old-' || n, 'h', now() - interval '25 hours' from generate_series(1, 2500) n
      union all select 'harbour', 'p', 'POST', '/', 'young', 'h', now() - interval '23 hours'`)
    expect(await pruneIdempotencyKeys(store.pool, 48)).to.equal(0)
    expect(await pruneIdempotencyKeys(store.pool, 0)).to.equal(2500)
    const { rows } = await fixture.admin.query('select key from idempotency_keys')
    expect(rows).to.deep.equal([{ key: 'young' }])
  })

  it('makes table partitions ahead of the log', async () => {
    const names = async () =>
      (await fixture.admin.query("select relname from pg_class where relname ~ '^events_[0-9]{6}$' order by 1")).rows
        .length
    const before = await names()
    await fixture.admin.query('update log_heads set position = 4500000 where partition = 0')
    await store.pool.query('select extend_events()')
    expect(await names()).to.equal(before + 4)
    await fixture.admin.query('update log_heads set position = 0 where partition = 0')
  })

  describe('keeps parked events', () => {
    const name = { tenantId: 'harbour', stream: 'parked-1' }
    const event = (streamVersion: number, reason: string | null = null) => {
      return { ...name, streamVersion, envelope: { streamVersion }, reason }
    }
    const claimed = async (seconds = 30) =>
      (await claimRetry(store.pool, 'dispatch', seconds))?.events.map(({ streamVersion }) => streamVersion)
    const settle = (handledUpTo: number, failure: string | null = null) =>
      settleRetry(store.pool, 'dispatch', { ...name, handledUpTo, failure })
    beforeEach(async () => {
      await fixture.admin.query('delete from parked_events; delete from parked_streams')
      await parkEvents(store.pool, 'dispatch', [event(2, 'cannot be read'), event(3)])
      expect((await parkEvents(store.pool, 'dispatch', [event(3), event(4)])).free).to.deep.equal([])
    })

    it('of a stream until every one of them was handled in order', async () => {
      const [stream, ...others] = await listParkedStreams(store.pool, 'dispatch')
      expect(others).to.deep.equal([])
      expect(stream).to.deep.include({ ...name, events: 3, reason: 'cannot be read', isAsked: false })
      expect(await listParkedStreams(store.pool, 'mail')).to.deep.equal([])
      expect(await claimed(), 'nobody asked').to.equal(undefined)
      expect(await askForRetry(store.pool, 'dispatch', name)).to.equal(true)
      expect(await claimed()).to.deep.equal([2, 3, 4])
      expect(await claimed(), 'while somebody has it').to.equal(undefined)
      await settle(2, 'now the third')
      expect((await listParkedStreams(store.pool, 'dispatch'))[0]).to.include({
        events: 2,
        reason: 'now the third',
        isAsked: false,
      })
      await askForRetry(store.pool, 'dispatch', name)
      expect(await claimed()).to.deep.equal([3, 4])
      await settle(4)
      expect(await listParkedStreams(store.pool, 'dispatch')).to.deep.equal([])
    })

    it('whose retry ended with its process, for the next one', async () => {
      await askForRetry(store.pool, 'dispatch', name)
      expect(await claimed(0.05)).to.deep.equal([2, 3, 4])
      await eventually(async () => expect(await claimed()).to.deep.equal([2, 3, 4]))
    })

    it('that came during a retry, for its next claim', async () => {
      await askForRetry(store.pool, 'dispatch', name)
      expect(await claimed()).to.deep.equal([2, 3, 4])
      await parkEvents(store.pool, 'dispatch', [event(5)])
      await settle(4)
      expect(await claimed()).to.deep.equal([5])
      await settle(5)
      expect((await parkEvents(store.pool, 'dispatch', [event(6)])).free).to.deep.equal([{ ...name, streamVersion: 6 }])
      expect(await listParkedStreams(store.pool, 'dispatch')).to.deep.equal([])
    })

    it('and lists as many streams as there are, page by page', async () => {
      await fixture.admin.query(
        `insert into parked_streams (consumer, tenant_id, stream, reason, retry_requested_at)
         select 'dispatch', 'tenant-' || n % 2, 'many-' || n, 'a test', case when n > 2490 then now() end from generate_series(1, 2500) as n`,
      )
      const streams = new Set<string>()
      let page = await listParkedStreams(store.pool, 'dispatch')
      for (; page.length > 0; page = await listParkedStreams(store.pool, 'dispatch', page.at(-1)))
        for (const { stream } of page) streams.add(stream)
      expect(streams.size).to.equal(2501)
      expect(await countParkedStreams(store.pool, 'dispatch')).to.deep.equal({ streams: 2501, asked: 10 })
    })

    it('or gives them back, never neither, when parking and settling meet', async () => {
      for (let round = 0; round < 20; round += 1) {
        await fixture.admin.query('delete from parked_events; delete from parked_streams')
        await parkEvents(store.pool, 'dispatch', [event(1, 'cannot be read')])
        await askForRetry(store.pool, 'dispatch', name)
        await claimed()
        const [parked] = await Promise.all([parkEvents(store.pool, 'dispatch', [event(2)]), settle(1)])
        const kept = (await listParkedStreams(store.pool, 'dispatch'))[0]?.events ?? 0
        expect(kept + parked.free.length, `round ${round}`).to.equal(1)
      }
    })

    it('that failed by themselves even when their stream is settled at that moment', async () => {
      for (let round = 0; round < 20; round += 1) {
        await fixture.admin.query('delete from parked_events; delete from parked_streams')
        await parkEvents(store.pool, 'dispatch', [event(1, 'cannot be read')])
        await Promise.all([settle(1), parkEvents(store.pool, 'dispatch', [event(2, 'nor can this')])])
        expect((await listParkedStreams(store.pool, 'dispatch'))[0]?.events, `round ${round}`).to.equal(1)
      }
    })
  })
})
