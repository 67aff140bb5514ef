/** For tests: the results table of the contract (section 4) and the sample data that it is about. */
import type { IntervalRule } from './periods.ts'

/** First letters of the sample's properties, and their reservations: start, nights. */
export const sampleReservations: Readonly<Record<string, readonly [string, number][]>> = {
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
export const expectedResults: readonly [string, number, Record<IntervalRule, string>][] = [
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
