/** The results table of the contract (section 4) on its sample data, under all three rules. */
import { expect } from 'chai'
import { expectedResults, sampleReservations } from './contract-results.ts'
import { asked, daySchema, endDate, endsInTime, intervalRules, occupied, type Period, searched } from './periods.ts'

const period = (startDate: string, nights: number): Period => ({ startDate, nights })

describe('what a stay asks for and occupies', () => {
  for (const [start, nights, taken] of expectedResults) {
    for (const rule of intervalRules) {
      it(`is as in the contract's table: ${start}, ${nights}, ${rule}`, () => {
        const wanted = asked(rule, period(start, nights))
        const found = Object.entries(sampleReservations).filter(([, stays]) =>
          stays.some(([from, count]) => {
            const held = occupied(rule, period(from, count))
            return held.from < wanted.until && wanted.from < held.until
          }),
        )
        expect(found.map(([id]) => id).join(' ')).to.equal(taken[rule])
      })
    }
  }

  it('is searched for by nights alone, with the same result', () => {
    const overlaps = (a: { from: number; until: number }, b: { from: number; until: number }) =>
      a.from < b.until && b.from < a.until
    for (const rule of intervalRules) {
      for (let start = 1; start < 20; start += 1) {
        for (const [taken, wanted] of [
          [2, 3],
          [1, 1],
          [4, 1],
        ] as const) {
          const [held, request] = [
            period('2021-01-10', taken),
            period(`2021-01-${String(start).padStart(2, '0')}`, wanted),
          ]
          const expected = overlaps(occupied(rule, held), asked(rule, request))
          expect(overlaps(occupied('nights', held), searched(rule, request)), `${rule} ${start}`).to.equal(expected)
        }
      }
    }
  })

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
