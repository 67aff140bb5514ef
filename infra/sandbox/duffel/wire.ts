/**
 * Records to Duffel's v2 shapes. The return types are the official client's own, so the compiler compares every member
 * with them; the few places where Duffel's answers differ from its types say so.
 */
import type { Duffel } from '@duffel/api'
import type {
  Airline,
  Airport,
  City,
  FlightsCondition,
  Offer,
  OfferSlice,
  OfferSliceSegment,
  Place as WirePlace,
} from '@duffel/api/types'
import type { SandboxAirline } from './airlines.ts'
import type { SandboxAirport } from './airports.ts'
import type { Brand, Cabin } from './fares.ts'
import { isoDuration, toLocal } from './local-time.ts'
import { currentTotalMinor, type OfferRecord, type OfferRequestRecord, type Place } from './offers.ts'
import { hash } from './random.ts'
import type { Flight, Itinerary } from './schedule.ts'

/** An offer request as Duffel answers it; `offers` only when asked for. */
type WireOfferRequest = Omit<Awaited<ReturnType<Duffel['offerRequests']['get']>>['data'], 'offers'> & {
  offers?: Omit<Offer, 'available_services'>[]
}

const CABIN_NAMES: Readonly<Record<Cabin, string>> = {
  economy: 'Economy',
  premium_economy: 'Premium Economy',
  business: 'Business',
  first: 'First',
}

/** Before booking Duffel gives null for names; its client's types allow only absence, hence the detour. */
const UNNAMED = { given_name: null, family_name: null } as unknown as { given_name?: string; family_name?: string }

/** An offer request, with its offers when `withOffers`. */
export function wireOfferRequest(request: OfferRequestRecord, withOffers: boolean): WireOfferRequest {
  return {
    id: request.id,
    live_mode: false,
    created_at: iso(request.createdAt),
    cabin_class: request.cabin,
    passengers: request.passengers.map(({ id, kind, age }) => ({
      id,
      ...(age === undefined ? { type: kind } : { age }),
      ...UNNAMED,
      loyalty_programme_accounts: [],
    })),
    slices: request.slices.map(({ origin, destination, date }) => ({
      origin: wirePlace(origin),
      origin_type: origin.type,
      destination: wirePlace(destination),
      destination_type: destination.type,
      departure_date: date,
    })),
    ...(withOffers && { offers: request.offers.map(withoutServices) }),
  }
}

/** An offer in a list or an offer request: without services. */
export function withoutServices(offer: OfferRecord): Omit<Offer, 'available_services'> {
  const { available_services: _, ...rest } = wireOffer(offer)
  return rest
}

/** A single offer. Seats and bags are not sold here, so `available_services` is empty. */
export function wireOffer(offer: OfferRecord): Offer {
  const { request, hold } = offer
  const totalMinor = currentTotalMinor(offer)
  return {
    id: offer.id,
    live_mode: false,
    partial: false,
    created_at: iso(request.createdAt),
    updated_at: iso(request.createdAt),
    expires_at: iso(offer.expiresAt),
    owner: wireAirline(offer.airline),
    total_amount: decimal(totalMinor),
    total_currency: offer.currency,
    tax_amount: decimal(offer.taxMinor),
    tax_currency: offer.currency,
    base_amount: decimal(totalMinor - offer.taxMinor),
    base_currency: offer.currency,
    total_emissions_kg: String(emissionsKg(offer)),
    conditions: conditionsOf(offer.brand, offer.currency),
    payment_requirements: {
      requires_instant_payment: hold === undefined,
      payment_required_by: hold ? isoSeconds(hold.paymentRequiredBy) : null,
      price_guarantee_expires_at: hold?.priceGuaranteeUntil ? isoSeconds(hold.priceGuaranteeUntil) : null,
    },
    passenger_identity_documents_required: false,
    supported_passenger_identity_document_types: ['passport', 'known_traveler_number', 'passenger_redress_number'],
    supported_loyalty_programmes: [],
    private_fares: [],
    passengers: request.passengers.map(({ id, kind, age }) => ({
      id,
      type: kind,
      age: age ?? null,
      fare_type: null,
      ...UNNAMED,
      loyalty_programme_accounts: [],
    })),
    slices: offer.itineraries.map((itinerary, index) => wireSlice(offer, itinerary, index)),
    available_services: [],
  }
}

