/** The passengers of an order: personal details for the passengers of the offer, matched by id. */
import { isRecord } from '../faults.ts'
import { DuffelRefusal } from './errors.ts'
import type { PassengerKind } from './fares.ts'
import { isDate, kindOfAge, type OfferRecord, type RequestedPassenger } from './offers.ts'
import { endsOf } from './wire.ts'

const TITLES = ['mr', 'ms', 'mrs', 'miss', 'dr'] as const
const GENDERS = ['m', 'f'] as const
// The letters Duffel allows: ASCII, Latin-1 Supplement and Latin Extended-A without a few ligatures.
const NAME = /^[A-Za-zÀ-ÖØ-öø-ÿĀ-ıĴ-őŔ-ž' -]{1,20}$/
const NAME_EXCLUDED = /[ÆæÞþð]/

export interface OrderedPassenger {
  id: string
  kind: PassengerKind
  title: (typeof TITLES)[number]
  gender: (typeof GENDERS)[number]
  given_name: string
  family_name: string
  /** `YYYY-MM-DD`. */
  born_on: string
  email: string
  phone_number: string
  infant_passenger_id: string | null
  user_id: string | null
}

/**
 * Reads and checks the `passengers` of an order against its offer.
 *
 * Errors: DuffelRefusal with a JSON pointer to the first field that is wrong. Ages count on the day of the last flight.
 */
export function readOrderPassengers(value: unknown, offer: OfferRecord): OrderedPassenger[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new DuffelRefusal('validation_required', { pointer: '/passengers' })
  const expected = new Map(offer.request.passengers.map((passenger) => [passenger.id, passenger]))
  const lastFlightAt = endsOf(offer.itineraries.at(-1) ?? { flights: [], airline: offer.airline, minutes: 0 })[1]
    .departsAt
  const passengers = value.map((entry: unknown, index) =>
    readPassenger(entry, `/passengers/${index}`, expected, lastFlightAt),
  )
  const ids = new Set(passengers.map(({ id }) => id))
  if (ids.size !== passengers.length || ids.size !== expected.size)
    throw new DuffelRefusal('order_passengers_incompatible_with_offer', { pointer: '/passengers' })
  checkNames(passengers)
  checkInfants(passengers)
  return passengers
}

function readPassenger(
  entry: unknown,
  pointer: string,
  expected: ReadonlyMap<string, RequestedPassenger>,
  lastFlightAt: number,
): OrderedPassenger {
  if (!isRecord(entry)) throw new DuffelRefusal('validation_type', { pointer })
  const requested = expected.get(text(entry, 'id', pointer))
  if (!requested) throw new DuffelRefusal('linked_record_not_found', { pointer: `${pointer}/id` })
  const bornOn = text(entry, 'born_on', pointer)
  if (!isDate(bornOn)) throw new DuffelRefusal('validation_format', { pointer: `${pointer}/born_on` })
  checkAge(requested, bornOn, lastFlightAt, `${pointer}/born_on`)
  const email = text(entry, 'email', pointer)
  if (!/^[^@\s]+@[^@\s]+$/.test(email)) throw new DuffelRefusal('validation_format', { pointer: `${pointer}/email` })
  const phone = text(entry, 'phone_number', pointer)
  if (!/^\+[1-9]\d{6,14}$/.test(phone))
    throw new DuffelRefusal('invalid_phone_number', { pointer: `${pointer}/phone_number` })
  return {
    id: requested.id,
    kind: requested.kind,
    title: oneOf(TITLES, entry, 'title', pointer),
    gender: oneOf(GENDERS, entry, 'gender', pointer),
    given_name: name(entry, 'given_name', pointer),
    family_name: name(entry, 'family_name', pointer),
    born_on: bornOn,
    email,
    phone_number: phone,
    infant_passenger_id: typeof entry.infant_passenger_id === 'string' ? entry.infant_passenger_id : null,
    user_id: typeof entry.user_id === 'string' ? entry.user_id : null,
  }
}

/** The age on the last flight must be the one searched with, or fit the type searched with. */
function checkAge(requested: RequestedPassenger, bornOn: string, lastFlightAt: number, pointer: string): void {
  const age = ageOn(bornOn, new Date(lastFlightAt).toISOString().slice(0, 10))
  // Adults are searched by type; somebody of twelve or more flies as one, and a child's type covers every minor.
  const fits =
    requested.age !== undefined
      ? age === requested.age
      : requested.kind === 'child'
        ? age >= 2 && age < 18
        : kindOfAge(age) === requested.kind
  if (fits) return
  const searched = requested.age === undefined ? requested.kind : `age ${requested.age}`
  const message = `The passenger was searched as ${searched} but will be ${age} on the last flight`
  throw new DuffelRefusal('order_passengers_incompatible_with_offer', { message, pointer })
}

function ageOn(bornOn: string, date: string): number {
  const years = Number(date.slice(0, 4)) - Number(bornOn.slice(0, 4))
  return date.slice(5) < bornOn.slice(5) ? years - 1 : years
}

function checkNames(passengers: OrderedPassenger[]): void {
  const seen = new Set<string>()
  for (const [index, passenger] of passengers.entries()) {
    const full = `${passenger.given_name} ${passenger.family_name}`.toLowerCase()
    if (seen.has(full)) throw new DuffelRefusal('duplicate_passenger_name', { pointer: `/passengers/${index}` })
    seen.add(full)
  }
}

/** Each infant is named by exactly one adult, and adults name nobody else. */
function checkInfants(passengers: OrderedPassenger[]): void {
  const infants = passengers.filter(({ kind }) => kind === 'infant_without_seat').map(({ id }) => id)
  const named = passengers.flatMap(({ infant_passenger_id: infant }) => infant ?? [])
  const carriers = passengers.filter(({ kind, infant_passenger_id: infant }) => kind !== 'adult' && infant !== null)
  const exact = named.length === infants.length && infants.every((id) => named.includes(id)) && carriers.length === 0
  if (exact) return
  const message = 'Each infant must be the infant_passenger_id of exactly one adult'
  throw new DuffelRefusal('validation_required', { message, field: 'infant_passenger_id', pointer: '/passengers' })
}

function text(entry: Record<string, unknown>, field: string, pointer: string): string {
  const value = entry[field]
  if (value === undefined || value === null || value === '')
    throw new DuffelRefusal('validation_required', {
      message: `Field '${field}' can't be blank`,
      pointer: `${pointer}/${field}`,
    })
  if (typeof value !== 'string') throw new DuffelRefusal('validation_type', { pointer: `${pointer}/${field}` })
  return value
}

function name(entry: Record<string, unknown>, field: string, pointer: string): string {
  const value = text(entry, field, pointer)
  if (NAME.test(value) && !NAME_EXCLUDED.test(value)) return value
  throw new DuffelRefusal('invalid_passenger_name', { pointer: `${pointer}/${field}` })
}

function oneOf<T extends string>(
  allowed: readonly T[],
  entry: Record<string, unknown>,
  field: string,
  pointer: string,
): T {
  const value = text(entry, field, pointer)
  const found = allowed.find((candidate) => candidate === value)
  if (found) return found
  throw new DuffelRefusal('validation_inclusion', { pointer: `${pointer}/${field}` })
}
