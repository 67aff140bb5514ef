/** Searching offers at Duffel, and finding an offer again. */
import type { CreateOfferRequestPassenger } from '@duffel/api/types'
import type { CabinClass, Flight, FlightSearch, SupplierOffer } from '@portolan/schemas/flights/offers.ts'
import { z } from 'zod'
import type { CallAnswer } from '../steps/call-answer.ts'
import type { CallLimits } from '../steps/guard.ts'
import { type Duffel, offerUnavailable } from './duffel.ts'
import { isSameJourney, readOffer, readOffers } from './duffel-offers.ts'
import { offerRequestSchema } from './duffel-shapes.ts'

const OFFERS_MAX = 500
/** Duffel gives the airlines this much less than we wait, so that its answer still reaches us. */
const SEARCH_MARGIN_MS = 2_000

/** Offers, cheapest first, and how many could not be read or sold. timeoutMs: the whole search. */
export async function searchFlights(
  duffel: Duffel,
  request: FlightSearch,
  timeoutMs: number,
  limits: CallLimits,
): Promise<CallAnswer<{ offers: SupplierOffer[]; dropped: number }>> {
  const answer = await duffel.searching.call({
    kind: 'read',
    timeoutMs,
    limits,
    schema: offerRequestSchema,
    send: (api) => api.offerRequests.create(searchParameters(request, timeoutMs)),
  })
  if (answer.kind !== 'succeeded') return answer
  const fit = { passengers: request.passengers, slices: request.returnDate ? 2 : 1 }
  return { kind: 'succeeded', value: readOffers(answer.value.offers, fit, OFFERS_MAX) }
}

/** The offer as it stands now; refused `offer-unavailable` when it is gone, expired or no longer fits. */
export async function currentOffer(
  duffel: Duffel,
  offerId: string,
  fit: { passengers: FlightSearch['passengers']; slices: number },
  nowMs: number,
  limits: CallLimits,
): Promise<CallAnswer<SupplierOffer>> {
  const answer = await duffel.searching.call({
    kind: 'read',
    timeoutMs: duffel.times.readTimeoutMs,
    limits,
    schema: z.unknown(),
    send: (api) => api.offers.get(offerId),
  })
  if (answer.kind === 'refused' && answer.code !== 'supplier-unauthorized') return offerUnavailable
  if (answer.kind !== 'succeeded') return answer
  const offer = readOffer(answer.value, fit)
  return offer && Date.parse(offer.expiresAt) > nowMs ? { kind: 'succeeded', value: offer } : offerUnavailable
}

/** The cheapest offer for the same flights in the same cabin, searched anew; refused `offer-unavailable` when there is none. */
export async function sameFlightsAgain(
  duffel: Duffel,
  journey: {
    outbound: Flight
    inbound: Flight | null
    cabinClass: CabinClass
    passengers: FlightSearch['passengers']
  },
  timeoutMs: number,
  limits: CallLimits,
): Promise<CallAnswer<SupplierOffer>> {
  const { outbound, inbound, cabinClass, passengers } = journey
  const request: FlightSearch = {
    origin: outbound.departure.airport,
    destination: outbound.arrival.airport,
    departureDate: outbound.departure.localTime.slice(0, 10),
    returnDate: inbound?.departure.localTime.slice(0, 10) ?? null,
    passengers,
    cabinClass,
  }
  const answer = await searchFlights(duffel, request, timeoutMs, limits)
  if (answer.kind !== 'succeeded') return answer
  const isWanted = (offer: SupplierOffer) => offer.cabinClass === cabinClass && isSameJourney(offer, outbound, inbound)
  const offer = answer.value.offers.find(isWanted)
  return offer ? { kind: 'succeeded', value: offer } : offerUnavailable
}

function searchParameters(request: FlightSearch, timeoutMs: number) {
  const anyTime = { arrival_time: null, departure_time: null }
  const { origin, destination, departureDate, returnDate, passengers } = request
  // Ages are not known yet. The client's types want them for minors; Duffel takes the type as well.
  const typed = (type: string, count: number) =>
    Array.from({ length: count }, () => ({ type }) as CreateOfferRequestPassenger)
  return {
    slices: [
      { origin, destination, departure_date: departureDate, ...anyTime },
      ...(returnDate ? [{ origin: destination, destination: origin, departure_date: returnDate, ...anyTime }] : []),
    ],
    passengers: [
      ...typed('adult', passengers.adults),
      ...typed('child', passengers.children),
      ...typed('infant_without_seat', passengers.infants),
    ],
    cabin_class: request.cabinClass,
    return_offers: true,
    supplier_timeout: Math.max(2_000, timeoutMs - SEARCH_MARGIN_MS),
  }
}
