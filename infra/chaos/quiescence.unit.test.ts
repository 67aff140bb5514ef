// Sabotage: count what was read of an older generation of the log.
import { expect } from 'chai'
import type pg from 'pg'
import { unread } from './quiescence.ts'

describe('what is unread', () => {
  const place = { topic: 'bookings.events.v1', partition: 0, position: '7' }
  /** of: the generation in which the live version stands at the end of the log. */
  const lab = (generation: number, of: number) => ({
    writeUrl: 'write',
    readUrl: 'read',
    query: async <Row extends pg.QueryResultRow>(url: string) =>
      [
        url === 'write' ? { ...place, generation } : { ...place, generation: of, reader: 'ledger.v1' },
      ] as unknown as Row[],
  })

  it('is nothing when the live version stands at the end', async () => {
    expect(await unread(lab(1, 1))).to.deep.equal([])
  })

  it('is everything when the live version stands at the end of an older generation', async () => {
    expect(await unread(lab(2, 1))).to.deep.equal(['ledger.v1 is behind in bookings.events.v1/0'])
  })
})
