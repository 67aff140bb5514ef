/**
 * The rules of stays. That a night is sold once is not decided here but where the nights are kept: each decision says what it frees, asks for
 * and takes, and the write database refuses the command when something asked for is taken (`effects.change_nights`).
 */
import { Rejection } from '@portolan/schemas/errors.ts'
import type { PropertyFacts, StayEvent } from '@portolan/schemas/stays/messages.ts'
import { asked, type IntervalRule, occupied, type Period } from '@portolan/schemas/stays/periods.ts'
import type { Effect } from '../event-store/append.ts'
import { monthChanges } from './calendar.ts'
import type { PropertyState } from './property.ts'
import type { Reservation, ReservationState } from './reservation.ts'

export interface StayDecision {
  events: StayEvent[]
  effects: Effect[]
}

const nothing: StayDecision = { events: [], effects: [] }

export interface ReserveStay extends Period {
  reservationId: string
  propertyId: string
  /** Hash of the token. */
  holder: string
}

/** Refused by its effect: unknown-property, not-available. */
export function reserveStay(command: ReserveStay, rule: IntervalRule, now: string): StayDecision {
  const { reservationId, propertyId, startDate, nights, holder } = command
  return {
    events: [{ type: 'StayReserved', data: { reservationId, propertyId, startDate, nights, holder, at: now } }],
    effects: [changeNights(rule, propertyId, { to: command })],
  }
}

export interface LoadStay extends Period {
  reservationId: string
  propertyId: string
  /** Nights that other loaded reservations have are taken a second time; those that a guest was sold never are. */
  asIs: boolean
}

/**
 * A reservation that was made elsewhere; whoever holds it is not known. [] when it is there, cancelled or not.
 * Rejects: conflict when there is another one with this id. Refused by its effect: unknown-property, not-available.
 */
export function loadStay(state: ReservationState, command: LoadStay, rule: IntervalRule, now: string): StayDecision {
  const { reservationId, propertyId, startDate, nights, asIs } = command
  if (state) {
    const isSame = state.propertyId === propertyId && state.startDate === startDate && state.nights === nights
    if (isSame) return nothing
    throw new Rejection('conflict', 'There is a reservation with this id, of another property or period')
  }
  return {
    events: [{ type: 'StayReserved', data: { reservationId, propertyId, startDate, nights, holder: null, at: now } }],
    effects: [changeNights(rule, propertyId, { to: command, asIs })],
  }
}

/** Rejects: not-found for whoever did not reserve it. [] when it is cancelled already. */
export function cancelStay(state: ReservationState, holder: string, rule: IntervalRule, now: string): StayDecision {
  const held = heldBy(state, holder)
  if (held.status === 'cancelled') return nothing
  return {
    events: [{ type: 'StayCancelled', data: { ...placeOf(held), at: now } }],
    effects: [changeNights(rule, held.propertyId, { from: held })],
  }
}

/** Rejects: not-found for whoever did not reserve it; conflict once it is cancelled. Refused by its effect: unknown-property, not-available. */
export function changeStayDates(
  state: ReservationState,
  { holder, startDate, nights }: Period & { holder: string },
  rule: IntervalRule,
  now: string,
): StayDecision {
  const held = heldBy(state, holder)
  if (held.status === 'cancelled') throw new Rejection('conflict', 'The reservation is cancelled')
  if (held.startDate === startDate && held.nights === nights) return nothing
  return {
    events: [{ type: 'StayDatesChanged', data: { ...placeOf(held), startDate, nights, at: now } }],
    effects: [changeNights(rule, held.propertyId, { from: held, to: { startDate, nights } })],
  }
}

/** Rejects: conflict when there is one with this id. */
export function registerProperty(
  state: PropertyState,
  propertyId: string,
  facts: PropertyFacts,
  now: string,
): StayDecision {
  if (state) throw new Rejection('conflict', `There is a property with the id '${propertyId}'`)
  return {
    events: [{ type: 'PropertyRegistered', data: { propertyId, ...facts, at: now } }],
    effects: [{ name: 'register_property', args: { propertyId } }],
  }
}

/** As `registerProperty`, of one that exists elsewhere: [] when it is there and described alike, retired or not. */
export function loadProperty(
  state: PropertyState,
  propertyId: string,
  facts: PropertyFacts,
  now: string,
): StayDecision {
  if (!state) return registerProperty(state, propertyId, facts, now)
  if (JSON.stringify(state.facts) === JSON.stringify(facts)) return nothing
  throw new Rejection('conflict', 'There is a property with this id, described otherwise')
}

/** Rejects: not-found; conflict once it is retired. [] when nothing differs. */
export function describeProperty(state: PropertyState, facts: PropertyFacts, now: string): StayDecision {
  const { propertyId, facts: known, isRetired } = existing(state)
  if (isRetired) throw new Rejection('conflict', 'The property is retired')
  if (JSON.stringify(known) === JSON.stringify(facts)) return nothing
  return { events: [{ type: 'PropertyDescribed', data: { propertyId, ...facts, at: now } }], effects: [] }
}

/** Rejects: not-found. [] when it is retired already. Its reservations stand. */
export function retireProperty(state: PropertyState, now: string): StayDecision {
  const { propertyId, isRetired } = existing(state)
  if (isRetired) return nothing
  return {
    events: [{ type: 'PropertyRetired', data: { propertyId, at: now } }],
    // Sorts before every month of the property: in a group its row is taken before any of them.
    effects: [{ name: 'retire_property', args: { propertyId }, lock: `property/${propertyId}/` }],
  }
}

function changeNights(
  rule: IntervalRule,
  propertyId: string,
  { from, to, asIs = false }: { from?: Period; to?: Period; asIs?: boolean },
): Effect {
  const months = monthChanges({
    ...(from && { free: occupied(rule, from) }),
    ...(to && { ask: asked(rule, to), take: occupied(rule, to) }),
  })
  // Groups of commands take months in this order, each command its own in ascending order.
  const lock = `property/${propertyId}/${String(months[0]?.month).padStart(6, '0')}`
  return {
    name: 'change_nights',
    args: { propertyId, asks: to !== undefined, rule, months, ...(asIs && { asIs }) },
    lock,
    // It looks into the log for what a guest was sold.
    ...(asIs && { alone: true }),
  }
}

function heldBy(state: ReservationState, holder: string): Reservation {
  if (state?.holder !== holder) throw new Rejection('not-found', 'There is no such reservation')
  return state
}

function existing(state: PropertyState): NonNullable<PropertyState> {
  if (!state) throw new Rejection('not-found', 'There is no such property')
  return state
}

const placeOf = ({ reservationId, propertyId, startDate, nights }: Reservation) => ({
  reservationId,
  propertyId,
  startDate,
  nights,
})
