/**
 * What a journey costs and under which conditions. Prices come from distance, airline, cabin, brand, weekday and season,
 * never from the day of the search, so a search repeated later finds the same prices.
 */
import { PER_USD, type SandboxAirline } from './airlines.ts'
import { distanceKm } from './airports.ts'
import { randomOf } from './random.ts'
import type { Itinerary } from './schedule.ts'

export type Cabin = 'economy' | 'premium_economy' | 'business' | 'first'
export type PassengerKind = 'adult' | 'child' | 'infant_without_seat'

export const CABINS: readonly Cabin[] = ['economy', 'premium_economy', 'business', 'first']

export interface Brand {
  name: string
  factor: number
  checkedBags: number
  carryOnBags: number
  /** Penalty in whole units of the fare's currency; null means not allowed. */
  changePenalty: number | null
  refundPenalty: number | null
  /** 1 (plain) to 5 (deluxe), Duffel's `ngs_shelf`. */
  shelf: number
}

const BRANDS: Readonly<Record<Cabin, readonly Brand[]>> = {
  economy: [
    { name: 'Basic', factor: 1, checkedBags: 0, carryOnBags: 1, changePenalty: null, refundPenalty: null, shelf: 1 },
    { name: 'Standard', factor: 1.22, checkedBags: 1, carryOnBags: 1, changePenalty: 75, refundPenalty: 120, shelf: 2 },
    { name: 'Flex', factor: 1.62, checkedBags: 1, carryOnBags: 1, changePenalty: 0, refundPenalty: 0, shelf: 2 },
  ],
  premium_economy: [
    { name: 'Premium', factor: 1, checkedBags: 2, carryOnBags: 1, changePenalty: 100, refundPenalty: 150, shelf: 3 },
    { name: 'Premium Flex', factor: 1.3, checkedBags: 2, carryOnBags: 1, changePenalty: 0, refundPenalty: 0, shelf: 3 },
  ],
  business: [
    { name: 'Business', factor: 1, checkedBags: 2, carryOnBags: 2, changePenalty: 150, refundPenalty: 250, shelf: 4 },
    {
      name: 'Business Flex',
      factor: 1.35,
      checkedBags: 2,
      carryOnBags: 2,
      changePenalty: 0,
      refundPenalty: 0,
      shelf: 4,
    },
  ],
  first: [{ name: 'First', factor: 1, checkedBags: 3, carryOnBags: 2, changePenalty: 0, refundPenalty: 0, shelf: 5 }],
}

const CABIN_FACTOR: Readonly<Record<Cabin, number>> = { economy: 1, premium_economy: 1.9, business: 4.4, first: 7.5 }
const KIND_FACTOR: Readonly<Record<PassengerKind, number>> = { adult: 1, child: 0.75, infant_without_seat: 0.1 }
const FIRST_CLASS_AIRLINES = ['ZZ', 'BA', 'AF', 'LH', 'LX', 'EK', 'EY', 'SQ', 'CX', 'NH', 'JL', 'QF', 'AA']
const TAX_SHARE = 0.23

/** The brands an airline sells on a journey in a cabin; none where it has no such cabin. */
export function brandsOf(airline: SandboxAirline, itinerary: Itinerary, cabin: Cabin): readonly Brand[] {
  const longest = Math.max(...itinerary.flights.map(({ km }) => km))
  if (airline.kind === 'low-cost') return cabin === 'economy' ? BRANDS.economy.slice(0, 2) : []
  if (cabin === 'premium_economy' && longest < 3500) return []
  if (cabin === 'first' && (longest < 5000 || !FIRST_CLASS_AIRLINES.includes(airline.iata))) return []
  return BRANDS[cabin]
}

export interface Price {
  /** Minor units of the airline's currency, taxes included. */
  totalMinor: number
  taxMinor: number
}

/**
 * The price of journeys for all passengers.
 *
 * dates: local departure date of each journey, `YYYY-MM-DD`.
 */
export function priceOf(
  seed: string,
  itineraries: readonly Itinerary[],
  dates: readonly string[],
  cabin: Cabin,
  brand: Brand,
  kinds: readonly PassengerKind[],
): Price {
  let adultUsd = 0
  for (const [index, itinerary] of itineraries.entries()) {
    adultUsd += referenceUsd(itinerary) * dayFactor(seed, itinerary, dates[index] ?? '')
  }
  const airline = itineraries[0]?.airline
  const factor = (airline?.priceFactor ?? 1) * CABIN_FACTOR[cabin] * brand.factor * PER_USD[airline?.currency ?? 'USD']
  const perAdultMinor = Math.round(adultUsd * factor * 100)
  let totalMinor = 0
  for (const kind of kinds) totalMinor += Math.round(perAdultMinor * KIND_FACTOR[kind])
  return { totalMinor, taxMinor: Math.round(totalMinor * TAX_SHARE) }
}

/** One adult, one way, economy, before airline, day and brand: London–New York comes to about 320. */
function referenceUsd({ flights }: Itinerary): number {
  const [first, last] = [flights[0], flights.at(-1)]
  if (!first || !last) return 0
  const direct = 32 + 0.052 * distanceKm(first.from, last.to)
  return flights.length > 1 ? direct * 0.88 : direct
}

/** Weekday, season, and what this departure happens to cost on this date. */
function dayFactor(seed: string, { flights }: Itinerary, date: string): number {
  const day = new Date(`${date}T00:00:00Z`)
  const weekend = [0, 5].includes(day.getUTCDay()) ? 1.1 : 1
  const season = [5, 6, 7, 11].includes(day.getUTCMonth()) ? 1.12 : 1
  const numbers = flights.map(({ airline, number }) => `${airline.iata}${number}`)
  return weekend * season * (0.82 + 0.36 * randomOf(seed, 'price', date, ...numbers).next())
}
