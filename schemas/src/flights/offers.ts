/** Flights as we describe them to members, whatever the supplier. Times are true UTC with the local time beside them. */
import { z } from 'zod'
import { dateSchema, instantSchema } from '../envelope.ts'

export const cabinClassSchema = z.enum(['economy', 'premium_economy', 'business', 'first'])
export type CabinClass = z.infer<typeof cabinClassSchema>

export const passengerCountsSchema = z.object({
  adults: z.int().min(1).max(9),
  children: z.int().min(0).max(8),
  infants: z.int().min(0).max(9),
})

export const flightPointSchema = z.object({
  /** IATA airport code. */
  airport: z.string().length(3),
  /** UTC. */
  time: instantSchema,
  terminal: z.string().nullable(),
  /** Airport-local wall time, `YYYY-MM-DDTHH:MM:SS`. */
  localTime: z.string(),
  /** IANA zone of the airport. */
  timeZone: z.string(),
})

/** One slice (outbound or return); with connections it spans from the first departure to the last arrival. */
export const flightSchema = z.object({
  airline: z.string(),
  flightNumber: z.string(),
  departure: flightPointSchema,
  arrival: flightPointSchema,
  /** ISO 8601 duration of the whole slice. */
  duration: z.string(),
  /** Flight number and UTC departure of each segment: identifies the same flight in a later search. */
  segments: z.array(z.object({ flightNumber: z.string(), departureAt: instantSchema })).min(1),
})
export type Flight = z.infer<typeof flightSchema>

export const flightSearchSchema = z.object({
  origin: z.string().length(3),
  destination: z.string().length(3),
  departureDate: dateSchema,
  returnDate: dateSchema.nullable(),
  passengers: passengerCountsSchema,
  cabinClass: cabinClassSchema,
})
export type FlightSearch = z.infer<typeof flightSearchSchema>

/** An offer as the supplier's adapter returns it. */
export const supplierOfferSchema = z.object({
  supplier: z.literal('duffel'),
  supplierOfferId: z.string(),
  /** The supplier's passenger ids, in the order adults, children, infants. */
  supplierPassengerIds: z.array(z.string()),
  holdable: z.boolean(),
  expiresAt: instantSchema,
  supplierAmount: z.string(),
  supplierCurrency: z.string().length(3),
  outbound: flightSchema,
  inbound: flightSchema.nullable(),
  cabinClass: cabinClassSchema,
  /** Null when the supplier does not say. */
  availableSeats: z.int().nullable(),
})
export type SupplierOffer = z.infer<typeof supplierOfferSchema>
