import { expect } from 'chai'
import { problemCodes } from './errors.ts'
import { loyaltyErrorSchema, loyaltyErrors, loyaltyProblem, serializeLoyaltyProblem } from './loyalty-errors.ts'

describe('a loyalty error', () => {
  const instance = '/api/v1/bookings'
  const prefix = 'https://api.loyalty-middleware.com/errors/'

  it('is wrapped by default', () => {
    const { status, contentType, body } = loyaltyProblem('booking-not-found', 'gone', {}, instance)
    expect([status, contentType]).to.deep.equal([404, 'application/json'])
    expect(body).to.deep.equal({
      error: { type: `${prefix}not-found`, title: 'Booking Not Found', status: 404, detail: 'gone', instance },
    })
    expect(loyaltyErrorSchema.parse(body)).to.deep.equal(body)
  })

  it('has room for the balance that is missing', () => {
    const balance = { required: 35000, available: 20000, currency: 'stars' }
    const { status, body } = loyaltyProblem('insufficient-balance', 'too few', { balance }, instance)
    expect(status).to.equal(403)
    expect(loyaltyErrorSchema.parse(body).error.balance).to.deep.equal(balance)
  })

  it('is bare for a client that accepts problem documents', () => {
    const accept = 'text/html, Application/Problem+JSON;q=0.9'
    const answer = loyaltyProblem('conflict', 'no', { booking_id: 'bkg_1' }, instance, accept)
    expect(answer.contentType).to.equal('application/problem+json')
    expect(answer.body).to.include({ type: `${prefix}conflict`, status: 409, booking_id: 'bkg_1' })
  })

  it('has the documented sentence where the contract fixes one', () => {
    const details = (['unauthorized', 'rate-limit', 'internal-error'] as const).map(
      (code) => loyaltyErrors[code].detail,
    )
    expect(details).to.deep.equal([
      'Invalid or expired authentication credentials',
      'Rate limit exceeded. Please try again later.',
      'An unexpected error occurred while processing your request',
    ])
    const answer = loyaltyProblem('internal-error', 'select failed at 10.0.0.3', {}, instance)
    expect(JSON.stringify(answer.body)).to.not.include('10.0.0.3')
  })

  it('cannot have its standard members replaced', () => {
    const members = { status: 200, type: 'x', title: 'x', instance: '/' }
    const { body } = loyaltyProblem('not-cancellable', 'late', members, instance, 'application/problem+json')
    expect(body).to.deep.equal({
      type: `${prefix}not-cancellable`,
      title: 'Not Cancellable',
      status: 409,
      detail: 'late',
      instance,
    })
  })

  it('is the contract’s for every code of the catalogue', () => {
    const table = Object.entries(loyaltyErrors).map(
      ([code, { status, suffix }]) => [code, `${status} ${suffix}`] as const,
    )
    expect(Object.fromEntries(table)).to.deep.equal({
      'no-availability': '404 not-found',
      'unknown-property': '404 not-found',
      'validation-error': '400 validation-error',
      'invalid-cabin-class': '400 invalid-cabin-class',
      unauthorized: '401 unauthorized',
      forbidden: '403 forbidden',
      'insufficient-balance': '403 insufficient-balance',
      'not-found': '404 not-found',
      'booking-not-found': '404 not-found',
      'flight-not-found': '404 not-found',
      'member-not-found': '404 not-found',
      'method-not-allowed': '405 method-not-allowed',
      conflict: '409 conflict',
      'offer-already-booked': '409 conflict',
      'offer-no-longer-available': '409 conflict',
      'not-pending-approval': '409 conflict',
      'no-decision-needed': '409 conflict',
      'not-forgettable': '409 conflict',
      'idempotency-busy': '409 conflict',
      'not-available': '409 conflict',
      'not-cancellable': '409 not-cancellable',
      'payload-too-large': '413 payload-too-large',
      'idempotency-mismatch': '422 idempotency-mismatch',
      'rate-limit': '429 rate-limit',
      'internal-error': '500 internal-error',
      'partner-unavailable': '502 partner-unavailable',
      'version-conflict': '503 unavailable',
      'read-model-behind': '503 unavailable',
      unavailable: '503 unavailable',
      'partner-timeout': '504 partner-timeout',
    })
    expect(Object.keys(loyaltyErrors)).to.have.members(Object.keys(problemCodes))
  })

  it('carries a trace id when it is a fault and a challenge when it is a 401', () => {
    const problem = { detail: 'x', members: {}, instance, correlationId: 'c-1' }
    const request = { get: () => undefined }
    const fault = serializeLoyaltyProblem({ ...problem, code: 'internal-error' }, request)
    expect(fault.body).to.have.nested.property('error.trace_id', 'c-1')
    const refused = serializeLoyaltyProblem({ ...problem, code: 'unauthorized' }, request)
    expect(refused.headers).to.have.property('WWW-Authenticate')
    expect(fault.headers).to.deep.equal({})
  })
})
