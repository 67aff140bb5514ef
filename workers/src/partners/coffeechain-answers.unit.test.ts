import { expect } from 'chai'
import { asRead, type CallAnswer, isTrouble, parseRetryAfter } from '../steps/call-answer.ts'
import { deductAnswerSchema, readAnswer, refundAnswerSchema } from './coffeechain-answers.ts'
import { mockErrorFor, type PartnerCallKind } from './mock-error.ts'
import type { PartnerResponse } from './partner-request.ts'

const nowMs = Date.parse('2027-01-01T00:00:00Z')
const answered = (status: number, body?: unknown, retryAfter: string | null = null): PartnerResponse => ({
  kind: 'answered',
  status,
  body,
  retryAfter,
})
const failed = (status: number, error: string, extra = {}): PartnerResponse =>
  answered(status, { detail: { error, message: 'text', ...extra } })
const deducted = { transaction_id: 'txn_0123456789ab', amount_deducted: 500, remaining_balance: 1000 }

/** Every class of the design's table, as CoffeeChain shows it. */
const table: [string, PartnerResponse, CallAnswer<unknown>][] = [
  ['a success', answered(200, deducted), { kind: 'succeeded', value: deducted }],
  ['an accepted call', answered(202), { kind: 'accepted' }],
  ['a success that cannot be read', answered(200, { ok: true }), { kind: 'unknown', code: 'server-error' }],
  ['an empty success', answered(204), { kind: 'unknown', code: 'server-error' }],
  [
    'a balance that does not suffice',
    failed(400, 'insufficient_balance', { current_balance: 1000, requested_amount: 5000 }),
    { kind: 'refused', code: 'insufficient-balance', result: { partnerStatus: 400, available: 1000 } },
  ],
  [
    'an unknown member',
    failed(404, 'member_not_found'),
    { kind: 'refused', code: 'member-not-found', result: { partnerStatus: 404 } },
  ],
  [
    'an unknown transaction',
    failed(404, 'transaction_not_found'),
    { kind: 'refused', code: 'transaction-not-found', result: { partnerStatus: 404 } },
  ],
  [
    'a transaction of another member',
    failed(403, 'unauthorized'),
    { kind: 'refused', code: 'transaction-not-found', result: { partnerStatus: 403 } },
  ],
  ['a bad key', failed(401, 'unauthorized'), { kind: 'refused', code: 'unauthorized', result: { partnerStatus: 401 } }],
  [
    'a body it cannot read',
    answered(422, { detail: [{ loc: ['body'], msg: 'bad' }] }),
    { kind: 'refused', code: 'partner-refused', result: { partnerStatus: 422 } },
  ],
  ['its limit', answered(429, undefined, '7'), { kind: 'not-done', code: 'rate-limited', retryAfterMs: 7000 }],
  ['its absence', answered(503), { kind: 'not-done', code: 'partner-unavailable', retryAfterMs: null }],
  ['a refused connection', { kind: 'not-sent' }, { kind: 'not-done', code: 'partner-unavailable', retryAfterMs: null }],
  ['its own failure', failed(500, 'internal_error'), { kind: 'unknown', code: 'server-error' }],
  ['a gateway page', answered(502, undefined), { kind: 'unknown', code: 'server-error' }],
  ['a request that took too long for it', answered(408), { kind: 'unknown', code: 'timeout' }],
  ['a timeout', { kind: 'timeout' }, { kind: 'unknown', code: 'timeout' }],
  ['a cut connection', { kind: 'cut' }, { kind: 'unknown', code: 'connection-cut' }],
]

describe("CoffeeChain's answer to a deduction", () => {
  for (const [what, response, expected] of table) {
    it(`${what} is ${expected.kind}`, () => {
      expect(readAnswer(response, deductAnswerSchema, nowMs)).to.deep.equal(expected)
    })
  }

  it('with amounts beyond all measure is not believed', () => {
    for (const remaining_balance of [1.5, 1e300, '12', null]) {
      const response = answered(200, { ...deducted, remaining_balance })
      expect(readAnswer(response, deductAnswerSchema, nowMs)).to.deep.equal({ kind: 'unknown', code: 'server-error' })
    }
  })

  it('to a refund must name the refund', () => {
    const response = answered(200, { transaction_id: 'txn_1', amount_refunded: 5 })
    expect(readAnswer(response, refundAnswerSchema, nowMs).kind).to.equal('unknown')
  })
})

describe('the same answer to a read', () => {
  it('is never unknown, because nothing can have happened', () => {
    expect(asRead({ kind: 'unknown', code: 'timeout' }, 'partner')).to.include({
      kind: 'not-done',
      code: 'partner-timeout',
    })
    expect(asRead({ kind: 'unknown', code: 'connection-cut' }, 'partner')).to.include({ code: 'partner-unavailable' })
    expect(asRead({ kind: 'unknown', code: 'server-error' }, 'supplier')).to.include({ code: 'supplier-unavailable' })
  })
})

describe('trouble', () => {
  it('is what says that the other side is down, not what it decided', () => {
    expect(table.filter(([, , answer]) => isTrouble(answer)).map(([what]) => what)).to.deep.equal([
      'a success that cannot be read',
      'an empty success',
      'its absence',
      'a refused connection',
      'its own failure',
      'a gateway page',
      'a request that took too long for it',
      'a timeout',
      'a cut connection',
    ])
  })
})

describe('Retry-After', () => {
  it('is read in seconds and as a date, and bounded', () => {
    expect(parseRetryAfter('3', nowMs)).to.equal(3000)
    expect(parseRetryAfter('Fri, 01 Jan 2027 00:00:30 GMT', nowMs)).to.equal(30_000)
    expect(parseRetryAfter('Thu, 31 Dec 2026 00:00:30 GMT', nowMs)).to.equal(0)
    expect(parseRetryAfter('99999999', nowMs)).to.equal(3_600_000)
    for (const none of [null, undefined, '', 'soon']) expect(parseRetryAfter(none, nowMs)).to.equal(null)
  })
})

describe('X-Mock-Error', () => {
  it('travels only with the calls it is meant for', () => {
    const kinds: PartnerCallKind[] = ['balance', 'approval', 'deduct', 'refund']
    const sentWith = (value: string | undefined) => kinds.filter((kind) => mockErrorFor(kind, value) !== undefined)
    expect(sentWith('insufficient-balance')).to.deep.equal(['deduct'])
    expect(sentWith('api-timeout')).to.deep.equal(['deduct'])
    expect(sentWith('approval-required')).to.deep.equal(['approval'])
    expect(sentWith('auth-failed')).to.deep.equal(kinds)
    expect(sentWith('true')).to.deep.equal(kinds)
    for (const none of [undefined, 'invalid-member', 'constructor', 'TRUE', ''])
      expect(sentWith(none)).to.deep.equal([])
  })
})
