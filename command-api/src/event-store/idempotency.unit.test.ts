import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { createSingleFlight, hashBody, type IdempotencyScope, isRecorded } from './idempotency.ts'

const scopeOf = (body: unknown): IdempotencyScope => ({
  principal: 'member:M1',
  method: 'POST',
  path: '/api/v1/bookings',
  key: 'k1',
  bodyHash: hashBody(body),
  reference: null,
})

describe('the hash of a body', () => {
  it('refuses a body nested too deeply to be compared, instead of failing on it', () => {
    let body: unknown = 1
    for (let depth = 0; depth < 40_000; depth++) body = [body]
    expect(() => hashBody(body)).to.throw(Rejection, 'nested too deeply')
  })

  it('is the same for the same content in another order', () => {
    expect(hashBody({ a: 1, b: { c: [1, 2], d: null } })).to.equal(hashBody({ b: { d: null, c: [1, 2] }, a: 1 }))
  })

  it('differs when a value, a type, an order within a list or a level differs', () => {
    const bodies = [{ a: 1 }, { a: 2 }, { a: '1' }, { a: [1, 2] }, { a: [2, 1] }, { a: { a: 1 } }, {}, null, []]
    expect(new Set(bodies.map(hashBody)).size).to.equal(bodies.length)
  })
})

describe('a rejection', () => {
  it('is recorded when it is the answer of a rule', () => {
    for (const code of ['insufficient-balance', 'offer-already-booked', 'booking-not-found'] as const) {
      expect(isRecorded(new Rejection(code, ''))).to.equal(true)
    }
  })

  it('is not recorded when a later try may be answered otherwise', () => {
    const codes = [
      'validation-error',
      'unauthorized',
      'rate-limit',
      'idempotency-busy',
      'unavailable',
      'internal-error',
    ]
    for (const code of codes as ('unavailable' | 'validation-error')[]) {
      expect(isRecorded(new Rejection(code, ''))).to.equal(false)
    }
  })
})

describe('requests of one key in flight', () => {
  it('share the work of the first one, and its failure', async () => {
    const singleFlight = createSingleFlight()
    let runs = 0
    const work = async () => {
      runs += 1
      await Promise.resolve()
      if (runs > 1) throw new Error('broken')
      return runs
    }
    const all = () => Promise.allSettled([1, 2, 3].map(() => singleFlight('t', scopeOf({}), work)))
    expect((await all()).map((one) => one.status)).to.deep.equal(['fulfilled', 'fulfilled', 'fulfilled'])
    expect((await all()).map((one) => one.status)).to.deep.equal(['rejected', 'rejected', 'rejected'])
    expect(runs).to.equal(2)
  })

  it('of another tenant, or without a key, run for themselves', async () => {
    const singleFlight = createSingleFlight()
    let runs = 0
    const work = async () => ++runs
    await Promise.all([
      singleFlight('a', scopeOf({}), work),
      singleFlight('b', scopeOf({}), work),
      singleFlight('a', undefined, work),
      singleFlight('a', undefined, work),
    ])
    expect(runs).to.equal(4)
  })

  it('with another body wait for the first and then run', async () => {
    const singleFlight = createSingleFlight()
    const order: string[] = []
    const first = Promise.withResolvers<void>()
    const one = singleFlight('t', scopeOf({ a: 1 }), async () => {
      await first.promise
      order.push('first')
    })
    const two = singleFlight('t', scopeOf({ a: 2 }), async () => {
      order.push('second')
    })
    first.resolve()
    await Promise.all([one, two])
    expect(order).to.deep.equal(['first', 'second'])
  })

  it('are waited for as long as asked, and go on after that', async () => {
    const singleFlight = createSingleFlight()
    const first = Promise.withResolvers<string>()
    const working = singleFlight('t', scopeOf({ a: 1 }), () => first.promise)
    for (const body of [{ a: 1 }, { a: 2 }]) {
      const joining = singleFlight('t', scopeOf(body), async () => 'another', { joinMaxMs: 5 })
      expect(await joining.catch((error: Rejection) => error.code)).to.equal('idempotency-busy')
    }
    const patient = singleFlight('t', scopeOf({ a: 1 }), async () => 'another', { joinMaxMs: 60_000 })
    first.resolve('first')
    expect(await Promise.all([working, patient])).to.deep.equal(['first', 'first'])
  })
})
