/** Passengers before they are sealed. Seen failing when: infants are attached in the order of the list instead of one per adult; the age is taken today instead of on the last flight. */
import { bookedOfferSchema } from '@portolan/schemas/bookings/messages.ts'
import { createBookingRequestSchema } from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { requested } from './booking-spec.ts'
import { contactDetails, passengersToSeal } from './passengers.ts'

const today = '2026-11-21'
const contact = { email: 'john.doe@email.com', phone: '+1-555-123-4567' }
const adult = { type: 'adult', title: 'Mr', first_name: 'John', last_name: 'Doe', date_of_birth: '1985-03-15' }
const child = { ...adult, type: 'child', first_name: 'Tom', date_of_birth: '2018-06-01' }
const infant = { ...adult, type: 'infant', title: 'Miss', first_name: 'Ann', date_of_birth: '2026-02-01' }

type Counts = { adults: number; children: number; infants: number }

function offerFor({ adults, children, infants }: Counts, changes: Record<string, unknown> = {}) {
  const ids = (letter: string, count: number) => Array.from({ length: count }, (_, n) => `${letter}${n + 1}`)
  return bookedOfferSchema.parse({
    ...requested().booking.offer,
    supplierPassengerIds: [...ids('a', adults), ...ids('c', children), ...ids('i', infants)],
    passengerCounts: { adults, children, infants },
    ...changes,
  })
}

const request = (passengers: unknown[], changes: Record<string, unknown> = {}) =>
  createBookingRequestSchema.parse({
    flight_id: 'flt_1',
    passengers,
    payment: { method: 'loyalty_points', amount: 35_000, currency: 'stars' },
    contact,
    ...changes,
  })

const one = { adults: 1, children: 0, infants: 0 }
const seal = (passengers: unknown[], offer = offerFor(one)) => passengersToSeal(request(passengers), offer, today)

function errorsOf(act: () => unknown): { field: string; message: string }[] {
  try {
    act()
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    expect(error.code).to.equal('validation-error')
    const errors = error.members.errors as { field: string; message: string }[]
    expect(error.detail).to.equal(`${errors[0]?.field}: ${errors[0]?.message}`)
    return errors
  }
  throw new Error('nothing was refused')
}

describe('a passenger', () => {
  it('is sealed with everything the supplier wants, phone in E.164', () => {
    const [passenger] = seal([{ ...adult, email: 'j@email.com', phone: '+44 20 7946 0958' }])
    expect(passenger).to.deep.equal({
      type: 'adult',
      supplierPassengerId: 'a1',
      withAdultIndex: null,
      details: {
        title: 'Mr',
        gender: 'm',
        firstName: 'John',
        lastName: 'Doe',
        dateOfBirth: '1985-03-15',
        email: 'j@email.com',
        phone: '+442079460958',
      },
    })
  })

  it('without e-mail and phone has those of the contact', () => {
    expect(seal([adult])[0]?.details).to.include({ email: 'john.doe@email.com', phone: '+15551234567' })
  })

  it('has the gender of the title, with Dr the one they state', () => {
    const genders = (['Mr', 'Ms', 'Mrs', 'Miss'] as const).map(
      (title) => seal([{ ...adult, title }])[0]?.details.gender,
    )
    expect(genders).to.deep.equal(['m', 'f', 'f', 'f'])
    expect(seal([{ ...adult, title: 'Dr', gender: 'f' }])[0]?.details).to.include({ title: 'Dr', gender: 'f' })
    expect(
      createBookingRequestSchema.safeParse({ ...request([adult]), passengers: [{ ...adult, title: 'Dr' }] }).success,
    ).to.equal(false)
  })

  it('is refused with an impossible phone number, by the name of the field', () => {
    const message = 'Must be a possible phone number'
    expect(errorsOf(() => seal([{ ...adult, phone: '12345' }]))).to.deep.equal([
      { field: 'passengers.0.phone', message },
    ])
    expect(errorsOf(() => seal([{ ...adult, phone: 'call me' }]))).to.deep.equal([
      { field: 'passengers.0.phone', message },
    ])
  })
})

describe('the contact', () => {
  it('has its phone in E.164; without a country code it is North American', () => {
    expect(contactDetails(request([adult]))).to.deep.equal({ email: 'john.doe@email.com', phone: '+15551234567' })
    const national = request([adult], { contact: { ...contact, phone: '(212) 555-0123' } })
    expect(contactDetails(national).phone).to.equal('+12125550123')
  })

  it('is refused with an impossible phone number', () => {
    const impossible = request([adult], { contact: { ...contact, phone: '+1 555' } })
    const expected = [{ field: 'contact.phone', message: 'Must be a possible phone number' }]
    expect(errorsOf(() => contactDetails(impossible))).to.deep.equal(expected)
    expect(errorsOf(() => passengersToSeal(impossible, offerFor(one), today))).to.deep.equal(expected)
  })
})

