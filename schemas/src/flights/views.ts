/**
 * The loyalty API's flight search as clients see it (contracts/loyalty-api.md 3.1).
 *
 * Unknown request fields: the reference is silent, so they are ignored here (our own routes refuse them).
 * Clock-dependent rules (a future departure) take the instant as an argument; what a tenant allows is the route's rule.
 */
import { z } from 'zod'
import { dateSchema, instantSchema } from '../envelope.ts'
import { cabinClassSchema, type Flight, type FlightSearch } from './offers.ts'

/** IATA code in any case; parsed to upper case. */
const airportSchema = z
  .string()
  .regex(/^[A-Za-z]{3}$/, 'Must be a 3-letter IATA code')
  .toUpperCase()

const seatsSchema = z.object({
  adults: z.int().min(1).max(9),
  children: z.int().min(0).max(8).default(0),
  infants: z.int().min(0).max(9).default(0),
})

/** Body of `POST /flights/search`. `children` and `infants` count as 0 when absent. */
export const searchRequestSchema = z
  .object({
    origin: airportSchema,
    destination: airportSchema,
    departure_date: dateSchema,
    return_date: dateSchema.nullish(),
    passengers: seatsSchema,
    cabin_class: cabinClassSchema.default('economy'),
    currency: z.literal('USD').default('USD'),
  })
  .superRefine((search, refusal) => {
    const refuse = (field: string[], message: string) => refusal.addIssue({ code: 'custom', path: field, message })
    const { adults, children, infants } = search.passengers
    if (search.origin === search.destination) refuse(['destination'], 'Must differ from origin')
    if (search.return_date && search.return_date < search.departure_date)
      refuse(['return_date'], 'Must be on or after departure_date')
    if (infants > adults) refuse(['passengers', 'infants'], 'Must not exceed the number of adults')
    if (adults + children + infants > 9) refuse(['passengers'], 'Must not exceed 9 in total')
  })
  .meta({ id: 'FlightSearchRequest' })
export type SearchRequest = z.output<typeof searchRequestSchema>

/** The documented answer to a departure that is not in the future: detail and `errors` of a `validation-error`. */
export const departureNotInFuture = {
  detail: 'departure_date must be in the future',
  errors: [{ field: 'departure_date', message: 'Must be a future date' }],
} as const

/** The documented detail of `invalid-cabin-class`. */
export const cabinClassNotSupported = 'This tenant does not support the requested cabin class'

/** Whether `departureDate` (YYYY-MM-DD) lies after the UTC day of `now` (ISO instant). Today is not a future date. */
export function isFutureDate(departureDate: string, now: string): boolean {
  return departureDate > now.slice(0, 10)
}

/** The request in our own language. */
export function toFlightSearch(request: SearchRequest): FlightSearch {
  return {
    origin: request.origin,
    destination: request.destination,
    departureDate: request.departure_date,
    returnDate: request.return_date ?? null,
    passengers: request.passengers,
    cabinClass: request.cabin_class,
  }
}

/** `time` is true UTC; `local_time` and `time_zone` are our extension and always sent. */
export const flightPointViewSchema = z
  .object({
    airport: z.string().length(3),
    time: instantSchema,
    terminal: z.string().nullable(),
    local_time: z.string().optional().meta({ description: 'Airport-local wall time (extension)' }),
    time_zone: z.string().optional().meta({ description: 'IANA zone of the airport (extension)' }),
  })
  .meta({ id: 'FlightPoint' })
export type FlightPointView = z.infer<typeof flightPointViewSchema>

/** Loyalty amounts are whole units, except coins (at most 2 decimals). */
export const loyaltyAmountSchema = z.number().min(0)

export const flightPriceViewSchema = z
  .object({
    amount: z.int().min(0).meta({ description: 'Integer US cents' }),
    currency: z.literal('USD'),
    loyalty_amount: loyaltyAmountSchema,
    loyalty_currency: z.string(),
  })
  .meta({ id: 'FlightPrice' })

const sliceShape = {
  airline: z.string(),
  flight_number: z.string(),
  departure: flightPointViewSchema,
  arrival: flightPointViewSchema,
  duration: z.string().regex(/^P/).meta({ description: 'ISO 8601 duration of the whole slice', example: 'PT5H30M' }),
}

/** The return slice of a return trip (extension). */
export const returnSliceViewSchema = z.object(sliceShape).meta({ id: 'ReturnSlice' })

export const flightViewSchema = z
  .object({
    id: z.string().startsWith('flt_'),
    ...sliceShape,
    price: flightPriceViewSchema,
    available_seats: z.int().min(0).nullable(),
    cabin_class: cabinClassSchema,
    return: returnSliceViewSchema.optional(),
  })
  .meta({ id: 'Flight' })
export type FlightView = z.infer<typeof flightViewSchema>

/** 200 of `POST /flights/search`. `total_results` counts matches, not the page. */
export const searchResponseSchema = z
  .object({
    data: z.object({
      search_id: z.string().startsWith('src_'),
      flights: z.array(flightViewSchema),
      metadata: z.object({ total_results: z.int().min(0), search_time_ms: z.int().min(0) }),
    }),
  })
  .meta({ id: 'FlightSearchResponse' })
export type SearchResponse = z.infer<typeof searchResponseSchema>

/** One of our slices (outbound or return) with the names of the wire. */
export function sliceView(flight: Flight): z.infer<typeof returnSliceViewSchema> {
  return {
    airline: flight.airline,
    flight_number: flight.flightNumber,
    departure: pointView(flight.departure),
    arrival: pointView(flight.arrival),
    duration: flight.duration,
  }
}

function pointView(point: Flight['departure']): FlightPointView {
  return {
    airport: point.airport,
    time: point.time,
    terminal: point.terminal,
    local_time: point.localTime,
    time_zone: point.timeZone,
  }
}
