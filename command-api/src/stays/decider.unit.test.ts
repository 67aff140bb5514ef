import { Rejection } from '@portolan/schemas/errors.ts'
import { currentVersion } from '@portolan/schemas/event-catalogue.ts'
import { type PropertyFacts, type StayEvent, stayEvents } from '@portolan/schemas/stays/messages.ts'
import { expect } from 'chai'
import {
  cancelStay,
  changeStayDates,
  describeProperty,
  registerProperty,
  reserveStay,
  retireProperty,
  type StayDecision,
} from './decider.ts'
import { propertyType } from './property.ts'
import { reservationType } from './reservation.ts'

const now = '2027-01-01T00:00:00.000Z'
const facts: PropertyFacts = { description: 'A villa', capacity: 4, nightlyPrice: null, location: null }
const command = {
  reservationId: '01890000-0000-7000-8000-000000000001',
  propertyId: 'villa',
  startDate: '2027-03-30',
  nights: 3,
  holder: 'hash',
}
const reservationAfter = (...decisions: StayDecision[]) =>
  decisions.flatMap(({ events }) => events).reduce(reservationType.evolve, reservationType.initialState())
const propertyAfter = (...events: StayEvent[]) => events.reduce(propertyType.evolve, propertyType.initialState())

function codeOf(decide: () => unknown): string {
  try {
    decide()
  } catch (error) {
    if (error instanceof Rejection) return error.code
    throw error
  }
  return 'accepted'
}

const monthsOf = ({ effects }: StayDecision) => effects[0]?.args.months
const march = 2027 * 12 + 2

describe('stays', () => {
  const reserved = () => reserveStay(command, 'nights', now)

  it('are reserved for their nights, which the effect asks for and takes', () => {
    expect(reserved().events).to.deep.equal([{ type: 'StayReserved', data: { ...command, at: now } }])
    expect(reserved().effects[0]).to.deep.include({ name: 'change_nights', lock: `property/villa/0${march}` })
    expect(reserved().effects[0]?.args).to.deep.include({ propertyId: 'villa', asks: true })
    expect(monthsOf(reserved())).to.deep.equal([
      { month: march, free: 0, ask: 0b11 * 2 ** 29, take: 0b11 * 2 ** 29 },
      { month: march + 1, free: 0, ask: 1, take: 1 },
    ])
  })

  it('ask for and take the day of departure as the rule says', () => {
    expect(monthsOf(reserveStay({ ...command, startDate: '2027-03-01', nights: 1 }, 'closed', now))).to.deep.equal([
      { month: march, free: 0, ask: 0b11, take: 0b11 },
    ])
    expect(monthsOf(reserveStay({ ...command, startDate: '2027-03-31', nights: 1 }, 'literal', now))).to.deep.equal([
      { month: march, free: 0, ask: 2 ** 30, take: 2 ** 30 },
      { month: march + 1, free: 0, ask: 1, take: 0 },
    ])
  })

  it('are cancelled by who reserved them, once, and free their nights', () => {
    const state = reservationAfter(reserved())
    const cancelled = cancelStay(state, 'hash', 'nights', now)
    expect(cancelled.events.map(({ type }) => type)).to.deep.equal(['StayCancelled'])
    expect(cancelled.effects[0]?.args).to.deep.include({ asks: false })
    expect(monthsOf(cancelled)).to.deep.equal([
      { month: march, free: 0b11 * 2 ** 29, ask: 0, take: 0 },
      { month: march + 1, free: 1, ask: 0, take: 0 },
    ])
    expect(cancelStay(reservationAfter(reserved(), cancelled), 'hash', 'nights', now).events).to.deep.equal([])
    for (const other of [state, null])
      expect(codeOf(() => cancelStay(other, 'other', 'nights', now))).to.equal('not-found')
    const imported = state && { ...state, holder: null }
    expect(codeOf(() => cancelStay(imported, 'hash', 'nights', now))).to.equal('not-found')
  })

  it('change their dates in one go, so that their own nights are not in the way', () => {
    const state = reservationAfter(reserved())
    const changed = changeStayDates(state, { holder: 'hash', startDate: '2027-03-31', nights: 1 }, 'nights', now)
    expect(changed.events[0]).to.deep.include({ type: 'StayDatesChanged' })
    expect(monthsOf(changed)).to.deep.equal([
      { month: march, free: 0b11 * 2 ** 29, ask: 2 ** 30, take: 2 ** 30 },
      { month: march + 1, free: 1, ask: 0, take: 0 },
    ])
    expect(reservationAfter(reserved(), changed)).to.include({ startDate: '2027-03-31', nights: 1 })
    expect(changeStayDates(state, { holder: 'hash', startDate: '2027-03-30', nights: 3 }, 'nights', now)).to.deep.equal(
      {
        events: [],
        effects: [],
      },
    )
    const cancelled = reservationAfter(reserved(), cancelStay(state, 'hash', 'nights', now))
    const change = { holder: 'hash', startDate: '2027-04-01', nights: 1 }
    expect(codeOf(() => changeStayDates(cancelled, change, 'nights', now))).to.equal('conflict')
    expect(codeOf(() => changeStayDates(state, { ...change, holder: 'other' }, 'nights', now))).to.equal('not-found')
  })

  it('need a property, which is registered once, described while it takes reservations, and retired', () => {
    const registered = registerProperty(null, 'villa', facts, now)
    const state = propertyAfter(...registered.events)
    expect(registered.effects).to.deep.equal([{ name: 'register_property', args: { propertyId: 'villa' } }])
    expect(codeOf(() => registerProperty(state, 'villa', facts, now))).to.equal('conflict')
    expect(describeProperty(state, facts, now).events).to.deep.equal([])
    const described = describeProperty(state, { ...facts, capacity: 5 }, now)
    expect(propertyAfter(...registered.events, ...described.events)?.facts.capacity).to.equal(5)
    const retired = retireProperty(state, now)
    expect(retired.effects).to.deep.equal([
      { name: 'retire_property', args: { propertyId: 'villa' }, lock: 'property/villa/' },
    ])
    const [reserving] = reserveStay(command, 'nights', now).effects
    expect('property/villa/' < String(reserving?.lock)).to.equal(true)
    const gone = propertyAfter(...registered.events, ...retired.events)
    expect(retireProperty(gone, now).events).to.deep.equal([])
    expect(codeOf(() => describeProperty(gone, facts, now))).to.equal('conflict')
    for (const decide of [() => describeProperty(null, facts, now), () => retireProperty(null, now)])
      expect(codeOf(decide)).to.equal('not-found')
  })

  it('happen in events of the version that the database reads to fill the months again', () => {
    // `live_stays` (migration 000067) knows no upcasters: a new version needs a new function.
    for (const type of ['StayReserved', 'StayDatesChanged', 'StayCancelled'])
      expect(currentVersion(stayEvents, type), type).to.equal(1)
  })
})
