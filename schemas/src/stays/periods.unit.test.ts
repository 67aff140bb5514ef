/** The results table of the contract (section 4) on its sample data, under all three rules. */
import { expect } from 'chai'
import { asked, daySchema, endDate, endsInTime, type IntervalRule, occupied, type Period } from './periods.ts'

/** First letters of the sample's properties, and their reservations: start, nights. */
const sample: Readonly<Record<string, readonly [string, number][]>> = {
  xE6v: [
    ['2021-01-02', 2],
    ['2021-01-04', 7],
    ['2021-01-22', 3],
  ],
  Snbr: [
    ['2021-01-15', 2],
    ['2021-01-17', 2],
    ['2021-01-25', 4],
  ],
  djdd: [
    ['2021-01-10', 2],
    ['2021-01-14', 5],
    ['2021-01-23', 1],
  ],
  ApkY: [
    ['2021-01-03', 2],
    ['2021-01-07', 3],
  ],
  g3hb: [],
  H75e: [],
  '1BlC': [],
}

/** Start, nights, and who is taken under nights, closed and literal; everybody else is free. */
const table: readonly [string, number, Record<IntervalRule, string>][] = [
  ['2021-01-01', 1, { nights: '', closed: 'xE6v', literal: 'xE6v' }],
  ['2021-01-04', 1, { nights: 'xE6v ApkY', closed: 'xE6v ApkY', literal: 'xE6v ApkY' }],
  ['2021-01-05', 2, { nights: 'xE6v', closed: 'xE6v ApkY', literal: 'xE6v ApkY' }],
  ['2021-01-11', 3, { nights: 'djdd', closed: 'xE6v djdd', literal: 'djdd' }],
  ['2021-01-12', 2, { nights: '', closed: 'djdd', literal: 'djdd' }],
  ['2021-01-19', 3, { nights: '', closed: 'xE6v Snbr djdd', literal: 'xE6v' }],
  ['2021-01-24', 1, { nights: 'xE6v', closed: 'xE6v Snbr djdd', literal: 'xE6v Snbr' }],
  ['2021-01-20', 1, { nights: '', closed: '', literal: '' }],
  ['2020-12-31', 60, { nights: 'xE6v Snbr djdd ApkY', closed: 'xE6v Snbr djdd ApkY', literal: 'xE6v Snbr djdd ApkY' }],
  ['2021-02-01', 5, { nights: '', closed: '', literal: '' }],
]

const period = (startDate: string, nights: number): Period => ({ startDate, nights })

describe('what a stay asks for and occupies', () => {
  for (const [start, nights, taken] of table) {
    for (const rule of ['nights', 'closed', 'literal'] as const) {
      it(`is as in the contract's table: ${start}, ${nights}, ${rule}`, () => {
        const wanted = asked(rule, period(start, nights))
        const found = Object.entries(sample).filter(([, stays]) =>
          stays.some(([from, count]) => {
            const held = occupied(rule, period(from, count))
            return held.from < wanted.until && wanted.from < held.until
          }),
        )
        expect(found.map(([id]) => id).join(' ')).to.equal(taken[rule])
      })
    }
  }

  it('ends on the day of departure, which can be written down', () => {
    expect(endDate(period('2021-02-27', 3))).to.equal('2021-03-02')
    expect(endDate(period('2024-02-27', 3))).to.equal('2024-03-01')
    expect(endsInTime(period('9999-12-30', 1))).to.equal(true)
    expect(endsInTime(period('9999-12-31', 1))).to.equal(false)
  })

  it('begins on a day that exists', () => {
    for (const day of ['2021-02-30', '2021-2-03', '20210203', '2021-02-03T00:00:00Z', '0000-01-01', '']) {
      expect(daySchema.safeParse(day).success, day).to.equal(false)
    }
    expect(daySchema.safeParse('2024-02-29').success).to.equal(true)
  })
})
