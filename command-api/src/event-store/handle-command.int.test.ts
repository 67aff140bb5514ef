/**
 * The rules of `handle`, on a real database, with two stores as two processes (P1, P2, P3, P6, P10, P12).
 *
 * Seen failing: with heads read before they are locked in `commit_events` (positions given twice, refused by the primary key); with a
 * partition that is not the stream's alone; without the version check of streams that were only read; with steps swept before their time.
 */
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { StepJob, SweptSteps } from '@portolan/schemas/steps.ts'
import { expect } from 'chai'
import type pg from 'pg'
import { hashBody, type IdempotencyScope } from './idempotency.ts'
import { findOverdueSteps } from './overdue-steps.ts'
import { added, type CounterEvent, contextOf, counterType, createStoreFixture } from './store-fixture.ts'

type Fixture = Awaited<ReturnType<typeof createStoreFixture>>
type Store = Awaited<ReturnType<Fixture['open']>>

describe('handling commands', () => {
  let fixture: Fixture
  let store: Store
  let other: Store
  let nextId = 0
  const newStream = () => `counter-${++nextId}`

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
    other = await fixture.open()
    await fixture.admin.query(`
      create table seats (name text primary key, taken_by text);
      grant all on seats to portolan_command_api;
      insert into seats select 'seat-' || n from generate_series(1, 20) n;
      create function effects.take_seat(tenant text, args jsonb) returns void language plpgsql as $$
      begin
        update seats set taken_by = args ->> 'by' where name = args ->> 'seat' and taken_by is null;
        if not found then
          raise sqlstate 'PT001' using message = 'conflict', detail = 'The seat is taken.', hint = '{"seat":"taken"}';
        end if;
      end $$;
      create sequence undecided;
      create function effects.ask_again_twice(tenant text, args jsonb) returns void language plpgsql as $$
      begin
        if nextval('undecided') <= 2 then raise sqlstate 'PT002'; end if;
      end $$;
      create function effects.break_down(tenant text, args jsonb) returns void language plpgsql as $$
      begin perform 1 / 0; end $$;
      grant usage on sequence undecided to portolan_command_api;
      grant execute on all functions in schema effects to portolan_command_api;
    `)
  })
  after(() => fixture.close())

  const start = (on: Store, stream: string, idempotency?: IdempotencyScope, tenantId?: string) =>
    on.handle({
      context: contextOf(tenantId),
      streams: { counter: { type: counterType, stream, isNew: true } },
      decide: () => ({ events: { counter: [added()] } }),
      idempotency,
    })
  const add = (on: Store, stream: string, events: CounterEvent[] = [added()], idempotency?: IdempotencyScope) =>
    on.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream } },
      decide: () => ({ events: { counter: events } }),
      idempotency,
    })
  const scopeOf = (key: string, body: unknown, reference: string | null): IdempotencyScope => ({
    principal: 'member:M1',
    method: 'POST',
    path: '/api/v1/counters',
    key,
    bodyHash: hashBody(body),
    reference,
  })
  const rejectionOf = (promise: Promise<unknown>) =>
    promise.then(
      () => expect.fail('was not rejected'),
      (error: unknown) => error as Rejection,
    )
  const eventsOf = async (stream: string) =>
    (await fixture.admin.query('select * from events where stream = $1 order by stream_version', [stream])).rows

  it('starts a stream, answers with its state and with where its event stands', async () => {
    const stream = newStream()
    const handled = await start(store, stream)
    if (handled.replayed) return expect.fail('replayed')
    expect(handled.states.counter.sum).to.equal(1)
    expect(handled.versions.counter).to.equal(1)
    const [row] = await eventsOf(stream)
    const [event] = handled.appended
    expect(event).to.include({ position: Number(row.position), partition: row.partition, eventId: row.event_id })
    expect(event?.recordedAt).to.equal(row.recorded_at.toISOString())
    expect(handled.positions).to.deep.equal({ [row.topic]: { [row.partition]: Number(row.position) } })
  })

  it('appends nothing whose metadata no consumer could read', async () => {
    const stream = newStream()
    const handled = store.handle({
      context: { ...contextOf(), causationId: 'x'.repeat(101) },
      streams: { counter: { type: counterType, stream, isNew: true } },
      decide: () => ({ events: { counter: [added()] } }),
    })
    expect(await rejectionOf(handled)).not.to.be.instanceOf(Rejection)
    expect(await eventsOf(stream)).to.have.length(0)
  })

  it('commits several streams in one transaction, or none of them', async () => {
    const [a, b] = [newStream(), newStream()]
    await start(store, b)
    const both = (isAllowed: boolean) =>
      store.handle({
        context: contextOf(),
        streams: { a: { type: counterType, stream: a }, b: { type: counterType, stream: b } },
        decide: () => ({
          events: { a: [added()], b: [added()] },
          effects: [{ name: 'take_seat', args: { seat: isAllowed ? 'seat-1' : 'no such seat', by: a } }],
        }),
      })
    expect((await rejectionOf(both(false))).code).to.equal('conflict')
    expect(await eventsOf(a)).to.have.length(0)
    expect(await eventsOf(b)).to.have.length(1)
    const handled = await both(true)
    expect(handled).to.have.nested.property('states.b.sum', 2)
    expect(await eventsOf(a)).to.have.length(1)
  })

  it('decides again when the stream moved on, over two processes, until every command is in', async () => {
    const stream = newStream()
    await start(store, stream)
    await Promise.all(Array.from({ length: 40 }, (_, n) => add(n % 2 === 0 ? store : other, stream)))
    const { state, version } = await store.load('harbour', counterType, stream)
    expect(state.sum).to.equal(41)
    expect(version).to.equal(41)
  })

  it('keeps a stream in one partition, the same in every process and release', async () => {
    for (const on of [store, other]) for (const stream of ['counter-placed', 'counter-settled']) await add(on, stream)
    const partitionsOf = async (stream: string) => (await eventsOf(stream)).map(({ partition }) => partition)
    expect(await partitionsOf('counter-placed')).to.deep.equal([2, 2])
    expect(await partitionsOf('counter-settled')).to.deep.equal([0, 0])
  })

  it('gives positions in commit order to commits of two processes that wait for one partition, none in vain', async () => {
    const holder = await fixture.admin.connect()
    try {
      await holder.query('begin')
      await holder.query('select from log_heads for update')
      // Both live in partition 3.
      const commits = Promise.all([start(store, 'counter-east'), start(other, 'counter-west')])
      await eventually(async () => {
        const waiting = await fixture.admin.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
        return (waiting.rowCount ?? 0) >= 2
      })
      await holder.query('rollback')
      await commits
    } finally {
      holder.release(true)
    }
    const [[one], [two]] = [await eventsOf('counter-east'), await eventsOf('counter-west')]
    expect(Math.abs(one.position - two.position)).to.equal(1)
  })

  it('checks the version of a stream that the decision only read', async () => {
    const [read, written] = [newStream(), newStream()]
    await start(store, read)
    await start(store, written)
    // Holds the append up until another process has moved the stream that was read.
    const holder = await fixture.admin.connect()
    const decided = Promise.withResolvers<void>()
    try {
      await holder.query('begin')
      await holder.query('select from streams where stream = $1 for update', [written])
      const handling = store.handle({
        context: contextOf(),
        streams: { read: { type: counterType, stream: read }, written: { type: counterType, stream: written } },
        decide: (states) => {
          decided.resolve()
          return { events: { written: [added(states.read.sum)] } }
        },
      })
      await decided.promise
      await add(other, read)
      await holder.query('rollback')
      expect(await handling).to.have.nested.property('states.written.sum', 3)
    } finally {
      holder.release(true)
    }
  })

  it('takes a new stream that exists after all as an existing one', async () => {
    const stream = newStream()
    await start(store, stream)
    const handled = await start(store, stream)
    expect(handled).to.have.nested.property('states.counter.sum', 2)
  })

  it('answers a decision without events with the loaded state and writes nothing', async () => {
    const stream = newStream()
    await start(store, stream)
    const handled = await add(store, stream, [])
    expect(handled).to.have.nested.property('states.counter.sum', 1)
    expect(handled).to.have.property('appended').that.deep.equals([])
    expect(handled).to.have.property('positions').that.is.not.empty
  })

  it('decides again when an effect asks for it', async () => {
    let decisions = 0
    await store.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream: newStream(), isNew: true } },
      decide: () => {
        decisions += 1
        return { events: { counter: [added()] }, effects: [{ name: 'ask_again_twice', args: {} }] }
      },
    })
    expect(decisions).to.equal(3)
  })

  it('refuses with the code, sentence and members that an effect raised', async () => {
    const refused = await rejectionOf(
      takeSeat(store, 'seat-2', newStream()).then(() => takeSeat(store, 'seat-2', newStream())),
    )
    expect(refused).to.be.instanceOf(Rejection)
    expect(refused).to.include({ code: 'conflict', detail: 'The seat is taken.' })
    expect(refused.members).to.deep.equal({ seat: 'taken' })
  })
  const takeSeat = (on: Store, seat: string, stream: string) =>
    on.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream, isNew: true } },
      decide: () => ({ events: { counter: [added()] }, effects: [{ name: 'take_seat', args: { seat, by: stream } }] }),
    })

  it('lets one of many simultaneous commands take a seat, and loses nothing of the others in the same group', async () => {
    const attempts = Array.from({ length: 30 }, (_, n) => takeSeat(n % 2 ? store : other, 'seat-3', newStream()))
    const bystanders = Array.from({ length: 30 }, (_, n) => start(n % 2 ? store : other, newStream()))
    const settled = await Promise.allSettled(attempts)
    expect(settled.filter(({ status }) => status === 'fulfilled')).to.have.length(1)
    await Promise.all(bystanders)
  })

  it('turns a breakdown in one command into a fault of that command alone', async () => {
    const broken = store.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream: newStream(), isNew: true } },
      decide: () => ({ events: { counter: [added()] }, effects: [{ name: 'break_down', args: {} }] }),
    })
    const [bystander, fault] = await Promise.all([start(store, newStream()), rejectionOf(broken)])
    expect(bystander.replayed).to.equal(false)
    expect(fault).to.not.be.instanceOf(Rejection)
    expect(fault.message).to.include('22012')
  })

  it('turns an event that the database refuses into a fault of its command alone', async () => {
    const unstorable: CounterEvent = { type: 'WorkWanted', data: { step: '\u0000', attempt: 1 } }
    const refused = store.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream: newStream(), isNew: true } },
      decide: () => ({ events: { counter: [unstorable] } }),
    })
    const [bystanders, fault] = await Promise.all([
      Promise.all(Array.from({ length: 5 }, () => start(store, newStream()))),
      rejectionOf(refused),
    ])
    expect(bystanders).to.have.length(5)
    expect(fault).to.not.be.instanceOf(Rejection)
  })

  describe('for tenants', () => {
    it('keeps streams of one name apart', async () => {
      const stream = newStream()
      await start(store, stream)
      await start(store, stream, undefined, 'lighthouse')
      expect((await store.load('harbour', counterType, stream)).version).to.equal(1)
      expect((await store.load('lighthouse', counterType, stream)).version).to.equal(1)
      expect((await store.load('island', counterType, stream)).version).to.equal(0)
    })

    it('shows and takes nothing of another tenant, whatever a query asks for', async () => {
      const stream = newStream()
      await start(store, stream)
      const as = async (text: string, values: unknown[] = []) => {
        const client = await store.appendPool.connect()
        try {
          await client.query('begin')
          await client.query("select set_config('portolan.tenant', 'lighthouse', true)")
          return await client.query(text, values)
        } finally {
          await client.query('rollback')
          client.release()
        }
      }
      for (const table of ['events', 'streams', 'open_steps', 'idempotency_keys']) {
        expect((await as(`select * from ${table}`)).rows.every((row) => row.tenant_id === 'lighthouse')).to.equal(true)
      }
      expect((await as("update streams set version = 9 where tenant_id = 'harbour'")).rowCount).to.equal(0)
      const intruding = as("insert into streams values ('harbour', 'intruder', 1, 'bookings.events.v1', 0)")
      expect((await rejectionOf(intruding)).message).to.include('row-level security')
      expect((await rejectionOf(as("delete from events where tenant_id = 'harbour'"))).message).to.include(
        'permission denied',
      )
      expect((await rejectionOf(as('update log_heads set position = 0'))).message).to.include('permission denied')
    })
  })

  describe('that meet locked rows', () => {
    const holding = async (work: (client: pg.PoolClient) => Promise<unknown>, lock: string, values: unknown[]) => {
      const client = await fixture.admin.connect()
      try {
        await client.query('begin')
        await client.query(lock, values)
        return await work(client)
      } finally {
        await client.query('rollback')
        client.release()
      }
    }

    it('commits the rest of the group, and the command once the lock is gone', async () => {
      const [locked, free] = [newStream(), newStream()]
      await start(store, locked)
      await start(store, free)
      let late: Promise<unknown> = Promise.resolve()
      await holding(
        async () => {
          late = add(store, locked)
          await add(store, free)
          expect(await eventsOf(locked)).to.have.length(1)
        },
        'select from streams where stream = $1 for update',
        [locked],
      )
      await late
      expect(await eventsOf(locked)).to.have.length(2)
    })

    it('gives up after a second of contention with an answer, not a fault', async () => {
      const locked = newStream()
      await start(store, locked)
      await holding(
        async () => expect((await rejectionOf(add(store, locked))).code).to.equal('version-conflict'),
        'select from streams where stream = $1 for update',
        [locked],
      )
    })

    it('requeues the victim of a deadlock and loses no command', async () => {
      // Each command takes two seats; two processes take them in opposite orders, without names to sort them by.
      const pair = (on: Store, first: string, second: string) =>
        on.handle({
          context: contextOf(),
          streams: { counter: { type: counterType, stream: newStream(), isNew: true } },
          decide: () => ({
            events: { counter: [added()] },
            effects: [first, second].map((seat) => ({ name: 'touch_seat', args: { seat } })),
          }),
        })
      await fixture.admin.query(`
        create function effects.touch_seat(tenant text, args jsonb) returns void language plpgsql as $$
        begin
          update seats set name = name where name = args ->> 'seat';
          perform pg_sleep(0.01);
        end $$;
        grant execute on function effects.touch_seat(text, jsonb) to portolan_command_api;
      `)
      const crossing = Array.from({ length: 6 }, (_, n) =>
        n % 2 ? pair(store, 'seat-10', 'seat-11') : pair(other, 'seat-11', 'seat-10'),
      )
      const bystanders = Array.from({ length: 20 }, (_, n) => start(n % 2 ? store : other, newStream()))
      await Promise.all([...crossing, ...bystanders])
    })
  })

  describe('with an idempotency key', () => {
    it('replays the first answer for the same body', async () => {
      const stream = newStream()
      const scope = scopeOf('replay', { amount: 1 }, stream)
      await start(store, stream, scope)
      const again = await start(other, newStream(), { ...scope, reference: 'not this one' })
      expect(again).to.deep.equal({ replayed: true, reference: stream })
    })

    it('refuses another body', async () => {
      const stream = newStream()
      await start(store, stream, scopeOf('mismatch', { amount: 1 }, stream))
      const refused = await rejectionOf(start(store, newStream(), scopeOf('mismatch', { amount: 2 }, null)))
      expect(refused.code).to.equal('idempotency-mismatch')
    })

    it('gives 50 parallel commands over two processes one winner and one answer', async () => {
      const handled = await Promise.all(
        Array.from({ length: 50 }, (_, n) => {
          const stream = newStream()
          return start(n % 2 ? store : other, stream, scopeOf('race', { amount: 1 }, stream)).then((result) =>
            result.replayed ? result.reference : stream,
          )
        }),
      )
      expect(new Set(handled)).to.have.property('size', 1)
      const { rows } = await fixture.admin.query('select count(*)::int as n from streams where stream = any($1)', [
        handled,
      ])
      expect(rows[0].n).to.equal(1)
    })

    it('records a rejection by a rule, and gives it again although the rule would allow it by now', async () => {
      const stream = newStream()
      const refuse = (isRefused: boolean) =>
        store.handle({
          context: contextOf(),
          streams: { counter: { type: counterType, stream } },
          decide: () => {
            if (isRefused) throw new Rejection('insufficient-balance', 'Not enough stars', { balance: 3 })
            return { events: { counter: [added()] } }
          },
          idempotency: scopeOf('rule', {}, stream),
        })
      await rejectionOf(refuse(true))
      const again = await rejectionOf(refuse(false))
      expect(again).to.include({ code: 'insufficient-balance', detail: 'Not enough stars' })
      expect(again.members).to.deep.equal({ balance: 3 })
      expect(await eventsOf(stream)).to.have.length(0)
    })

    it('records a refusal by an effect', async () => {
      await takeSeat(store, 'seat-4', newStream())
      const scope = scopeOf('effect', {}, null)
      const take = (seat: string) =>
        store.handle({
          context: contextOf(),
          streams: { counter: { type: counterType, stream: newStream(), isNew: true } },
          decide: () => ({ events: { counter: [added()] }, effects: [{ name: 'take_seat', args: { seat, by: 'x' } }] }),
          idempotency: scope,
        })
      expect((await rejectionOf(take('seat-4'))).code).to.equal('conflict')
      expect((await rejectionOf(take('seat-5'))).code).to.equal('conflict')
    })

    it('forgets refusals that are no rules: a later try may succeed', async () => {
      const stream = newStream()
      const tryOnce = (isAway: boolean) =>
        store.handle({
          context: contextOf(),
          streams: { counter: { type: counterType, stream } },
          decide: () => {
            if (isAway) throw new Rejection('partner-unavailable', 'The partner does not answer')
            return { events: { counter: [added()] } }
          },
          idempotency: scopeOf('fault', {}, stream),
        })
      await rejectionOf(tryOnce(true))
      expect((await tryOnce(false)).replayed).to.equal(false)
    })

    it('says busy only when the first attempt stays uncommitted for a second', async () => {
      const client = await fixture.admin.connect()
      const stream = newStream()
      const scope = scopeOf('busy', {}, stream)
      try {
        await client.query('begin')
        await client.query(
          `insert into idempotency_keys values ('harbour', $1, $2, $3, $4, $5, 'first', null, now())`,
          [scope.principal, scope.method, scope.path, scope.key, scope.bodyHash],
        )
        const startedAt = performance.now()
        expect((await rejectionOf(start(store, stream, scope))).code).to.equal('idempotency-busy')
        expect(performance.now() - startedAt).to.be.greaterThan(1000)
        const joining = start(store, stream, scope)
        await client.query('commit')
        expect(await joining).to.deep.equal({ replayed: true, reference: 'first' })
      } finally {
        client.release()
      }
    })
  })

  describe('with steps', () => {
    const wantWork = (step: string, attempt: number): CounterEvent => ({ type: 'WorkWanted', data: { step, attempt } })
    const openSteps = async (stream: string) =>
      (await fixture.admin.query('select * from open_steps where stream = $1', [stream])).rows

    it('opens what the process manager wants, with the event that asked for it as cause', async () => {
      const stream = newStream()
      await add(store, stream, [wantWork('deduct', 1)])
      const events = await eventsOf(stream)
      expect(events.map(({ type }) => type)).to.deep.equal(['WorkWanted', 'StepRequested'])
      const overdue = await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 100 })
      expect(overdue.find((job) => job.stream === stream)).to.deep.include({
        tenantId: 'harbour',
        step: 'deduct',
        attempt: 1,
        input: { of: 'deduct' },
        dueAt: '2026-01-01T00:00:00.000Z',
        causationId: events[1].event_id,
      })
    })

    it('keeps the table in line with the events: claimed, ended, asked for again, withdrawn', async () => {
      const stream = newStream()
      await add(store, stream, [wantWork('deduct', 1)])
      const lostAt = '2026-01-01T01:00:00.000Z'
      const claim = {
        step: 'deduct',
        attempt: 1,
        executionId: '0f0c1c9e-1111-4222-8333-444455556666',
        callBefore: lostAt,
        lostAt,
      }
      await add(store, stream, [{ type: 'AttemptStarted', data: claim }])
      expect((await openSteps(stream))[0].claimed_until.toISOString()).to.equal(lostAt)
      expect(await overdueOf(stream)).to.equal(undefined)
      const end = { step: 'deduct', attempt: 1, outcome: 'not-done' as const, code: null, retryAt: null, at: lostAt }
      await add(store, stream, [{ type: 'AttemptEnded', data: end }, wantWork('deduct', 2)])
      expect((await openSteps(stream))[0]).to.include({ attempt: 2, claimed_until: null })
      await add(store, stream, [{ type: 'AttemptEnded', data: end }])
      expect(await openSteps(stream), 'an end of the attempt before').to.have.length(1)
      await add(store, stream, [{ type: 'WorkDropped', data: {} }])
      expect(await openSteps(stream)).to.have.length(0)
      expect((await store.load('harbour', counterType, stream)).state.open).to.deep.equal([])
    })
    const overdueOf = async (stream: string) =>
      (await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 100 })).find(
        (job) => job.stream === stream,
      )

    it('hands the sweep only so many of one tenant and step', async () => {
      await Promise.all(Array.from({ length: 6 }, () => add(store, newStream(), [wantWork('crowded', 1)])))
      const overdue = await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 4 })
      expect(overdue.filter(({ step }) => step === 'crowded')).to.have.length(4)
      expect(
        await findOverdueSteps(store.pool, { graceMs: Date.now(), limit: 1000, eachMax: 4 }),
        'younger',
      ).to.have.length(0)
    })

    it('hands the sweep every overdue step, page by page, and leaves out what it wants no more of', async () => {
      const names = (jobs: StepJob[]) => jobs.map(({ step, stream }) => `${step} ${stream}`)
      const streams = ['busy', 'busy', 'busy', 'busy', 'busy', 'quiet'].map((step) => ({ step, stream: newStream() }))
      for (const { step, stream } of streams) await add(store, stream, [wantWork(step, 1)])
      const expected = streams.map(({ step, stream }) => `${step} ${stream}`).sort()

      const found: StepJob[] = []
      const seen = new Map<string, SweptSteps>()
      for (let page = 0; page < 20; page++) {
        const jobs = await findOverdueSteps(store.pool, { graceMs: 0, limit: 4, eachMax: 2, seen: [...seen.values()] })
        found.push(...jobs)
        for (const { tenantId, step, dueAt, stream } of jobs)
          seen.set(`${tenantId} ${step}`, { tenantId, step, upTo: { dueAt, stream } })
        if (jobs.length === 0) break
      }
      const ours = names(found).filter((name) => /^(busy|quiet) /.test(name))
      expect(ours.toSorted()).to.deep.equal(expected)
      const unwanted = [{ tenantId: 'harbour', step: 'busy', upTo: null }]
      const rest = await findOverdueSteps(store.pool, { graceMs: 0, limit: 1000, eachMax: 100, seen: unwanted })
      expect(rest.map(({ step }) => step))
        .to.include('quiet')
        .and.not.include('busy')
    })
  })

  it('refuses a claim until the log was compared with its copy after this start of the database', async () => {
    const claim = () =>
      store.handle({
        context: contextOf(),
        streams: { counter: { type: counterType, stream: newStream() } },
        decide: () => ({ events: { counter: [added()] }, effects: [{ name: 'require_log_verified', args: {} }] }),
      })
    expect((await rejectionOf(claim())).code).to.equal('unavailable')
    await fixture.admin.query(`
      insert into log_verifications select topic, partition, log_incarnation() from log_heads`)
    expect((await claim()).replayed).to.equal(false)
    await fixture.admin.query(`update log_verifications set incarnation = 'an earlier start' where partition = 0`)
    expect((await rejectionOf(claim())).code).to.equal('unavailable')
  })
})
