import type { IntervalRule } from '@portolan/schemas/stays/periods.ts'
import { expect } from 'chai'
import { loadProperty, loadStay } from './decider.ts'
import { waves } from './load.ts'
import { reservationType } from './reservation.ts'

const now = '2027-01-01T00:00:00.000Z'
const stay = (startDate: string, nights: number, propertyId = 'villa') => ({ propertyId, startDate, nights })
const facts = { description: 'A villa', capacity: null, nightlyPrice: null, location: null }
const placesOf = (rows: Parameters<typeof waves>[0], rule: IntervalRule) =>
  waves(rows, rule).map((wave) => wave.map(({ nth }) => nth))

describe('rows that are loaded', () => {
  const turnover = [stay('2021-01-02', 2), stay('2021-01-04', 7), stay('2021-01-22', 3)]

  it('are decided at once where they are not in each other’s way, and in their order where they are', () => {
    expect(placesOf(turnover, 'nights')).to.deep.equal([[0, 1, 2]])
    for (const rule of ['closed', 'literal'] as const) expect(placesOf(turnover, rule)).to.deep.equal([[0, 2], [1]])
    const same = [stay('2021-01-02', 2), stay('2021-01-02', 2), stay('2021-01-02', 2, 'other'), stay('2021-01-03', 9)]
    expect(placesOf(same, 'nights')).to.deep.equal([[0, 2], [1], [3]])
  })

  it('leave refused ones out, and keep everybody’s place', () => {
    const refused = { kind: 'refused' as const, code: 'validation-error' as const, reason: '' }
    expect(placesOf([refused, ...turnover], 'nights')).to.deep.equal([[1, 2, 3]])
  })

  it('take nights that are taken already only when they are loaded as they are', () => {
    const command = { ...stay('2021-01-02', 2), reservationId: '01890000-0000-7000-8000-000000000001' }
    expect(loadStay(null, { ...command, asIs: true }, 'nights', now).effects[0]?.args).to.include({ asIs: true })
    expect(loadStay(null, { ...command, asIs: false }, 'nights', now).effects[0]?.args).to.not.have.property('asIs')
  })

  it('are nobody’s, and are nothing new when they are there', () => {
    const command = { ...stay('2021-01-02', 2), reservationId: '01890000-0000-7000-8000-000000000001', asIs: false }
    const { events } = loadStay(null, command, 'nights', now)
    expect(events[0]?.data).to.include({ holder: null })
    const state = events.reduce(reservationType.evolve, reservationType.initialState())
    expect(loadStay(state, command, 'nights', now)).to.deep.equal({ events: [], effects: [] })
    expect(loadStay(state && { ...state, status: 'cancelled' }, command, 'nights', now).events).to.deep.equal([])
    expect(() => loadStay(state, { ...command, nights: 3 }, 'nights', now)).to.throw('conflict')
    const property = { propertyId: 'villa', facts, isRetired: true }
    expect(loadProperty(property, 'villa', { ...facts }, now).events).to.deep.equal([])
    expect(() => loadProperty(property, 'villa', { ...facts, capacity: 2 }, now)).to.throw('conflict')
  })
})
