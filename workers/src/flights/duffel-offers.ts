/** From Duffel's offers to ours: true UTC beside local times, prices untouched in Duffel's currency. Pure. */
import type { CabinClass, Flight, FlightSearch, SupplierOffer } from '@portolan/schemas/flights/offers.ts'
import { flightInstants, formatDuration, normalizeLocalTime, parseDurationMs } from './airport-time.ts'
import { type DuffelOffer, type DuffelSegment, type DuffelSlice, offerSchema } from './duffel-shapes.ts'

/** What an offer must fit, beside being readable. */
export interface OfferFit {
  passengers: FlightSearch['passengers']
  slices: number
}

/**
 * Reads one offer. Returns null when it cannot be read or cannot be sold by us: it needs identity documents we do not
 * ask for, is only part of a journey, or does not fit what was searched for.
 */
export function readOffer(raw: unknown, fit: OfferFit): SupplierOffer | null {
  const parsed = offerSchema.safeParse(raw)
  if (!parsed.success) return null
  const offer = parsed.data
  if (offer.partial || offer.passenger_identity_documents_required || offer.slices.length !== fit.slices) return null
  const passengerIds = orderedPassengerIds(offer, fit.passengers)
  const expiresAtMs = Date.parse(offer.expires_at)
  if (!passengerIds || Number.isNaN(expiresAtMs)) return null
  try {
    const [outbound, inbound] = offer.slices.map((slice) => readSlice(slice, offer))
    if (!outbound) return null
    return {
      supplier: 'duffel',
      supplierOfferId: offer.id,
      supplierPassengerIds: passengerIds,
      holdable: !offer.payment_requirements.requires_instant_payment,
      expiresAt: new Date(expiresAtMs).toISOString(),
      supplierAmount: offer.total_amount,
      supplierCurrency: offer.total_currency,
      outbound,
      inbound: inbound ?? null,
      cabinClass: highestCabin(offer),
      // Duffel does not say how many seats are left.
      availableSeats: null,
    }
  } catch (error) {
    if (error instanceof RangeError) return null // a time or zone that cannot be read
    throw error
  }
}

/** Offers of a search, cheapest first and at most `max`; `dropped` could not be read or sold. */
export function readOffers(
  raw: readonly unknown[],
  fit: OfferFit,
  max: number,
): { offers: SupplierOffer[]; dropped: number } {
  const offers = raw.flatMap((one) => readOffer(one, fit) ?? [])
  offers.sort((a, b) => compareAmounts(a.supplierAmount, b.supplierAmount))
  return { offers: offers.slice(0, max), dropped: raw.length - offers.length }
}

/** Whether two decimal strings are the same amount: `350.0` and `350.00` are. */
export function isSameAmount(a: string, b: string): boolean {
  return compareAmounts(a, b) === 0
}

/** Compares decimal strings with at most four decimals exactly. */
export function compareAmounts(a: string, b: string): number {
  const difference = tenThousandths(a) - tenThousandths(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** Whether an offer is for exactly these flights: same numbers, same departures. */
export function isSameJourney(offer: SupplierOffer, outbound: Flight, inbound: Flight | null): boolean {
  const keyOf = (flight: Flight | null) =>
    JSON.stringify(flight?.segments.map((s) => [s.flightNumber, s.departureAt]) ?? null)
  return keyOf(offer.outbound) === keyOf(outbound) && keyOf(offer.inbound) === keyOf(inbound)
}

/** Duffel's passenger ids in the order adults, children, infants; null when the counts are not those searched for. */
function orderedPassengerIds(offer: DuffelOffer, counts: FlightSearch['passengers']): string[] | null {
  const idsOf = (type: string) => offer.passengers.filter((passenger) => typeOf(passenger) === type).map(({ id }) => id)
  const [adults, children, infants] = [idsOf('adult'), idsOf('child'), idsOf('infant_without_seat')]
  const fits =
    adults.length === counts.adults && children.length === counts.children && infants.length === counts.infants
  return fits ? [...adults, ...children, ...infants] : null
}

function typeOf({ type, age }: DuffelOffer['passengers'][number]): string {
  if (type) return type
  if (age === null || age === undefined) return 'adult'
  return age < 2 ? 'infant_without_seat' : age < 12 ? 'child' : 'adult'
}

/** One slice, from its first departure to its last arrival. Throws RangeError for times that cannot be read. */
function readSlice(slice: DuffelSlice, { owner }: DuffelOffer): Flight {
  const segments = slice.segments.map((segment) => ({ segment, ...instantsOf(segment) }))
  const [first, last] = [segments[0], segments.at(-1)]
  if (!first || !last || last.arrivalMs <= first.departureMs) throw new RangeError('slice ends before it begins')
  return {
    airline: owner.name,
    flightNumber: flightNumberOf(first.segment),
    departure: {
      airport: first.segment.origin.iata_code,
      time: new Date(first.departureMs).toISOString(),
      terminal: first.segment.origin_terminal ?? null,
      localTime: normalizeLocalTime(first.segment.departing_at),
      timeZone: first.segment.origin.time_zone,
    },
    arrival: {
      airport: last.segment.destination.iata_code,
      time: new Date(last.arrivalMs).toISOString(),
      terminal: last.segment.destination_terminal ?? null,
      localTime: normalizeLocalTime(last.segment.arriving_at),
      timeZone: last.segment.destination.time_zone,
    },
    duration: formatDuration(last.arrivalMs - first.departureMs),
    segments: segments.map(({ segment, departureMs }) => ({
      flightNumber: flightNumberOf(segment),
      departureAt: new Date(departureMs).toISOString(),
    })),
  }
}

function instantsOf(segment: DuffelSegment): { departureMs: number; arrivalMs: number } {
  return flightInstants(
    { localTime: segment.departing_at, timeZone: segment.origin.time_zone },
    { localTime: segment.arriving_at, timeZone: segment.destination.time_zone },
    parseDurationMs(segment.duration ?? null),
  )
}

function flightNumberOf(segment: DuffelSegment): string {
  return `${segment.marketing_carrier.iata_code ?? ''}${segment.marketing_carrier_flight_number}`
}

const cabins: readonly CabinClass[] = ['economy', 'premium_economy', 'business', 'first']

/** The highest cabin on any segment, so that a rule against a cabin cannot be passed by a mixed journey. */
function highestCabin(offer: DuffelOffer): CabinClass {
  const used = offer.slices.flatMap(({ segments }) =>
    segments.flatMap(({ passengers }) => passengers?.flatMap(({ cabin_class }) => cabin_class ?? []) ?? []),
  )
  return cabins[Math.max(0, ...used.map((cabin) => cabins.indexOf(cabin)))] ?? 'economy'
}

function tenThousandths(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole + fraction.padEnd(4, '0').slice(0, 4))
}
