/**
 * Offer requests and the offers found for them. Records are kept small; `wire.ts` turns them into Duffel's shapes when
 * they are asked for.
 */
import { isRecord } from '../faults.ts'
import type { SandboxAirline } from './airlines.ts'
import { findPlace, type SandboxAirport } from './airports.ts'
import { DuffelRefusal } from './errors.ts'
import { type Brand, brandsOf, CABINS, type Cabin, type PassengerKind, priceOf } from './fares.ts'
import { addDays, toLocal } from './local-time.ts'
import { hash } from './random.ts'
import { findItineraries, type Itinerary } from './schedule.ts'
import { type Trigger, triggerOf } from './test-routes.ts'

const OFFERS_MAX = 80
const ITINERARIES_MAX = 26
const PASSENGERS_MAX = 9
/** A flight that leaves within the hour is no longer sold. */
const SALES_CLOSE_MS = 3_600_000
const PRICE_GUARANTEE_MS = 48 * 3_600_000

export interface Place {
  type: 'airport' | 'city'
  /** As typed: an airport's or a city's code. */
  code: string
  airports: SandboxAirport[]
}

export interface RequestedPassenger {
  id: string
  kind: PassengerKind
  /** Age searched with; undefined when a type was given. */
  age: number | undefined
}

export interface RequestedSlice {
  origin: Place
  destination: Place
  /** `YYYY-MM-DD`, local to the origin. */
  date: string
}

export interface OfferRequestRecord {
  id: string
  /** Milliseconds since the epoch. */
  createdAt: number
  slices: RequestedSlice[]
  passengers: RequestedPassenger[]
  cabin: Cabin
  trigger: Trigger | undefined
  offers: OfferRecord[]
  /** Set once an order was attempted for one of its offers: `booked`, or `attempted` when it came to nothing certain. */
  orderState: 'none' | 'attempted' | 'booked'
}

export interface OfferRecord {
  id: string
  request: OfferRequestRecord
  airline: SandboxAirline
  /** One per slice. */
  itineraries: Itinerary[]
  cabin: Cabin
  brand: Brand
  /** Minor units, as searched; `readCount` may raise it on a test route. */
  totalMinor: number
  taxMinor: number
  currency: string
  expiresAt: number
  /** Set when the fare can be held: until when unpaid space is kept, and until when the price stands (may be null). */
  hold: { paymentRequiredBy: number; priceGuaranteeUntil: number | null } | undefined
  /** How often it was read by id. */
  readCount: number
}

export interface OfferSettings {
  seed: string
  offerTtlMs: number
  /** Time to live on the test route whose offers expire soon. */
  shortOfferTtlMs: number
  holdTtlMs: number
}

/**
 * Reads an offer request's `data`, finds its offers and returns the record.
 *
 * Errors: DuffelRefusal with the first invalid field.
 */
export function createOfferRequest(
  data: Record<string, unknown>,
  newId: (prefix: string) => string,
  nowMs: number,
  settings: OfferSettings,
): OfferRequestRecord {
  const slices = readSlices(data.slices, nowMs)
  const request: OfferRequestRecord = {
    id: newId('orq'),
    createdAt: nowMs,
    slices,
    passengers: readPassengers(data.passengers, newId),
    cabin: readCabin(data.cabin_class),
    trigger: triggerOf(slices[0]?.origin.code ?? '', slices[0]?.destination.code ?? ''),
    offers: [],
    orderState: 'none',
  }
  request.offers = findOffers(request, readMaxConnections(data.max_connections), newId, settings)
  return request
}

/** What the offer costs now, in minor units: on the test route with rising prices every read by id adds 10.00. */
export function currentTotalMinor(offer: OfferRecord): number {
  return offer.totalMinor + (offer.request.trigger === 'price-rises' ? offer.readCount * 1000 : 0)
}

