import { expect } from 'chai'
import { searchRequestExample, searchResponseExample } from '../openapi/examples.ts'
import { isFutureDate, searchRequestSchema, searchResponseSchema, toFlightSearch } from './views.ts'

const request = searchRequestExample

/** First field that the schema refuses in the request with `changes`; undefined when it fits. */
function refusedField(changes: object): string | undefined {
  const { error } = searchRequestSchema.safeParse({ ...request, ...changes })
  return error?.issues[0]?.path.join('.')
}

describe('a flight search', () => {
  it('as in the contract parses, and so does its documented answer', () => {
    expect(searchRequestSchema.parse(request)).to.deep.equal(request)
    expect(searchResponseSchema.parse(searchResponseExample)).to.deep.equal(searchResponseExample)
  })

  it('defaults to economy, dollars and no children', () => {
    const { cabin_class: _c, currency: _m, ...rest } = request
    const search = searchRequestSchema.parse({ ...rest, origin: 'jfk', passengers: { adults: 2 } })
    expect(toFlightSearch(search)).to.deep.equal({
      origin: 'JFK',
      destination: 'LAX',
      departureDate: request.departure_date,
      returnDate: null,
      passengers: { adults: 2, children: 0, infants: 0 },
      cabinClass: 'economy',
    })
  })

  it('ignores fields that the contract does not know', () => {
    expect(refusedField({ promo_code: 'X' })).to.equal(undefined)
  })

  const refused: [string, object, string][] = [
    ['to where it starts', { destination: 'jfk' }, 'destination'],
    ['from something that is no airport code', { origin: 'NEWY' }, 'origin'],
    ['without an adult', { passengers: { adults: 0 } }, 'passengers.adults'],
    ['with more infants than adults', { passengers: { adults: 1, infants: 2 } }, 'passengers.infants'],
    ['with ten passengers', { passengers: { adults: 5, children: 5 } }, 'passengers'],
    ['that returns before it departs', { return_date: '2027-03-14' }, 'return_date'],
    ['in another currency', { currency: 'EUR' }, 'currency'],
    ['in a cabin that does not exist', { cabin_class: 'attic' }, 'cabin_class'],
    ['on a day that does not exist', { departure_date: '2027-02-29' }, 'departure_date'],
  ]
  for (const [title, changes, field] of refused)
    it(`${title} is refused`, () => expect(refusedField(changes)).to.equal(field))

  it('may return on the day of departure', () => {
    expect(refusedField({ return_date: request.departure_date })).to.equal(undefined)
  })
})

describe('a departure date', () => {
  it('is in the future from tomorrow on, by UTC', () => {
    expect(isFutureDate('2026-11-21', '2026-11-21T23:59:59.999Z')).to.equal(false)
    expect(isFutureDate('2026-11-22', '2026-11-21T23:59:59.999Z')).to.equal(true)
    expect(isFutureDate('2026-11-20', '2026-11-21T00:00:00.000Z')).to.equal(false)
  })
})
