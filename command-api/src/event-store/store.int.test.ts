import { createPool } from '@portolan/infra/postgres.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { openEventStore } from './event-store.ts'
import { pruneIdempotencyKeys } from './maintenance.ts'
import { listParkedStreams, parkEvents, releaseParkedStream } from './parked-events.ts'
import { createStoreFixture } from './store-fixture.ts'

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
    expect(again.generation).to.equal(1)
    const { rows } = await fixture.admin.query('select partitions from log_topics')
    expect(rows).to.deep.equal([{ partitions: 4 }])
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

  it('keeps parked events in stream order until they are released', async () => {
    const parked = (streamVersion: number, reason: string | null) => {
      return { tenantId: 'harbour', stream: 'parked-1', streamVersion, envelope: { streamVersion }, reason }
    }
    await parkEvents(store.pool, 'dispatch', [parked(2, 'cannot be read'), parked(3, null)])
    await parkEvents(store.pool, 'dispatch', [parked(3, null), parked(4, null)])
    const [stream, ...others] = await listParkedStreams(store.pool, 'dispatch')
    expect(others).to.deep.equal([])
    expect(stream).to.deep.include({ tenantId: 'harbour', stream: 'parked-1', events: 3, reason: 'cannot be read' })
    expect(await listParkedStreams(store.pool, 'mail')).to.deep.equal([])
    const released = await releaseParkedStream(store.pool, 'dispatch', 'harbour', 'parked-1')
    expect(released.map(({ streamVersion }) => streamVersion)).to.deep.equal([2, 3, 4])
    expect(await listParkedStreams(store.pool, 'dispatch')).to.deep.equal([])
  })
})