function findOffers(
  request: OfferRequestRecord,
  maxConnections: number,
  newId: (prefix: string) => string,
  settings: OfferSettings,
): OfferRecord[] {
  const { trigger, createdAt, cabin } = request
  if (trigger === 'no-flights') return []
  const ttlMs = trigger === 'expires-soon' ? settings.shortOfferTtlMs : settings.offerTtlMs
  const kinds = request.passengers.map(({ kind }) => kind)
  const dates = request.slices.map(({ date }) => date)
  const offers: OfferRecord[] = []
  for (const itineraries of journeys(request, maxConnections, settings.seed)) {
    const [first] = itineraries
    if (!first) continue
    for (const brand of brandsOf(first.airline, first, cabin)) {
      if (offers.length >= OFFERS_MAX) return offers
      offers.push({
        id: newId('off'),
        request,
        airline: first.airline,
        itineraries,
        cabin,
        brand: trigger === 'no-baggage' ? { ...brand, checkedBags: 0, carryOnBags: 0 } : brand,
        ...priceOf(settings.seed, itineraries, dates, cabin, brand, kinds),
        currency: first.airline.currency,
        expiresAt: createdAt + ttlMs,
        hold: holdOf(request, first, brand, settings.holdTtlMs),
        readCount: 0,
      })
    }
  }
  return offers
}

/** Whole journeys: one itinerary per slice, all by one airline. */
function journeys(request: OfferRequestRecord, maxConnections: number, seed: string): Itinerary[][] {
  const { trigger, createdAt } = request
  const shape = trigger === 'connecting' || trigger === 'with-stop' ? trigger : 'any'
  const [outbound = [], ...others] = request.slices.map(({ origin, destination, date }) => {
    const pairs = origin.airports.flatMap((from) => destination.airports.map((to) => [from, to] as const))
    // Cities share the list fairly among their airports.
    const share = Math.max(2, Math.ceil(ITINERARIES_MAX / pairs.length))
    return pairs
      .filter(([from, to]) => from !== to)
      .flatMap(([from, to]) => findItineraries(from, to, date, { seed, maxConnections, shape }).slice(0, share))
      .filter(({ flights }) => (flights[0]?.departsAt ?? 0) > createdAt + SALES_CLOSE_MS)
  })
  if (others.length === 0) return outbound.map((itinerary) => [itinerary])
  return outbound.flatMap((first) => {
    // Two ways back for each way out keep a round trip's list as long as a one-way's.
    const combinations = others.reduce<Itinerary[][]>(
      (journeysSoFar, options) =>
        journeysSoFar.flatMap((journey) => matching(journey, options).map((next) => [...journey, next])),
      [[first]],
    )
    return combinations.slice(0, 2)
  })
}

/** Later itineraries of the same airline that leave after the previous one arrived. */
function matching(journey: Itinerary[], options: Itinerary[]): Itinerary[] {
  const previous = journey.at(-1)
  const arrivedAt = previous?.flights.at(-1)?.arrivesAt ?? 0
  const later = options.filter(
    ({ airline, flights }) => airline === previous?.airline && (flights[0]?.departsAt ?? 0) > arrivedAt + 3_600_000,
  )
  return later.slice(0, 2)
}

/** Which fares can be held: all of Duffel Airways', flexible ones of most airlines, and all on the hold test route. */
function holdOf(
  { trigger, createdAt }: OfferRequestRecord,
  { airline, flights }: Itinerary,
  brand: Brand,
  holdTtlMs: number,
): OfferRecord['hold'] {
  const flexible = brand.refundPenalty !== null && airline.kind === 'network' && hash(airline.iata) % 3 !== 0
  if (airline.iata !== 'ZZ' && trigger !== 'hold-only' && !flexible) return undefined
  const departsAt = flights[0]?.departsAt ?? createdAt
  const paymentRequiredBy = Math.min(createdAt + holdTtlMs, departsAt - SALES_CLOSE_MS / 2)
  const guaranteed = airline.iata === 'ZZ' || hash(`${airline.iata} guarantee`) % 4 !== 0
  return {
    paymentRequiredBy,
    priceGuaranteeUntil: guaranteed ? Math.min(createdAt + PRICE_GUARANTEE_MS, paymentRequiredBy) : null,
  }
}

function readSlices(value: unknown, nowMs: number): RequestedSlice[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new DuffelRefusal('validation_required', { message: "Field 'slices' can't be blank", pointer: '/slices' })
  return value.map((slice: unknown, index) => readSlice(slice, `/slices/${index}`, nowMs))
}

