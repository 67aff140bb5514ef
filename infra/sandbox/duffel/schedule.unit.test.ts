import { expect } from 'chai'
import { airportOf, allAirports, distanceKm, findPlace } from './airports.ts'
import { fromLocal, isoDuration, toLocal } from './local-time.ts'
import { createIds } from './random.ts'
import { findItineraries } from './schedule.ts'

const OPTIONS = { seed: 'test', maxConnections: 1 }
const DATE = '2027-03-09'
const search = (from: string, to: string, options = {}) =>
  findItineraries(airportOf(from), airportOf(to), DATE, { ...OPTIONS, ...options })

describe('The timetable of the Duffel stand-in', () => {
  it('knows every airport by a real zone, distinct codes and plausible coordinates', () => {
    const airports = allAirports()
    expect(airports.length).to.be.greaterThan(60)
    expect(new Set(airports.map(({ icao }) => icao)).size).to.equal(airports.length)
    for (const { iata, timeZone, latitude, longitude } of airports) {
      expect(() => toLocal(0, timeZone), iata).to.not.throw()
      expect(Math.abs(latitude), iata).to.be.within(0.1, 66)
      expect(Math.abs(longitude), iata).to.be.within(0.01, 180)
    }
    expect(distanceKm(airportOf('LHR'), airportOf('JFK'))).to.be.within(5530, 5560)
    expect(findPlace('LON')?.airports.map(({ iata }) => iata)).to.include.members(['LHR', 'LGW', 'STN'])
    expect(findPlace('XXX')).to.equal(undefined)
  })

  it('leaves on the local date, arrives after as long as the distance takes, and connects with time to walk', () => {
    for (const [from, to] of [
      ['LHR', 'JFK'],
      ['JFK', 'LAX'],
      ['LHR', 'AKL'],
      ['SIN', 'SYD'],
      ['GRU', 'FRA'],
    ] as const) {
      const found = search(from, to)
      expect(found.length, `${from}-${to}`).to.be.greaterThan(5)
      for (const { flights, minutes } of found) {
        const first = flights[0]
        const last = flights.at(-1)
        expect(toLocal(first?.departsAt ?? 0, airportOf(from).timeZone).slice(0, 10)).to.equal(DATE)
        expect(((last?.arrivesAt ?? 0) - (first?.departsAt ?? 0)) / 60_000).to.equal(minutes)
        for (const flight of flights) expect(flight.km / (flight.minutes / 60), 'km/h').to.be.within(150, 930)
        if (flights.length === 2) {
          const layover = ((flights[1]?.departsAt ?? 0) - (flights[0]?.arrivesAt ?? 0)) / 60_000
          expect(layover).to.be.within(60, 360)
          expect(flights[0]?.to).to.equal(flights[1]?.from)
        }
      }
    }
  })

  it('is the same for the same seed and differs for another', () => {
    const numbers = (options = {}) =>
      search('CDG', 'JFK', options).map(({ flights }) =>
        flights.map((flight) => `${flight.number}@${flight.departsAt}`),
      )
    expect(numbers()).to.deep.equal(numbers())
    expect(numbers({ seed: 'other' })).to.not.deep.equal(numbers())
  })

  it('keeps flight numbers and local times from day to day, across a change of clocks', () => {
    const localTimes = (date: string) =>
      findItineraries(airportOf('JFK'), airportOf('LAX'), date, OPTIONS)
        .filter(({ flights }) => flights.length === 1)
        .map(
          ({ flights: [flight] }) =>
            `${flight?.number} ${toLocal(flight?.departsAt ?? 0, 'America/New_York').slice(11)}`,
        )
    // Clocks go forward in the United States on 14 March 2027.
    expect(localTimes('2027-03-13')).to.deep.equal(localTimes('2027-03-15'))
  })

  it('has Duffel Airways on every route, and only nonstops when no connection is wanted', () => {
    expect(search('SEN', 'STN').map(({ airline }) => airline.iata)).to.include('ZZ')
    expect(search('LHR', 'JFK', { maxConnections: 0 }).every(({ flights }) => flights.length === 1)).to.equal(true)
  })
})

describe('Local times', () => {
  it('convert both ways, in summer, in winter and at half-hour offsets', () => {
    expect(toLocal(Date.parse('2027-07-01T12:00:00Z'), 'Europe/London')).to.equal('2027-07-01T13:00:00')
    expect(toLocal(Date.parse('2027-01-01T12:00:00Z'), 'America/New_York')).to.equal('2027-01-01T07:00:00')
    expect(new Date(fromLocal('2027-07-01', 10 * 60, 'Asia/Kolkata')).toISOString()).to.equal(
      '2027-07-01T04:30:00.000Z',
    )
    expect(new Date(fromLocal('2027-03-28', 6 * 60, 'Europe/Paris')).toISOString()).to.equal('2027-03-28T04:00:00.000Z')
  })

  it('print durations as ISO 8601', () => {
    expect([isoDuration(65), isoDuration(60), isoDuration(1500), isoDuration(1440)]).to.deep.equal([
      'PT1H5M',
      'PT1H',
      'P1DT1H',
      'P1D',
    ])
  })
})

describe('Ids', () => {
  it('repeat for a seed, never collide, and sort by age', () => {
    const newId = createIds('a')
    const made = Array.from({ length: 200 }, () => newId('ord'))
    expect(made[0]).to.match(/^ord_0000[0-9A-Za-z]{18}$/)
    expect(new Set(made).size).to.equal(200)
    expect(made.toSorted()).to.deep.equal(made)
    expect(createIds('a')('ord')).to.equal(made[0])
    expect(createIds('b')('ord')).to.not.equal(made[0])
  })
})
