import { expect } from 'chai'
import { table } from './table.ts'

describe('a table for operators', () => {
  it('aligns words left and numbers right, and shows what is missing as a dash', () => {
    expect(
      table(
        [
          { reader: 'relay', behind: 5, age: null },
          { reader: 'ledger.v1', behind: 1200, age: 3 },
        ],
        'none',
      ),
    ).to.equal(['reader     behind  age', 'relay           5    -', 'ledger.v1    1200    3'].join('\n'))
  })

  it('keeps each row on one line and says a sentence when there is none', () => {
    expect(table([{ reason: 'first\nsecond' }], 'none')).to.equal('reason\nfirst second')
    expect(table([], 'nothing is parked')).to.equal('nothing is parked')
  })
})