describe('passengers of several types', () => {
  const family = offerFor({ adults: 2, children: 1, infants: 2 })

  it('get the supplier’s ids of their type, in whatever order they are listed', () => {
    const sealed = seal([infant, adult, child, { ...adult, first_name: 'Jane' }, infant], family)
    expect(sealed.map(({ supplierPassengerId }) => supplierPassengerId)).to.deep.equal(['i1', 'a1', 'c1', 'a2', 'i2'])
  })

  it('attach each infant to an adult of its own', () => {
    const sealed = seal([infant, adult, child, { ...adult, first_name: 'Jane' }, infant], family)
    expect(sealed.map(({ withAdultIndex }) => withAdultIndex)).to.deep.equal([1, null, null, null, 3])
  })

  it('must be as many of each type as were searched for', () => {
    const message = 'Must match the search: 1 adult(s), 0 child(ren), 0 infant(s)'
    for (const passengers of [[adult, adult], [child], [adult, infant]]) {
      expect(errorsOf(() => seal(passengers))[0]).to.deep.equal({ field: 'passengers', message })
    }
  })
})

describe('an age', () => {
  const bornOn = (type: string, date: string) => ({ ...adult, type, date_of_birth: date })
  const counts = {
    adult: one,
    child: { adults: 1, children: 1, infants: 0 },
    infant: { adults: 1, children: 0, infants: 1 },
  } as const
  const fieldsRefused = (type: keyof typeof counts, date: string, changes = {}) => {
    const passengers = type === 'adult' ? [bornOn(type, date)] : [adult, bornOn(type, date)]
    const act = () => seal(passengers, offerFor(counts[type], changes))
    try {
      act()
      return []
    } catch {
      return errorsOf(act).map(({ field }) => field)
    }
  }
  // The flight leaves on 2026-12-24.
  it('fits its type on the day of the flight, to the day', () => {
    expect(fieldsRefused('adult', '2014-12-24')).to.deep.equal([])
    expect(fieldsRefused('adult', '2014-12-25')).to.deep.equal(['passengers.0.date_of_birth'])
    expect(fieldsRefused('child', '2024-12-24')).to.deep.equal([])
    expect(fieldsRefused('child', '2024-12-25')).to.deep.equal(['passengers.1.date_of_birth'])
    expect(fieldsRefused('child', '2008-12-25')).to.deep.equal([])
    expect(fieldsRefused('child', '2008-12-24')).to.deep.equal(['passengers.1.date_of_birth'])
    expect(fieldsRefused('infant', '2024-12-25')).to.deep.equal([])
    expect(fieldsRefused('infant', '2024-12-24')).to.deep.equal(['passengers.1.date_of_birth'])
    expect(fieldsRefused('adult', '1800-01-01')).to.deep.equal(['passengers.0.date_of_birth'])
  })

  it('counts on the last flight of a return journey', () => {
    const { outbound } = requested().booking.offer
    const departure = { ...outbound.departure, localTime: '2027-01-10T08:00:00' }
    const inbound = { ...outbound, departure }
    expect(fieldsRefused('infant', '2025-01-05')).to.deep.equal([])
    expect(fieldsRefused('infant', '2025-01-05', { inbound })).to.deep.equal(['passengers.1.date_of_birth'])
  })

  it('is not that of somebody who is not born yet', () => {
    expect(errorsOf(() => seal([adult, bornOn('infant', '2026-11-22')], offerFor(counts.infant)))).to.deep.equal([
      { field: 'passengers.1.date_of_birth', message: 'Must not be in the future' },
    ])
    expect(fieldsRefused('infant', today)).to.deep.equal([])
  })
})

it('everything that is wrong with a request’s passengers is said at once', () => {
  const wrong = request([{ ...adult, phone: '12345', date_of_birth: '2020-01-01' }, adult], {
    contact: { ...contact, phone: 'none00000' },
  })
  expect(errorsOf(() => passengersToSeal(wrong, offerFor(one), today)).map(({ field }) => field)).to.deep.equal([
    'passengers',
    'passengers.0.date_of_birth',
    'contact.phone',
    'passengers.0.phone',
  ])
})
