/**
 * `POST /api/v1/flights/search` and `GET /api/v1/health`, line by line of the loyalty contract's sections 2, 3.1 and 3.6.
 *
 * Seen failing: with today counted as a future date; with prices rounded down instead of half up.
 */

import { eventually } from '@portolan/infra/testing/eventually.ts'
import { healthSchema } from '@portolan/schemas/bookings/views.ts'
import { searchResponseSchema } from '@portolan/schemas/flights/views.ts'
import { expect } from 'chai'
import pg from 'pg'
import { expectProblem, rateLimitOf, request } from './loyalty-client.ts'
import type { Member } from './member.ts'
import { type System, startSystem } from './system.ts'

const path = '/api/v1/flights/search'
const dayIn = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
const oneAdult = { adults: 1, children: 0, infants: 0 }
const search = { origin: 'JFK', destination: 'LAX', departure_date: dayIn(30), passengers: oneAdult }

describe('searching flights', function () {
  this.timeout(60_000)
  let system: System
  let member: Member
  before(async function () {
    this.timeout(120_000)
    system = await startSystem({
      env: {
        // No rate for GBP: such fares must be left out. EUR's makes half cents.
        EXCHANGE_RATES_TO_USD: '{"EUR":"1.0850"}',
        EXCHANGE_RATES_DATE: '2026-11-01',
        SEARCH_DEADLINE_MS: '3000',
        HEALTH_PROBE_TIMEOUT_MS: '500',
        HEALTH_PROBE_KEPT_MS: '100',
        QUERY_API_HEALTH_KEPT_MS: '100',
      },
      sandboxEnv: { SANDBOX_SLOW_SECONDS: '1' },
    })
    member = await system.newMember({ balance: 400_000 })
  })
  after(() => system?.stop())
  afterEach(() => system?.duffel.clearFaults())

  const post = (body: unknown, headers: Record<string, string | null> = {}) =>
    request(system.commandApis[0]?.url ?? '', member, path, { body, headers })
  const flightsOf = async (changes: Record<string, unknown>) => {
    const answer = await post({ ...search, ...changes })
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200)
    return answer.body.data.flights
  }

  describe('finds flights', () => {
    it('with the documented body, cheapest first, and the limit’s headers', async () => {
      const answer = await post(search)
      expect(answer.status).to.equal(200)
      rateLimitOf(answer)
      searchResponseSchema.parse(answer.body)
      expect(Object.keys(answer.body)).to.deep.equal(['data'])
      const { search_id, flights, metadata } = answer.body.data
      expect(search_id).to.match(/^src_[0-9a-f]{24}$/)
      expect(metadata.total_results).to.equal(flights.length).and.be.greaterThan(3)
      expect(metadata.search_time_ms).to.be.a('number')
      for (const flight of flights) {
        expect(Object.keys(flight)).to.have.members([
          ...['id', 'airline', 'flight_number', 'departure', 'arrival', 'duration', 'price', 'available_seats'],
          'cabin_class',
        ])
        expect(Object.keys(flight.departure)).to.have.members([
          'airport',
          'time',
          'terminal',
          'local_time',
          'time_zone',
        ])
        expect(flight.departure.airport).to.equal('JFK')
        expect(flight.arrival.airport).to.equal('LAX')
        expect(flight.cabin_class).to.equal('economy')
        expect(flight.flight_number).to.match(/^[A-Z0-9]{2}\d{1,4}$/)
      }
      const ids = flights.map(({ id }: { id: string }) => id)
      expect(new Set(ids).size).to.equal(ids.length)
      for (const id of ids) expect(id).to.match(/^flt_[0-9a-f]{24}$/)
      const amounts = flights.map(({ price }: { price: { amount: number } }) => price.amount)
      expect(amounts).to.deep.equal(amounts.toSorted((a: number, b: number) => a - b))
    })

    it('priced in integer cents, of which one is one star', async () => {
      for (const { price } of await flightsOf({})) {
        expect(price).to.deep.equal({
          amount: price.amount,
          currency: 'USD',
          loyalty_amount: price.amount,
          loyalty_currency: 'stars',
        })
        expect(Number.isInteger(price.amount)).to.equal(true)
        expect(price.amount).to.be.within(1_000, 10_000_000)
      }
    })

    it('at true UTC, beside the local time and its zone, which agree', async () => {
      for (const { departure, arrival, duration } of await flightsOf({})) {
        expect(departure.time_zone).to.equal('America/New_York')
        expect(arrival.time_zone).to.equal('America/Los_Angeles')
        expect(departure.local_time.slice(0, 10)).to.equal(search.departure_date)
        for (const { time, local_time, time_zone } of [departure, arrival]) {
          expect(time).to.match(/Z$/)
          expect(localTime(time, time_zone)).to.equal(local_time)
        }
        expect(Date.parse(arrival.time) - Date.parse(departure.time)).to.equal(milliseconds(duration))
      }
    })

    it('with a return slice of the same shape for a return trip, and without one otherwise', async () => {
      const [flight] = await flightsOf({ return_date: dayIn(37) })
      expect(Object.keys(flight.return)).to.have.members([
        'airline',
        'flight_number',
        'departure',
        'arrival',
        'duration',
      ])
      expect(flight.return.departure.airport).to.equal('LAX')
      expect(flight.return.arrival.airport).to.equal('JFK')
      expect(flight.return.departure.local_time.slice(0, 10)).to.equal(dayIn(37))
      expect((await flightsOf({ return_date: null }))[0]).not.to.have.property('return')
    })

    it('in the cabin asked for', async () => {
      for (const cabin of ['premium_economy', 'business', 'first']) {
        const flights = await flightsOf({ destination: 'LHR', cabin_class: cabin })
        expect(flights, cabin).not.to.have.length(0)
        for (const flight of flights) expect(flight.cabin_class).to.equal(cabin)
      }
    })

    it('for codes in small letters, a default cabin and currency, and counts that are left out', async () => {
      const passengers = { adults: 2 }
      const flights = await flightsOf({ origin: 'jfk', destination: 'lax', passengers, currency: 'USD' })
      expect(flights[0].departure.airport).to.equal('JFK')
    })

    it('for nine passengers, infants on laps', async () => {
      expect(await flightsOf({ passengers: { adults: 4, children: 2, infants: 3 } })).not.to.have.length(0)
    })

    it('or none, which is no error', async () => {
      const answer = await post({ ...search, origin: 'PVD', destination: 'RAI' })
      expect(answer.status).to.equal(200)
      expect(answer.body.data).to.deep.include({ flights: [] })
      expect(answer.body.data.metadata.total_results).to.equal(0)
    })

    it('ignoring members of the request that it does not know', async () => {
      expect((await post({ ...search, colour: 'blue' })).status).to.equal(200)
    })

    it('on the first day that is not today', async () => {
      expect((await post({ ...search, departure_date: dayIn(1) })).status).to.equal(200)
    })
  })

  describe('converts fares in other currencies', () => {
    it('once, rounding half up, and keeps the rate with the offer; a fare without a rate is left out and logged', async () => {
      const flights = await flightsOf({ origin: 'LGW', destination: 'BCN' })
      const stored = await offersOf(
        system,
        flights.map(({ id }: { id: string }) => id),
      )
      const euros = stored.filter(({ offer }) => offer.supplierCurrency === 'EUR')
      expect(euros, 'fares in euros').not.to.have.length(0)
      for (const { offer, price } of euros) {
        expect(offer.conversion).to.deep.equal({ rate: '1.0850', date: '2026-11-01' })
        // In ten-thousandths of a cent: exact, as cents × 10850 is an integer.
        const product = BigInt(offer.supplierAmount.replace('.', '')) * 10_850n
        expect(BigInt(price.amountMinor), offer.supplierAmount).to.equal((product + 5_000n) / 10_000n)
        const shown = flights.find(({ id }: { id: string }) => id === offer.flightId)
        expect(shown.price.amount).to.equal(price.amountMinor)
      }
      for (const { offer } of stored.filter((row) => row.offer.supplierCurrency === 'USD'))
        expect(offer.conversion).to.equal(null)
      expect(stored.map(({ offer }) => offer.supplierCurrency)).not.to.include('GBP')
      const [commandApi] = system.commandApis
      await eventually(() =>
        expect(
          commandApi?.logs.filter((line) => line.includes('no exchange rate') && line.includes('GBP')),
        ).not.to.have.length(0),
      )
    })
  })

  describe('refuses with 400', () => {
    it('a departure that is not in the future, in the documented words', async () => {
      for (const departure_date of [dayIn(0), dayIn(-1), '2020-01-01']) {
        expectProblem(await post({ ...search, departure_date }), {
          status: 400,
          type: 'validation-error',
          title: 'Validation Error',
          detail: 'departure_date must be in the future',
          instance: path,
          extra: { errors: [{ field: 'departure_date', message: 'Must be a future date' }] },
        })
      }
    })

    const cases: [string, Record<string, unknown>, string, string][] = [
      ['a currency other than USD', { currency: 'EUR' }, 'currency', 'Must be USD'],
      [
        'an unknown cabin',
        { cabin_class: 'cargo' },
        'cabin_class',
        'Must be one of economy, premium_economy, business, first',
      ],
      ['an origin that is no IATA code', { origin: 'New York' }, 'origin', 'Must be a 3-letter IATA code'],
      ['a missing destination', { destination: undefined }, 'destination', 'Is required'],
      ['an origin that is the destination', { destination: 'jfk' }, 'destination', 'Must differ from origin'],
      ['a date that does not exist', { departure_date: '2031-02-30' }, 'departure_date', 'Must be a valid date'],
      ['a date with a time', { departure_date: '2031-02-03T10:00:00Z' }, 'departure_date', 'Must be a valid date'],
      [
        'a return before the departure',
        { return_date: dayIn(29) },
        'return_date',
        'Must be on or after departure_date',
      ],
      ['no adult', { passengers: { adults: 0, children: 1 } }, 'passengers.adults', 'Must be at least 1'],
      ['half an adult', { passengers: { adults: 1.5 } }, 'passengers.adults', 'Must be an integer'],
      ['adults as a word', { passengers: { adults: '1' } }, 'passengers.adults', 'Must be a number'],
      [
        'fewer than no children',
        { passengers: { adults: 1, children: -1 } },
        'passengers.children',
        'Must be at least 0',
      ],
      [
        'more infants than adults',
        { passengers: { adults: 1, infants: 2 } },
        'passengers.infants',
        'Must not exceed the number of adults',
      ],
      ['ten passengers', { passengers: { adults: 5, children: 5 } }, 'passengers', 'Must not exceed 9 in total'],
      ['missing passengers', { passengers: undefined }, 'passengers', 'Is required'],
    ]
    for (const [what, changes, field, message] of cases) {
      it(what, async () => {
        expectProblem(await post({ ...search, ...changes }), {
          status: 400,
          type: 'validation-error',
          title: 'Validation Error',
          detail: `${field}: ${message}`,
          extra: { errors: [{ field, message }] },
        })
      })
    }

    it('everything that is wrong, at once', async () => {
      const answer = await post({ origin: 'X', destination: 'LAX', departure_date: 'soon', passengers: {} })
      const fields = answer.body.error.errors.map(({ field }: { field: string }) => field)
      expect(fields).to.deep.equal(['origin', 'departure_date', 'passengers.adults'])
    })

    it('a body that is no JSON, no object, or not there', async () => {
      expectProblem(await post('{"origin":'), {
        status: 400,
        type: 'validation-error',
        title: 'Validation Error',
        detail: 'The request body is not valid JSON',
        extra: { errors: [] },
      })
      for (const body of ['[]', '"JFK"', undefined]) {
        const options = { method: 'POST', body }
        const answer = await request(system.commandApis[0]?.url ?? '', member, path, options)
        expect(answer.status, String(body)).to.equal(400)
        expect(answer.body.error.type).to.match(/validation-error$/)
      }
    })

    it('an airport that the supplier does not know, and a date beyond its calendar', async () => {
      for (const changes of [{ destination: 'QQQ' }, { departure_date: dayIn(700) }]) {
        const answer = await post({ ...search, ...changes })
        expect(answer.status, JSON.stringify(answer.body)).to.equal(400)
        expect(answer.body.error.type).to.match(/validation-error$/)
        expect(answer.body.error.errors).to.be.an('array')
      }
    })
  })

  it('refuses a body that is too large with 413', async () => {
    const answer = await post({ ...search, padding: 'x'.repeat(150_000) })
    expectProblem(answer, { status: 413, type: 'payload-too-large', title: 'Payload Too Large' })
  })

  it('says 405 with Allow for another method', async () => {
    const answer = await request(system.commandApis[0]?.url ?? '', member, path, { method: 'DELETE' })
    expect(answer.status).to.equal(405)
    expect(answer.headers.get('allow')).to.equal('POST')
  })

  describe('when the supplier fails', () => {
    it('answers 502, without a word about the supplier', async () => {
      await system.duffel.setFaults([
        { operation: 'offer_requests.create', times: 1, effect: 'skip', answer: { status: 500 } },
      ])
      expectProblem(await post(search), { status: 502, type: 'partner-unavailable', title: 'Partner Unavailable' })
    })

    it('answers 504 when the supplier gives up, and when it is silent until the deadline', async () => {
      const gaveUp = await post({ ...search, origin: 'STN', destination: 'LHR' })
      expectProblem(gaveUp, { status: 504, type: 'partner-timeout', title: 'Partner Timeout' })
      await system.duffel.setFaults([
        { operation: 'offer_requests.create', times: 1, effect: 'perform', answer: 'hang' },
      ])
      const startedAt = Date.now()
      expectProblem(await post(search), { status: 504, type: 'partner-timeout', title: 'Partner Timeout' })
      expect(Date.now() - startedAt).to.be.within(2_900, 6_000)
    })
  })

  describe('health', () => {
    const health = async () => {
      const response = await fetch(`${system.queryApis[0]?.url}/api/v1/health`)
      return { status: response.status, body: healthSchema.parse(await response.json()) }
    }

    it('needs no authentication, is not wrapped, and names only the partners that are built', async () => {
      const { status, body } = await health()
      expect(status).to.equal(200)
      expect(body).to.deep.equal({
        status: 'healthy',
        timestamp: body.timestamp,
        version: '1.0.0',
        services: { database: 'healthy', duffel_api: 'healthy', coffeechain_api: 'healthy' },
      })
      expect(Math.abs(Date.now() - Date.parse(body.timestamp))).to.be.lessThan(60_000)
    })

    for (const [which, name] of [
      ['coffeechain', 'coffeechain_api'],
      ['duffel', 'duffel_api'],
    ] as const) {
      it(`is degraded, soon and with 200, while ${which} hangs, and healthy again afterwards`, async () => {
        system[which].process.pause()
        try {
          await eventually(async () => {
            const startedAt = Date.now()
            const { status, body } = await health()
            expect(Date.now() - startedAt, 'a hanging partner does not hang health').to.be.lessThan(3_000)
            expect(status).to.equal(200)
            expect(body.status).to.equal('degraded')
            expect(body.services).to.include({ [name]: 'unhealthy', database: 'healthy' })
          })
        } finally {
          system[which].process.resume()
        }
        await eventually(async () => expect((await health()).body.status).to.equal('healthy'))
      })
    }
  })
})

/** Wall time of an instant in a zone, `YYYY-MM-DDTHH:MM:SS`. */
function localTime(instant: string, timeZone: string): string {
  return new Date(instant).toLocaleString('sv-SE', { timeZone }).replace(' ', 'T')
}

function milliseconds(duration: string): number {
  const [, days = '0', hours = '0', minutes = '0'] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(duration) ?? []
  return ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60_000
}

interface StoredOffer {
  offer: { flightId: string; supplierAmount: string; supplierCurrency: string; conversion: unknown }
  price: { amountMinor: number }
}

async function offersOf(system: System, flightIds: string[]): Promise<StoredOffer[]> {
  const client = new pg.Client({ connectionString: system.writeDatabase.adminUrl })
  await client.connect()
  const { rows } = await client.query('select offer, price from offers where flight_id = any($1)', [flightIds])
  await client.end()
  return rows
}
