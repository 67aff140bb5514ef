/** `POST /api/v1/flights/search`: asks the suppliers through the lookup port, prices the offers for the tenant and keeps them to be booked. */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { parseInput } from '@portolan/infra/http/problem.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { flightSearchAnswerSchema } from '@portolan/schemas/flights/lookups.ts'
import type { FlightSearch, SupplierOffer } from '@portolan/schemas/flights/offers.ts'
import {
  cabinClassNotSupported,
  departureNotInFuture,
  type FlightView,
  isFutureDate,
  type SearchResponse,
  searchRequestSchema,
  sliceView,
  toFlightSearch,
} from '@portolan/schemas/flights/views.ts'
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'
import { Router } from 'express'
import type { Pool } from 'pg'
import { type MemberGuard, type MemberRequest, memberRequest } from '../member-request.ts'
import { type StoredOffer, storeOffers } from './offers.ts'
import { type ExchangeRates, loyaltyUnits, priceInCents } from './pricing.ts'

export interface FlightSearchDeps {
  pool: Pool
  lookups: ServiceClient
  now: () => string
  newId: (prefix: string) => string
  rates: ExchangeRates
  /** How long suppliers may take to answer a search. */
  searchDeadlineMs: number
  logger: Logger
}

/** Rejects: validation-error, invalid-cabin-class, partner-unavailable, partner-timeout. */
export function createFlightRoutes(deps: FlightSearchDeps, members: MemberGuard): Router {
  const routes = Router()
  routes.post('/api/v1/flights/search', ...members('auth-failed', 'invalid-member'), async (req, res) => {
    const startedAt = performance.now()
    const member = memberRequest(res)
    const request = parseInput(searchRequestSchema, req.body)
    if (!isFutureDate(request.departure_date, deps.now())) {
      throw new Rejection('validation-error', departureNotInFuture.detail, { errors: departureNotInFuture.errors })
    }
    const search = toFlightSearch(request)
    if (!member.tenant.rules.allowedCabins.includes(search.cabinClass)) {
      throw new Rejection('invalid-cabin-class', cabinClassNotSupported)
    }
    const offers = await searchSuppliers(deps, member, search)
    const searchId = deps.newId('src')
    const priced = offers.flatMap((offer) => priceOffer(deps, member.tenant, search, searchId, offer))
    const stored = priced.map((flight) => flight.stored)
    await storeOffers(deps.pool, member.tenant.tenantId, member.memberId, stored)
    const answer: SearchResponse = {
      data: {
        search_id: searchId,
        flights: priced.map(({ view }) => view),
        metadata: { total_results: priced.length, search_time_ms: Math.round(performance.now() - startedAt) },
      },
    }
    res.status(200).json(answer)
  })
  return routes
}

async function searchSuppliers(
  deps: FlightSearchDeps,
  member: MemberRequest,
  search: FlightSearch,
): Promise<SupplierOffer[]> {
  const { correlationId, mockError } = member
  const body = {
    tenantId: member.tenant.tenantId,
    correlationId,
    mockError,
    search,
    deadlineMs: deps.searchDeadlineMs,
  }
  const answer = await deps.lookups.post('/internal/lookups/flight-search', body, {
    correlationId,
    timeoutMs: deps.searchDeadlineMs + 1000,
  })
  return flightSearchAnswerSchema.parse(answer).offers
}

/** One offer with its price for this tenant; none where no exchange rate is configured. */
function priceOffer(
  deps: FlightSearchDeps,
  tenant: TenantSettings,
  search: FlightSearch,
  searchId: string,
  found: SupplierOffer,
): { stored: StoredOffer; view: FlightView }[] {
  const fare = priceInCents(found, deps.rates)
  if (!fare) {
    deps.logger.warn('fare left out: no exchange rate', { currency: found.supplierCurrency, tenantId: tenant.tenantId })
    return []
  }
  const flightId = deps.newId('flt')
  const { availableSeats, supplierPassengerIds, ...offer } = found
  const price = {
    amountMinor: fare.amountMinor,
    currency: 'USD' as const,
    loyaltyAmount: loyaltyUnits(fare.amountMinor, tenant.currency),
    loyaltyCurrency: tenant.currency.name,
  }
  const stored: StoredOffer = {
    offer: {
      ...offer,
      flightId,
      searchId,
      supplierPassengerIds,
      conversion: fare.conversion,
      passengerCounts: search.passengers,
    },
    price,
  }
  const view: FlightView = {
    id: flightId,
    ...sliceView(found.outbound),
    price: {
      amount: price.amountMinor,
      currency: 'USD',
      loyalty_amount: price.loyaltyAmount,
      loyalty_currency: price.loyaltyCurrency,
    },
    available_seats: availableSeats,
    cabin_class: found.cabinClass,
    ...(found.inbound ? { return: sliceView(found.inbound) } : {}),
  }
  return [{ stored, view }]
}
