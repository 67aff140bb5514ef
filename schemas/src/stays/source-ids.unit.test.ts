/** Seen failing: without the number among identical rows; with the version's bits left as the hash has them. */
import { expect } from 'chai'
import { z } from 'zod'
import { sourceReservationId } from './source-ids.ts'

const row = { propertyId: 'xE6vqTqA6LTwpE', startDate: '2021-01-02', nights: 2 }

describe('the id of a reservation that came without one', () => {
  it('is a UUIDv7 of the day of arrival, the same in every run', () => {
    const id = sourceReservationId(row, 0)
    expect(z.uuidv7().safeParse(id).success).to.equal(true)
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).to.equal(Date.UTC(2021, 0, 2))
    expect(id).to.equal(sourceReservationId({ ...row }, 0))
  })

  it('differs wherever a row differs, and between identical rows', () => {
    const ids = [
      sourceReservationId(row, 0),
      sourceReservationId(row, 1),
      sourceReservationId({ ...row, nights: 3 }, 0),
      sourceReservationId({ ...row, propertyId: 'other' }, 0),
      sourceReservationId({ ...row, startDate: '2021-01-03' }, 0),
    ]
    expect(new Set(ids).size).to.equal(ids.length)
  })

  it('is there for rows that will be refused, too', () => {
    for (const startDate of [null, 'infinity', '0044-03-15 BC', '1969-12-31', '0001-01-01', '9999-12-31']) {
      const id = sourceReservationId({ propertyId: null, startDate, nights: null }, 0)
      expect(z.uuidv7().safeParse(id).success, String(startDate)).to.equal(true)
    }
  })
})
