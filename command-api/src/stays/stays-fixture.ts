/** For tests: the commands of stays on one store, as one tenant and by one rule, each with the outcome that its caller would hear. */
import { randomUUID } from 'node:crypto'
import { Rejection } from '@portolan/schemas/errors.ts'
import type { IntervalRule, Period } from '@portolan/schemas/stays/periods.ts'
import { propertyStream, reservationStream } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import { contextOf, type Store } from '../event-store/store-fixture.ts'
import {
  cancelStay,
  changeStayDates,
  loadStay,
  registerProperty,
  reserveStay,
  retireProperty,
  type StayDecision,
} from './decider.ts'
import { propertyType } from './property.ts'
import { reservationType } from './reservation.ts'

const facts = { description: 'A villa', capacity: null, nightlyPrice: null, location: null }
const holder = 'somebody'

/** done, the reservation's id, or the code of the rejection. */
type Outcome = Promise<string>

export type Stays = ReturnType<typeof staysOn>

/** A tenant's nights are kept by one rule. */
export function staysOn(on: Store, tenantId: string, rule: IntervalRule) {
  const context = contextOf(tenantId)

  function decideNew(decide: (reservationId: string, now: string) => StayDecision): Outcome {
    const reservationId = randomUUID()
    return outcomeOf(
      on.handle({
        context,
        streams: { stay: { type: reservationType, stream: reservationStream(reservationId), isNew: true } },
        decide: (_, now) => of('stay', decide(reservationId, now)),
      }),
      reservationId,
    )
  }

  const reserve = (propertyId: string, period: Period): Outcome =>
    decideNew((reservationId, now) => reserveStay({ reservationId, propertyId, ...period, holder }, rule, now))

  /** As an import does: nobody's, and taken whatever is taken. */
  const load = (propertyId: string, period: Period): Outcome =>
    decideNew((reservationId, now) => loadStay(null, { reservationId, propertyId, ...period, asIs: true }, rule, now))

  const cancel = (reservationId: string): Outcome =>
    outcomeOf(
      on.handle({
        context,
        streams: { stay: { type: reservationType, stream: reservationStream(reservationId) } },
        decide: ({ stay }, now) => of('stay', cancelStay(stay, holder, rule, now)),
      }),
      'done',
    )

  const change = (reservationId: string, period: Period): Outcome =>
    outcomeOf(
      on.handle({
        context,
        streams: { stay: { type: reservationType, stream: reservationStream(reservationId) } },
        decide: ({ stay }, now) => of('stay', changeStayDates(stay, { holder, ...period }, rule, now)),
      }),
      'done',
    )

  const retire = (propertyId: string): Outcome =>
    outcomeOf(
      on.handle({
        context,
        streams: { property: { type: propertyType, stream: propertyStream(propertyId) } },
        decide: ({ property }, now) => of('property', retireProperty(property, now)),
      }),
      'done',
    )

  return { reserve, load, cancel, change, retire }
}

/** Registers a property and returns its id. */
export async function registered(on: Store, tenantId: string, propertyId: string): Promise<string> {
  await on.handle({
    context: contextOf(tenantId),
    streams: { property: { type: propertyType, stream: propertyStream(propertyId), isNew: true } },
    decide: ({ property }, now) => of('property', registerProperty(property, propertyId, facts, now)),
  })
  return propertyId
}

/** Nights that the database holds, counted bit by bit. */
export async function nightsHeld(admin: pg.Pool, propertyId: string): Promise<number> {
  const { rows } = await admin.query(
    'select coalesce(sum(bit_count(taken::bit(32))), 0)::int as held from stay_months where property_id = $1',
    [propertyId],
  )
  return rows[0].held
}

/** Whole numbers below `below` from a seed (mulberry32). */
export function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const of = <Name extends string>(name: Name, { events, effects }: StayDecision) => ({
  events: { [name]: events } as Record<Name, StayDecision['events']>,
  effects,
})

async function outcomeOf(handled: Promise<unknown>, done: string): Outcome {
  try {
    await handled
    return done
  } catch (error) {
    if (error instanceof Rejection) return error.code
    throw error
  }
}