function wireSlice(offer: OfferRecord, itinerary: Itinerary, index: number): OfferSlice {
  const [first, last] = endsOf(itinerary)
  return {
    id: derivedId('sli', offer.id, index),
    origin: wireAirportPlace(first.from),
    origin_type: 'airport',
    destination: wireAirportPlace(last.to),
    destination_type: 'airport',
    duration: isoDuration(itinerary.minutes),
    fare_brand_name: offer.brand.name,
    ngs_shelf: offer.brand.shelf,
    comparison_key: comparisonKey(offer, itinerary),
    conditions: {
      ...conditionsOf(offer.brand, offer.currency),
      advance_seat_selection: offer.brand.shelf >= 3,
      priority_boarding: offer.brand.shelf >= 3,
      priority_check_in: offer.brand.shelf >= 4,
    },
    segments: itinerary.flights.map((flight, part) => wireSegment(offer, flight, index * 10 + part)),
  }
}

/** A flight of an offer; an order shows the same with ids of its own. */
export function wireSegment(offer: OfferRecord, flight: Flight, index: number): OfferSliceSegment {
  return {
    id: derivedId('seg', offer.id, index),
    origin: wireAirport(flight.from),
    origin_terminal: flight.fromTerminal,
    departing_at: toLocal(flight.departsAt, flight.from.timeZone),
    destination: wireAirport(flight.to),
    destination_terminal: flight.toTerminal,
    arriving_at: toLocal(flight.arrivesAt, flight.to.timeZone),
    duration: isoDuration(flight.minutes),
    distance: flight.km.toFixed(3),
    aircraft: { id: `arc_00009VMF8${flight.aircraft.iata}sandbox`, ...wireAircraft(flight) },
    marketing_carrier: wireAirline(flight.airline),
    marketing_carrier_flight_number: flight.number,
    operating_carrier: wireAirline(flight.airline),
    operating_carrier_flight_number: flight.number,
    passengers: offer.request.passengers.map(({ id, kind }) => ({
      passenger_id: id,
      cabin_class: offer.cabin,
      cabin_class_marketing_name: CABIN_NAMES[offer.cabin],
      fare_basis_code: fareBasis(offer),
      baggages: kind === 'infant_without_seat' ? [] : baggagesOf(offer.brand),
      cabin: {
        name: offer.cabin,
        marketing_name: CABIN_NAMES[offer.cabin],
        amenities: amenitiesOf(offer.cabin, flight),
      },
    })),
    stops: stopsOf(offer, flight, index),
  }
}

function stopsOf(offer: OfferRecord, flight: Flight, index: number): OfferSliceSegment['stops'] {
  if (!flight.stop) return []
  const { airport, minutes } = flight.stop
  const landsAt = flight.departsAt + Math.round((flight.minutes - minutes) / 2) * 60_000
  return [
    {
      id: derivedId('sto', offer.id, index),
      airport: wireAirport(airport),
      arriving_at: toLocal(landsAt, airport.timeZone),
      departing_at: toLocal(landsAt + minutes * 60_000, airport.timeZone),
      duration: isoDuration(minutes),
    },
  ]
}

function wireAircraft({ aircraft }: Flight): { iata_code: string; name: string } {
  return { iata_code: aircraft.iata, name: aircraft.name }
}

/** An airline as owner or carrier. */
export function wireAirline(airline: SandboxAirline): Airline {
  return {
    id: `arl_00009VME7D${airline.iata}sandbox000`,
    name: airline.name,
    iata_code: airline.iata,
    logo_symbol_url: `https://assets.duffel.com/img/airlines/for-light-background/full-color-logo/${airline.iata}.svg`,
    logo_lockup_url: null,
    conditions_of_carriage_url: null,
  }
}

/** An airport of a segment. */
export function wireAirport(airport: SandboxAirport): Airport {
  return {
    type: 'airport',
    id: `arp_${airport.iata.toLowerCase()}_${airport.country.toLowerCase()}`,
    name: airport.name,
    iata_code: airport.iata,
    icao_code: airport.icao,
    iata_country_code: airport.country,
    iata_city_code: airport.cityCode,
    city_name: airport.cityName,
    city: airport.cityCode === airport.iata ? null : wireCity(airport),
    latitude: airport.latitude,
    longitude: airport.longitude,
    time_zone: airport.timeZone,
  }
}

