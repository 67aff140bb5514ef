import { expect } from 'chai'
import {
  flightInstants,
  formatDuration,
  instantsOfLocalTime,
  normalizeLocalTime,
  parseDurationMs,
} from './airport-time.ts'

const iso = (ms: number): string => new Date(ms).toISOString()
const newYork = 'America/New_York'

describe('an airport-local time', () => {
  it('is converted with the offset of that day, summer and winter', () => {
    expect(instantsOfLocalTime('2027-07-01T08:00:00', newYork).map(iso)).to.deep.equal(['2027-07-01T12:00:00.000Z'])
    expect(instantsOfLocalTime('2027-01-15T08:00:00', newYork).map(iso)).to.deep.equal(['2027-01-15T13:00:00.000Z'])
    expect(instantsOfLocalTime('2027-01-15T08:00:00', 'Asia/Kathmandu').map(iso)).to.deep.equal([
      '2027-01-15T02:15:00.000Z',
    ])
  })

  it('names two instants in the hour that the clocks repeat', () => {
    expect(instantsOfLocalTime('2027-11-07T01:30:00', newYork).map(iso)).to.deep.equal([
      '2027-11-07T05:30:00.000Z',
      '2027-11-07T06:30:00.000Z',
    ])
    expect(instantsOfLocalTime('2027-04-04T01:45:00', 'Australia/Lord_Howe')).to.have.length(2)
  })

  it('in the hour that the clocks skip is read as before the change', () => {
    expect(instantsOfLocalTime('2027-03-14T02:30:00', newYork).map(iso)).to.deep.equal(['2027-03-14T07:30:00.000Z'])
  })

  it('that is none, or in a zone that is none, is refused', () => {
    expect(() => instantsOfLocalTime('2027-13-40T08:00:00', newYork)).to.throw(RangeError)
    expect(() => instantsOfLocalTime('yesterday', newYork)).to.throw(RangeError)
    expect(() => instantsOfLocalTime('2027-01-15T08:00:00', 'Mars/Olympus')).to.throw(RangeError)
  })

  it('is written with seconds', () => {
    expect(normalizeLocalTime('2027-01-15T08:05')).to.equal('2027-01-15T08:05:00')
  })
})

describe('a flight across a clock change', () => {
  const arrival = { localTime: '2027-11-07T03:00:00', timeZone: newYork }

  it('takes the reading that fits the stated duration', () => {
    const departure = { localTime: '2027-11-07T01:30:00', timeZone: newYork }
    expect(iso(flightInstants(departure, arrival, 150 * 60_000).departureMs)).to.equal('2027-11-07T05:30:00.000Z')
    expect(iso(flightInstants(departure, arrival, 90 * 60_000).departureMs)).to.equal('2027-11-07T06:30:00.000Z')
  })

  it('may arrive at an earlier local date than it departed', () => {
    const flight = flightInstants(
      { localTime: '2027-05-02T00:30:00', timeZone: 'Pacific/Auckland' },
      { localTime: '2027-05-01T16:00:00', timeZone: 'America/Los_Angeles' },
      null,
    )
    expect(flight.arrivalMs - flight.departureMs).to.equal(10.5 * 3_600_000)
  })

  it('that would arrive before it departs is refused', () => {
    expect(() => flightInstants({ localTime: '2027-11-08T01:30:00', timeZone: newYork }, arrival, null)).to.throw(
      RangeError,
    )
  })
})

describe('a duration', () => {
  it('is read in every spelling suppliers use', () => {
    expect(parseDurationMs('PT5H30M')).to.equal(19_800_000)
    expect(parseDurationMs('PT02H26M')).to.equal(8_760_000)
    expect(parseDurationMs('P1DT1H')).to.equal(90_000_000)
    for (const wrong of [null, '', 'P', 'PT', '5 hours', 'P1Y']) expect(parseDurationMs(wrong)).to.equal(null)
  })

  it('is written in hours and minutes', () => {
    expect(formatDuration(19_800_000)).to.equal('PT5H30M')
    expect(formatDuration(90_000_000)).to.equal('PT25H')
    expect(formatDuration(2_700_000)).to.equal('PT45M')
  })
})
