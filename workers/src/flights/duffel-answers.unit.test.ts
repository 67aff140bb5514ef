import { DuffelError } from '@duffel/api'
import { expect } from 'chai'
import { z } from 'zod'
import type { CallAnswer } from '../steps/call-answer.ts'
import { type DuffelCallKind, pauseAfter, readFailure, readSuccess } from './duffel-answers.ts'

const nowMs = Date.parse('2027-01-01T00:00:00Z')
const headers = (values: Record<string, string> = {}) => ({ get: (name: string) => values[name] ?? null })

/** An error as the library makes it of an answer with this status; code null: HTML instead of Duffel's error body. */
function duffelError(status: number, code: string | null = null, values: Record<string, string> = {}) {
  const errors = code === null ? undefined : [{ code, title: 't', message: 'm', type: 'airline_error' }]
  // The constructor's types want every member of an answer; the library passes whatever came.
  return new DuffelError({ meta: undefined, errors, headers: headers(values), status } as never)
}

function fetchError(type: string, code?: string) {
  return Object.assign(new Error('request to http://x/air/orders?passenger_name[]=Doe failed'), {
    name: 'FetchError',
    type,
    code,
  })
}

const refused = (code: string, supplierStatus: number, supplierCode: string | null) => ({
  kind: 'refused',
  code,
  result: { supplierStatus, supplierCode },
})
const unknown = (code: string) => ({ kind: 'unknown', code })
const notDone = (code: string, retryAfterMs: number | null = null) => ({ kind: 'not-done', code, retryAfterMs })

const failures: [string, unknown, unknown][] = [
  [
    'an offer that is gone',
    duffelError(422, 'offer_no_longer_available'),
    refused('offer-unavailable', 422, 'offer_no_longer_available'),
  ],
  ['an expired offer', duffelError(422, 'offer_expired'), refused('offer-expired', 422, 'offer_expired')],
  ['a changed price', duffelError(422, 'price_changed'), refused('price-changed', 422, 'price_changed')],
  [
    'a payment of another amount',
    duffelError(422, 'payment_amount_does_not_match_order_amount'),
    refused('price-changed', 422, 'payment_amount_does_not_match_order_amount'),
  ],
  [
    'a hold past its time',
    duffelError(422, 'past_payment_required_by_date'),
    refused('hold-expired', 422, 'past_payment_required_by_date'),
  ],
  [
    'our empty wallet',
    duffelError(422, 'insufficient_balance'),
    refused('supplier-refused', 422, 'insufficient_balance'),
  ],
  ['a bad request', duffelError(400, 'bad_request'), refused('supplier-refused', 400, 'bad_request')],
  [
    'a bad token',
    duffelError(401, 'access_token_not_found'),
    refused('supplier-unauthorized', 401, 'access_token_not_found'),
  ],
  ['something that does not exist', duffelError(404, 'not_found'), refused('not-found', 404, 'not_found')],
  [
    'an order that cannot be cancelled',
    duffelError(422, 'order_not_cancellable'),
    refused('not-cancellable', 422, 'order_not_cancellable'),
  ],
  [
    'an order already cancelled',
    duffelError(422, 'already_cancelled'),
    refused('already-cancelled', 422, 'already_cancelled'),
  ],
  [
    '502 with the code that guarantees no side effect',
    duffelError(502, 'order_not_created'),
    refused('order-not-created', 502, 'order_not_created'),
  ],
  ['502 with another code', duffelError(502, 'airline_unknown'), unknown('server-error')],
  ['502 as a page of HTML', duffelError(502), unknown('server-error')],
  ['500', duffelError(500, 'internal_server_error'), unknown('server-error')],
  ['504', duffelError(504, 'gateway_timeout_error'), unknown('timeout')],
  ['408', duffelError(408), unknown('timeout')],
  ['503', duffelError(503, 'service_unavailable', { 'retry-after': '4' }), notDone('supplier-unavailable', 4000)],
  [
    'its rate limit',
    duffelError(429, 'rate_limit_exceeded', { 'ratelimit-reset': 'Fri, 01 Jan 2027 00:00:09 GMT' }),
    notDone('rate-limited', 9000),
  ],
  ['an earlier attempt of ours', duffelError(422, 'order_creation_already_attempted'), unknown('server-error')],
  ['an offer request already booked', duffelError(422, 'offer_request_already_booked'), unknown('server-error')],
  ['a hold already paid', duffelError(422, 'already_paid'), unknown('server-error')],
  ['a refused connection', fetchError('system', 'ECONNREFUSED'), notDone('supplier-unavailable')],
  ['an unknown host', fetchError('system', 'ENOTFOUND'), notDone('supplier-unavailable')],
  ['a reset connection', fetchError('system', 'ECONNRESET'), unknown('connection-cut')],
  ['an answer that is no JSON', fetchError('invalid-json'), unknown('server-error')],
  ['an empty success', new TypeError("Cannot use 'in' operator to search for 'errors' in "), unknown('server-error')],
]

describe('a failure of the Duffel client', () => {
  for (const [what, error, expected] of failures) {
    it(`${what} is ${(expected as CallAnswer<never>).kind}`, () => {
      expect(readFailure(error, nowMs)).to.deep.equal(expected)
    })
  }

  it('shows a code only when it looks like one', () => {
    const error = duffelError(422, 'John Doe <script>')
    expect(readFailure(error, nowMs)).to.deep.equal(refused('supplier-refused', 422, null))
  })
})

describe('a success of the Duffel client', () => {
  const schema = z.object({ id: z.string() })
  const read = (kind: DuffelCallKind, status: number, data: unknown) => readSuccess(kind, { status, data }, schema).kind

  it('of a creating call is one only with 201: everything else is an acceptance', () => {
    expect(read('create', 201, { id: 'ord_1' })).to.equal('succeeded')
    expect(read('create', 200, null)).to.equal('accepted')
    expect(read('create', 202, null)).to.equal('accepted')
    expect(read('act', 200, { id: 'ore_1' })).to.equal('succeeded')
    expect(read('act', 202, null)).to.equal('accepted')
    expect(read('read', 200, { id: 'ord_1' })).to.equal('succeeded')
  })

  it('that cannot be read is unknown', () => {
    expect(read('create', 201, { id: 7 })).to.equal('unknown')
    expect(read('read', 200, 'text')).to.equal('unknown')
  })
})

describe("Duffel's rate limit", () => {
  it('is a pause once nothing remains of it', () => {
    const reset = { 'ratelimit-reset': 'Fri, 01 Jan 2027 00:00:09 GMT' }
    expect(pauseAfter(headers({ ...reset, 'ratelimit-remaining': '0' }), nowMs)).to.equal(9000)
    expect(pauseAfter(headers({ ...reset, 'ratelimit-remaining': '1' }), nowMs)).to.equal(0)
    expect(pauseAfter(undefined, nowMs)).to.equal(0)
  })
})
