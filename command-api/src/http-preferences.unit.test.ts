import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import type { Request } from 'express'
import { hashBody } from './event-store/idempotency.ts'
import { idempotencyScope, waitSeconds } from './http-preferences.ts'

/** As much of a request as is read. */
function request(headers: Record<string, string> = {}, more: Record<string, unknown> = {}): Request {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const read = { method: 'POST', originalUrl: '/api/v1/bookings', body: { a: 1 }, ...more }
  return { ...read, get: (name: string) => lower.get(name.toLowerCase()) } as unknown as Request
}

describe('how long a client waits', () => {
  const waits = (prefer?: string) => waitSeconds(request(prefer === undefined ? {} : { Prefer: prefer }), 30)

  it('is the route’s default unless it says otherwise', () => {
    expect(waits()).to.equal(30)
    expect(waitSeconds(request(), 7)).to.equal(7)
    expect(waits('return=minimal')).to.equal(30)
    expect(waits('')).to.equal(30)
  })

  it('is not at all with respond-async, whatever else is preferred', () => {
    expect(waits('respond-async')).to.equal(0)
    expect(waits('Respond-Async')).to.equal(0)
    expect(waits('wait=10, respond-async')).to.equal(0)
  })

  it('is the seconds of wait, at most 30', () => {
    expect(waits('wait=10')).to.equal(10)
    expect(waits('wait=0')).to.equal(0)
    expect(waits('wait=31')).to.equal(30)
    expect(waits('wait=999999')).to.equal(30)
    expect(waits('return=minimal, wait = "5"')).to.equal(5)
  })

  it('ignores a wait that cannot be read', () => {
    for (const prefer of ['wait', 'wait=', 'wait=soon', 'wait=-1', 'wait=1.5', 'wait=1234567', 'awaited=3'])
      expect(waits(prefer), prefer).to.equal(30)
  })
})

describe('the scope of an idempotency key', () => {
  const scopeOf = (headers: Record<string, string>, more = {}) =>
    idempotencyScope(request(headers, more), 'member:CC1234567', 'bkg_1')

  it('is absent without a key', () => {
    expect(scopeOf({})).to.equal(undefined)
  })

  it('is the principal, the method, the path without its query, and the body', () => {
    expect(scopeOf({ 'Idempotency-Key': 'k1' }, { originalUrl: '/api/v1/bookings?x=1' })).to.deep.equal({
      principal: 'member:CC1234567',
      method: 'POST',
      path: '/api/v1/bookings',
      key: 'k1',
      bodyHash: hashBody({ a: 1 }),
      reference: 'bkg_1',
    })
  })

  it('counts a missing body as null', () => {
    expect(scopeOf({ 'Idempotency-Key': 'k1' }, { body: undefined })?.bodyHash).to.equal(hashBody(null))
  })

  it('takes 1 to 255 printable ASCII characters', () => {
    expect(scopeOf({ 'Idempotency-Key': 'x'.repeat(255) })?.key).to.have.length(255)
    for (const key of ['', 'x'.repeat(256), 'two words', 'tab\there', 'schlüssel']) {
      const act = () => scopeOf({ 'Idempotency-Key': key })
      expect(act, JSON.stringify(key)).to.throw(Rejection).with.property('code', 'validation-error')
      expect(act)
        .to.throw(Rejection)
        .with.deep.nested.property('members.errors', [
          { field: 'Idempotency-Key', message: 'Must be 1 to 255 printable ASCII characters' },
        ])
    }
  })
})
