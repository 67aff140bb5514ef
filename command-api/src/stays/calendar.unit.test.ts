import { dayNumber, dayText } from '@portolan/schemas/stays/periods.ts'
import { expect } from 'chai'
import { monthChanges } from './calendar.ts'

const days = (from: string, until: string) => ({ from: dayNumber(from), until: dayNumber(until) })

/** The days that the bits stand for, each read back by itself. */
function daysIn(changes: ReturnType<typeof monthChanges>, what: 'free' | 'ask' | 'take'): string[] {
  return changes.flatMap(({ month, [what]: bits }) =>
    Array.from({ length: 31 }, (_, day) => day)
      .filter((day) => Math.floor(bits / 2 ** day) % 2 === 1)
      .map((day) => `${pad(Math.floor(month / 12), 4)}-${pad(1 + (month % 12), 2)}-${pad(1 + day, 2)}`),
  )
}

const pad = (number: number, length: number) => String(number).padStart(length, '0')

const allFrom = ({ from, until }: { from: number; until: number }) =>
  Array.from({ length: until - from }, (_, nth) => dayText(from + nth))

describe('days as bits of months', () => {
  it('are those of the period, whatever months, leap days and years it crosses', () => {
    for (const [from, until] of [
      ['2021-01-01', '2021-02-01'],
      ['2021-01-31', '2021-02-01'],
      ['2024-02-28', '2024-03-02'],
      ['2023-02-27', '2023-03-02'],
      ['2020-12-30', '2021-01-03'],
      ['2021-01-15', '2022-01-15'],
      ['9999-12-01', '9999-12-31'],
      ['0001-01-01', '0001-02-03'],
    ] as const) {
      const take = days(from, until)
      const changes = monthChanges({ take })
      expect(daysIn(changes, 'take')).to.deep.equal(allFrom(take))
      expect(changes.map(({ month }) => month)).to.deep.equal(
        [...changes.map(({ month }) => month)].sort((a, b) => a - b),
      )
      for (const { take: bits, free, ask } of changes) {
        expect(bits).to.be.within(1, 2 ** 31 - 1)
        expect([free, ask]).to.deep.equal([0, 0])
      }
    }
  })

  it('say for each month what is freed, asked for and taken, months that are only asked for included', () => {
    const free = days('2021-01-28', '2021-01-31')
    const ask = days('2021-01-30', '2021-02-02')
    const take = days('2021-01-30', '2021-02-01')
    const changes = monthChanges({ free, ask, take })
    expect(changes).to.have.length(2)
    expect(daysIn(changes, 'free')).to.deep.equal(allFrom(free))
    expect(daysIn(changes, 'ask')).to.deep.equal(allFrom(ask))
    expect(daysIn(changes, 'take')).to.deep.equal(allFrom(take))
  })
})
