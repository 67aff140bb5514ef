import { expect } from 'chai'
import type { z } from 'zod'
import * as examples from '../openapi/examples.ts'
import * as views from './views.ts'

/** Fields that the schema refuses in `input`, in its order; empty when it fits. */
function refusedFields(schema: z.ZodType, input: unknown): string[] {
  return schema.safeParse(input).error?.issues.map(({ path }) => path.join('.')) ?? []
}

describe('the examples of the contract', () => {
  const documented = {
    'confirmed booking': [views.confirmedBookingSchema, examples.confirmedBookingExample],
    'booking that waits for approval': [views.pendingApprovalBookingSchema, examples.pendingApprovalExample],
    'pending booking': [views.pendingBookingSchema, examples.pendingBookingExample],
    'booking detail': [views.bookingDetailSchema, examples.bookingDetailExample],
    'booking list': [views.bookingListSchema, examples.bookingListExample],
    'cancelled booking': [views.cancelledBookingSchema, examples.cancelledBookingExample],
    health: [views.healthSchema, examples.healthExample],
    'create request': [views.createBookingRequestSchema, examples.createBookingExample],
    'cancel request': [views.cancelBookingRequestSchema, examples.cancelBookingExample],
  } as const
  for (const [name, [schema, example]] of Object.entries(documented))
    it(`parse without losing anything: ${name}`, () => expect(schema.parse(example)).to.deep.equal(example))

  it('parse: health with partners that are not built yet', () => {
    const services = { ...examples.healthExample.services, telcocorp_api: 'healthy', fintechapp_api: 'unhealthy' }
    expect(views.healthSchema.parse({ ...examples.healthExample, services }).services).to.deep.equal(services)
  })
})

describe('a booking request', () => {
  const [passenger] = examples.createBookingExample.passengers
  const refusedIn = (changes: object) =>
    refusedFields(views.createBookingRequestSchema, { ...examples.createBookingExample, ...changes })
  const refusedInPassenger = (changes: object) => refusedIn({ passengers: [{ ...passenger, ...changes }] })

  it('needs a gender when the title is Dr', () => {
    expect(refusedInPassenger({ title: 'Dr' })).to.deep.equal(['passengers.0.gender'])
    expect(refusedInPassenger({ title: 'Dr', gender: 'f' })).to.deep.equal([])
  })

  it('takes the gender from every other title', () => {
    expect(views.genderOf({ title: 'Mr', gender: 'f' })).to.equal('m')
    for (const title of ['Ms', 'Mrs', 'Miss'] as const) expect(views.genderOf({ title })).to.equal('f')
    expect(views.genderOf({ title: 'Dr', gender: 'm' })).to.equal('m')
  })

  it('may leave out a passenger’s e-mail and phone, but not the contact’s', () => {
    expect(refusedInPassenger({ email: undefined, phone: undefined })).to.deep.equal([])
    expect(refusedIn({ contact: { email: 'john.doe@email.com' } })).to.deep.equal(['contact.phone'])
  })

  it('is refused with a blank name, another title, or a day of birth that does not exist', () => {
    const changes = { first_name: ' ', title: 'Sir', date_of_birth: '1985-02-30' }
    expect(refusedInPassenger(changes)).to.have.members([
      'passengers.0.first_name',
      'passengers.0.title',
      'passengers.0.date_of_birth',
    ])
  })

  it('ignores fields that the contract does not know', () => {
    expect(refusedInPassenger({ loyalty_number: 'X1' })).to.deep.equal([])
  })

  it('is refused with another way of paying or nothing to pay', () => {
    expect(refusedIn({ payment: { method: 'card', amount: 0, currency: 'stars' } })).to.deep.equal([
      'payment.method',
      'payment.amount',
    ])
  })
})

describe('a cancellation request', () => {
  it('asks for a refund unless it says otherwise, also without a body', () => {
    expect(views.cancelBookingRequestSchema.parse(undefined)).to.deep.equal({ refund_requested: true })
    expect(views.cancelBookingRequestSchema.parse({ refund_requested: false }).refund_requested).to.equal(false)
  })
})

describe('a list query', () => {
  const parse = (query: object) => views.listBookingsQuerySchema.parse(query)

  it('defaults to the first 20', () => {
    expect(parse({})).to.deep.include({ limit: 20, offset: 0, status: undefined })
  })

  it('turns inclusive days into a half-open range of instants', () => {
    expect(parse({ from_date: '2024-02-01', to_date: '2024-02-01' })).to.deep.include({
      createdFrom: '2024-02-01T00:00:00.000Z',
      createdBefore: '2024-02-02T00:00:00.000Z',
    })
  })

  it('accepts timestamps, inclusive to the millisecond', () => {
    expect(parse({ from_date: '2024-02-01T12:00:00+02:00', to_date: '2024-02-01T10:00:00Z' })).to.deep.include({
      createdFrom: '2024-02-01T10:00:00.000Z',
      createdBefore: '2024-02-01T10:00:00.001Z',
    })
  })

  const refused: [string, object, string][] = [
    ['a limit above 100', { limit: '101' }, 'limit'],
    ['a limit of 0', { limit: '0' }, 'limit'],
    ['a limit that is no number', { limit: '20x' }, 'limit'],
    ['a negative offset', { offset: '-1' }, 'offset'],
    ['an unknown status', { status: 'open' }, 'status'],
    ['two statuses', { status: ['pending', 'confirmed'] }, 'status'],
    ['something that is no date', { from_date: 'yesterday' }, 'from_date'],
    ['the last day of all', { to_date: '9999-12-31' }, 'to_date'],
    ['the year 0', { from_date: '0000-01-01' }, 'from_date'],
    ['an instant that begins in another era', { from_date: '0000-01-01T00:00:00+14:00' }, 'from_date'],
    ['a reversed range', { from_date: '2024-02-02', to_date: '2024-02-01' }, 'to_date'],
    [
      'a range reversed by a timestamp',
      { from_date: '2024-02-01T10:00:01Z', to_date: '2024-02-01T10:00:00Z' },
      'to_date',
    ],
  ]
  for (const [title, query, field] of refused)
    it(`is refused with ${title}`, () =>
      expect(refusedFields(views.listBookingsQuerySchema, query)).to.deep.equal([field]))
})

describe('a refusal', () => {
  it('names the balance that is missing', () => {
    const rejection = views.insufficientBalance({ required: 35000, available: 20000, currency: 'stars' })
    expect(rejection.code).to.equal('insufficient-balance')
    expect(rejection.detail).to.equal('Member has an insufficient balance. Required: 35000, Available: 20000')
    expect(rejection.members).to.deep.equal({ balance: { required: 35000, available: 20000, currency: 'stars' } })
  })

  it('names the booking that was not found', () => {
    expect(views.bookingNotFound('bkg_1').detail).to.equal("Booking with ID 'bkg_1' not found")
  })
})
