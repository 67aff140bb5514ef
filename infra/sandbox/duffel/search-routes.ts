/** `/air/offer_requests` and `/air/offers`. */
import type { Answer, Call, Outcome } from '../sandbox-server.ts'
import { DuffelRefusal } from './errors.ts'
import { createOfferRequest, currentTotalMinor, type OfferRecord } from './offers.ts'
import { pageOf } from './paging.ts'
import { findIn, type Store } from './store.ts'
import { wireOffer, wireOfferRequest, withoutServices } from './wire.ts'

/** Handlers of the search operations; each throws DuffelRefusal for what it refuses. */
export function searchHandlers(store: Store) {
  const { settings } = store
  return {
    createOfferRequest: async (call: Call, data: Record<string, unknown>): Promise<Outcome> => {
      const request = createOfferRequest(data, store.newId, settings.now(), settings)
      if (request.trigger === 'search-timeout') {
        await store.sleep(settings.slowMs)
        throw new DuffelRefusal('gateway_timeout_error')
      }
      if (request.trigger === 'slow') await slowSearch(store, call, request)
      store.addRequest(request)
      store.effects['offer_requests.create'] = (store.effects['offer_requests.create'] ?? 0) + 1
      const withOffers = call.query.get('return_offers') !== 'false'
      return { status: 201, body: { data: wireOfferRequest(request, withOffers) } }
    },

    getOfferRequest: ({ params }: Call): Answer => {
      const request = findIn(store.requests, params.id)
      return { status: 200, body: { data: wireOfferRequest(request, true) } }
    },

    listOffers: ({ query }: Call): Answer => {
      const requestId = query.get('offer_request_id')
      if (requestId === null) throw new DuffelRefusal('validation_required', { pointer: '/offer_request_id' })
      const request = store.requests.get(requestId)
      if (!request) throw new DuffelRefusal('linked_record_not_found', { pointer: '/offer_request_id' })
      const maxConnections = Number(query.get('max_connections') ?? 9)
      const offers = request.offers
        .filter(({ itineraries }) => itineraries.every(({ flights }) => flights.length - 1 <= maxConnections))
        .toSorted(orderBy(query.get('sort')))
      const { data, meta } = pageOf(offers, query, ({ id }) => id)
      return { status: 200, body: { data: data.map(withoutServices), meta } }
    },

    getOffer: ({ params }: Call): Answer => {
      const offer = findIn(store.offers, params.id)
      if (settings.now() >= offer.expiresAt || offer.request.trigger === 'offer-gone')
        throw new DuffelRefusal('offer_no_longer_available')
      offer.readCount += 1
      return { status: 200, body: { data: wireOffer(offer) } }
    },

    /** Makes one offer expire now, for tests. */
    expireOffer: ({ params }: Call): Answer => {
      const offer = store.offers.get(params.id ?? '')
      if (!offer) return { status: 404, body: { error: 'no such offer' } }
      offer.expiresAt = settings.now()
      return { status: 204 }
    },
  }
}

/** A slow airline: with a shorter `supplier_timeout` the search answers in time, without its offers. */
async function slowSearch(store: Store, call: Call, request: { offers: OfferRecord[] }): Promise<void> {
  const given = Number(call.query.get('supplier_timeout'))
  // Duffel ignores values outside 2 to 60 seconds and then waits 20.
  const supplierTimeoutMs = given >= 2_000 && given <= 60_000 ? given : 20_000
  await store.sleep(Math.min(store.settings.slowMs, supplierTimeoutMs))
  if (store.settings.slowMs > supplierTimeoutMs) request.offers = []
}

function orderBy(sort: string | null): (a: OfferRecord, b: OfferRecord) => number {
  const direction = sort?.startsWith('-') ? -1 : 1
  const minutes = ({ itineraries }: OfferRecord) => itineraries.reduce((sum, itinerary) => sum + itinerary.minutes, 0)
  switch (sort?.replace(/^-/, '')) {
    case undefined:
      return (a, b) => (a.id < b.id ? -1 : 1)
    case 'total_amount':
      return (a, b) => direction * (currentTotalMinor(a) - currentTotalMinor(b))
    case 'total_duration':
      return (a, b) => direction * (minutes(a) - minutes(b))
    default:
      throw new DuffelRefusal('validation_inclusion', { pointer: '/sort' })
  }
}