function readSlice(slice: unknown, pointer: string, nowMs: number): RequestedSlice {
  if (!isRecord(slice)) throw new DuffelRefusal('validation_type', { pointer })
  const origin = readPlace(slice.origin, `${pointer}/origin`)
  const destination = readPlace(slice.destination, `${pointer}/destination`)
  if (origin.code === destination.code) {
    const message = "Field 'destination' must be different from 'origin'"
    throw new DuffelRefusal('validation_inclusion', { message, pointer: `${pointer}/destination` })
  }
  const date = slice.departure_date
  if (typeof date !== 'string' || !isDate(date)) {
    const message = "Field 'departure_date' must be an ISO 8601 date"
    throw new DuffelRefusal('validation_format', { message, pointer: `${pointer}/departure_date` })
  }
  const today = toLocal(nowMs, origin.airports[0]?.timeZone ?? 'UTC').slice(0, 10)
  if (date < today || date > addDays(today, 365)) {
    const message = "Field 'departure_date' must be between today and a year from now"
    throw new DuffelRefusal('validation_inclusion', { message, pointer: `${pointer}/departure_date` })
  }
  return { origin, destination, date }
}

function readPlace(code: unknown, pointer: string): Place {
  const place = typeof code === 'string' ? findPlace(code) : undefined
  if (place) return { ...place, code: String(code) }
  const message = `No airport or city ${JSON.stringify(code)} is known here`
  throw new DuffelRefusal('validation_inclusion', { message, pointer })
}

function readPassengers(value: unknown, newId: (prefix: string) => string): RequestedPassenger[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new DuffelRefusal('validation_required', {
      message: "Field 'passengers' can't be blank",
      pointer: '/passengers',
    })
  if (value.length > PASSENGERS_MAX) throw new DuffelRefusal('validation_length', { pointer: '/passengers' })
  const passengers = value.map((passenger: unknown, index) => readPassenger(passenger, `/passengers/${index}`, newId))
  const count = (kind: PassengerKind) => passengers.filter((passenger) => passenger.kind === kind).length
  if (count('infant_without_seat') > count('adult')) {
    const message = 'Every infant without a seat needs an adult'
    throw new DuffelRefusal('validation_inclusion', { message, pointer: '/passengers' })
  }
  return passengers
}

function readPassenger(passenger: unknown, pointer: string, newId: (prefix: string) => string): RequestedPassenger {
  if (!isRecord(passenger)) throw new DuffelRefusal('validation_type', { pointer })
  const { type, age, fare_type: fareType } = passenger
  if (Number.isInteger(age) && Number(age) >= 0 && Number(age) < 130 && type === undefined)
    return { id: newId('pas'), kind: kindOfAge(Number(age)), age: Number(age) }
  const kinds: readonly unknown[] = ['adult', 'child', 'infant_without_seat']
  if (age === undefined && kinds.includes(type))
    return { id: newId('pas'), kind: type as PassengerKind, age: undefined }
  if (age === undefined && type === undefined && typeof fareType === 'string')
    return { id: newId('pas'), kind: 'adult', age: undefined }
  const message = 'A passenger must have either a type (adult, child, infant_without_seat) or an age'
  throw new DuffelRefusal('validation_inclusion', { message, pointer })
}

/** Under two an infant on a lap, under twelve a child. */
export function kindOfAge(age: number): PassengerKind {
  if (age < 2) return 'infant_without_seat'
  return age < 12 ? 'child' : 'adult'
}

function readCabin(value: unknown): Cabin {
  if (value === undefined || value === null) return 'economy'
  const cabin = CABINS.find((candidate) => candidate === value)
  if (!cabin) throw new DuffelRefusal('validation_inclusion', { pointer: '/cabin_class' })
  return cabin
}

function readMaxConnections(value: unknown): number {
  if (value === undefined || value === null) return 1
  if (value === 0 || value === 1 || value === 2) return value
  throw new DuffelRefusal('validation_inclusion', { pointer: '/max_connections' })
}

/** Whether a text is a calendar date `YYYY-MM-DD` that exists. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const parsed = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(text)
}
