import { randomUUID } from 'node:crypto'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import type { RawRecord } from './record.ts'
import { takeSequence } from './sequence.ts'

const record = (offset: number, position: number): RawRecord => ({
  offset,
  headers: { position: String(position), tenant: 't', stream: 's', type: 'Happened' },
  value: JSON.stringify({
    eventId: randomUUID(),
    type: 'Happened',
    schemaVersion: 1,
    tenantId: 't',
    stream: 's',
    streamVersion: position,
    topic: topics.bookings,
    partition: 0,
    position,
    recordedAt: '2026-01-01T00:00:00Z',
    data: {},
    metadata: { correlationId: 'c', causationId: null, actor: { kind: 'service', id: 'x' } },
  }),
})
const take = (records: RawRecord[], last: number) => {
  const { events, ...rest } = takeSequence(topics.bookings, 0, records, last)
  return { positions: events.map(({ position }) => position), ...rest }
}

describe('the records of a fetch', () => {
  it('continue behind the last position', () => {
    expect(take([record(7, 5), record(8, 6)], 4)).to.deep.equal({
      positions: [5, 6],
      duplicates: 0,
      offset: 9,
      obstacle: null,
    })
  })

  it('are skipped where they repeat what was seen, before, between and after new ones', () => {
    const records = [record(0, 3), record(1, 4), record(2, 5), record(3, 4), record(4, 5), record(5, 6), record(6, 6)]
    expect(take(records, 4)).to.deep.equal({ positions: [5, 6], duplicates: 5, offset: 7, obstacle: null })
  })

  it('end before a gap, and what stands before it counts', () => {
    expect(take([record(0, 5), record(1, 7), record(2, 6)], 4)).to.deep.equal({
      positions: [5],
      duplicates: 0,
      offset: 1,
      obstacle: { kind: 'gap', found: 7, offset: 1 },
    })
  })

  it('end before a record that says nowhere where it belongs', () => {
    expect(take([record(0, 1), { offset: 1, headers: {}, value: 'x' }], 0)).to.deep.equal({
      positions: [1],
      duplicates: 0,
      offset: 1,
      obstacle: { kind: 'homeless', offset: 1 },
    })
  })

  it('count by their headers when the value cannot be read', () => {
    const { events } = takeSequence(topics.bookings, 0, [{ ...record(0, 1), value: '{}' }], 0)
    expect(events[0]).to.include({ position: 1, tenantId: 't', stream: 's', envelope: null })
    expect(events[0]?.unreadable).to.match(/^the value is not an envelope: eventId/)
  })
})