/** An airport as origin or destination of a slice. */
export function wireAirportPlace(airport: SandboxAirport): WirePlace {
  return { ...wireAirport(airport), type: 'airport' }
}

function wirePlace({ type, airports }: Place): WirePlace {
  const [first] = airports
  // A place always has at least one airport.
  if (!first) throw new Error('a place without airports')
  return type === 'airport' ? wireAirportPlace(first) : { ...wireCity(first), airports: airports.map(wireAirport) }
}

function wireCity({ cityCode, cityName, country }: SandboxAirport): City {
  const id = `cit_${cityCode.toLowerCase()}_${country.toLowerCase()}`
  return { type: 'city', id, name: cityName, iata_code: cityCode, iata_country_code: country }
}

/** Refund and change conditions of a fare, for an offer, a slice or an order. */
export function conditionsOf(brand: Brand, currency: string) {
  return {
    change_before_departure: condition(brand.changePenalty, currency),
    refund_before_departure: condition(brand.refundPenalty, currency),
  }
}

function condition(penalty: number | null, currency: string): FlightsCondition {
  if (penalty === null) return { allowed: false, penalty_amount: null, penalty_currency: null }
  return { allowed: true, penalty_amount: decimal(penalty * 100), penalty_currency: currency }
}

/** Allowances of one passenger; bags that are not included are not listed. */
export function baggagesOf({ checkedBags, carryOnBags }: Brand) {
  return [
    { type: 'checked' as const, quantity: checkedBags },
    { type: 'carry_on' as const, quantity: carryOnBags },
  ].filter(({ quantity }) => quantity > 0)
}

function amenitiesOf(cabin: Cabin, flight: Flight) {
  const long = flight.km > 4500
  const seat = cabin === 'economy' ? 'standard' : cabin === 'premium_economy' ? 'recliner' : 'full_flat'
  return {
    wifi: { available: long, cost: long ? ('paid' as const) : ('n/a' as const) },
    seat: { pitch: cabin === 'economy' ? ('standard' as const) : ('more' as const), type: seat } as const,
    power: { available: long || cabin !== 'economy' },
  }
}

function fareBasis({ cabin, brand, airline }: OfferRecord): string {
  const letter = { economy: 'Y', premium_economy: 'W', business: 'J', first: 'F' }[cabin]
  return `${letter}${hash(airline.iata + brand.name)
    .toString(36)
    .toUpperCase()
    .slice(0, 6)}`
}

function comparisonKey(offer: OfferRecord, { flights }: Itinerary): string {
  const key = flights.map((flight) => `${flight.airline.iata}${flight.number}@${flight.departsAt}`)
  return Buffer.from(`${offer.cabin}|${offer.brand.name}|${key}`).toString('base64')
}

function emissionsKg({ itineraries, request, cabin }: OfferRecord): number {
  const km = itineraries.flatMap(({ flights }) => flights).reduce((sum, flight) => sum + flight.km, 0)
  return Math.round(km * 0.085 * (cabin === 'economy' ? 1 : 2.4) * request.passengers.length)
}

/** First and last flight of a journey. */
export function endsOf({ flights }: Itinerary): [Flight, Flight] {
  const [first, last] = [flights[0], flights.at(-1)]
  if (!first || !last) throw new Error('an itinerary without flights')
  return [first, last]
}

/** An id that follows from its owner's, so reading twice gives the same. */
export function derivedId(prefix: string, ownerId: string, index: number): string {
  return `${prefix}_${ownerId.slice(4)}${index.toString(36)}`
}

/** Minor units of a two-decimal currency as Duffel prints amounts: `35000` → `"350.00"`. */
export function decimal(minor: number): string {
  return `${Math.trunc(minor / 100)}.${String(Math.abs(minor % 100)).padStart(2, '0')}`
}

/** An instant with microseconds, as in `created_at`. */
export function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`
}

/** An instant in whole seconds, as in payment deadlines. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
