/**
 * Commands under an idempotency key, on a real database, with two stores as two processes (P10).
 *
 * Seen failing: with no rejection recorded; with every rejection recorded; without comparing the body.
 */
import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { hashBody, type IdempotencyScope } from './idempotency.ts'
import {
  added,
  contextOf,
  counterType,
  createStoreFixture,
  type Fixture,
  rejectionOf,
  type Store,
  start,
} from './store-fixture.ts'

describe('handling commands under an idempotency key', () => {
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
      create function effects.take_seat(tenant text, args jsonb) returns void language plpgsql as $$
      begin
        if args ->> 'seat' = 'taken' then
          raise sqlstate 'PT001' using message = 'conflict', detail = 'The seat is taken.';
        end if;
      end $$;
      grant execute on all functions in schema effects to portolan_command_api;
    `)
  })
  after(() => fixture.close())

  const scopeOf = (key: string, body: unknown, reference: string | null): IdempotencyScope => ({
    principal: 'member:M1',
    method: 'POST',
    path: '/api/v1/counters',
    key,
    bodyHash: hashBody(body),
    reference,
  })
  const eventsOf = async (stream: string) =>
    (await fixture.admin.query('select * from events where stream = $1 order by stream_version', [stream])).rows

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

  it('records events that were due together with the refusal, and gives that again', async () => {
    const stream = newStream()
    await start(store, stream)
    const refuse = () =>
      store.handle({
        context: contextOf(),
        streams: { counter: { type: counterType, stream } },
        decide: ({ counter }) =>
          counter.sum > 1
            ? { events: {} }
            : { events: { counter: [added(10)] }, refusal: new Rejection('conflict', 'It was overdue') },
        idempotency: scopeOf('overdue', {}, stream),
      })
    const refused = await refuse()
    expect(refused.replayed ? null : refused.refusal?.detail).to.equal('It was overdue')
    expect((await store.load('harbour', counterType, stream)).state.sum).to.equal(11)
    expect((await rejectionOf(refuse())).detail, 'the same answer').to.equal('It was overdue')
    expect((await store.load('harbour', counterType, stream)).state.sum).to.equal(11)
  })

  it('records events that were due together with a refusal that is no rule, and decides again', async () => {
    const stream = newStream()
    await start(store, stream)
    const refuse = () =>
      store.handle({
        context: contextOf(),
        streams: { counter: { type: counterType, stream } },
        decide: ({ counter }) => {
          const refusal = new Rejection('validation-error', 'That does not fit')
          if (counter.sum > 1) throw refusal
          return { events: { counter: [added(10)] }, refusal }
        },
        idempotency: scopeOf('overdue and unfit', {}, stream),
      })
    const refused = await refuse()
    expect(refused.replayed ? null : refused.refusal?.code).to.equal('validation-error')
    expect((await rejectionOf(refuse())).code, 'no success').to.equal('validation-error')
    expect((await store.load('harbour', counterType, stream)).state.sum).to.equal(11)
  })

  it('records a refusal by an effect', async () => {
    const scope = scopeOf('effect', {}, null)
    const take = (seat: string) =>
      store.handle({
        context: contextOf(),
        streams: { counter: { type: counterType, stream: newStream(), isNew: true } },
        decide: () => ({ events: { counter: [added()] }, effects: [{ name: 'take_seat', args: { seat, by: 'x' } }] }),
        idempotency: scope,
      })
    expect((await rejectionOf(take('taken'))).code).to.equal('conflict')
    expect((await rejectionOf(take('free'))).code).to.equal('conflict')
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
      await client.query(`insert into idempotency_keys values ('harbour', $1, $2, $3, $4, $5, 'first', null, now())`, [
        scope.principal,
        scope.method,
        scope.path,
        scope.key,
        scope.bodyHash,
      ])
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
