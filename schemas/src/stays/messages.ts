/** Properties and their reservations as events. Descriptions are the host's words; of a guest nothing is known but the hash of a token. */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { type EventOf, event } from '../event-catalogue.ts'
import { printable } from '../text.ts'
import { daySchema, NIGHTS_MAX } from './periods.ts'

/** Given by whoever imports them, or a UUIDv7 of ours. */
export const propertyIdSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)

/** What a guest can search by; null where the host has not said. */
const propertyFacts = {
  description: z
    .string()
    .min(1)
    .max(2000)
    .regex(...printable),
  capacity: z.int().min(1).max(1000).nullable(),
  nightlyPrice: z.object({ amountMinor: z.int().min(0), currency: z.string().regex(/^[A-Z]{3}$/) }).nullable(),
  location: z.object({ latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) }).nullable(),
}
export const propertyFactsSchema = z.object(propertyFacts)
export type PropertyFacts = z.infer<typeof propertyFactsSchema>

const reservation = {
  reservationId: z.uuid(),
  propertyId: z.string(),
  startDate: daySchema,
  nights: z.int().min(1).max(NIGHTS_MAX),
}

export const stayEvents = {
  PropertyRegistered: event(z.object({ propertyId: propertyIdSchema, ...propertyFacts, at: instantSchema })),
  PropertyDescribed: event(z.object({ propertyId: propertyIdSchema, ...propertyFacts, at: instantSchema })),
  /** Takes no reservations any more; those that it has stand. */
  PropertyRetired: event(z.object({ propertyId: propertyIdSchema, at: instantSchema })),
  /** holder: SHA-256 of the token that reserved, base64url; null for what was imported, which nobody can cancel by token. */
  StayReserved: event(z.object({ ...reservation, holder: z.string().nullable(), at: instantSchema })),
  StayDatesChanged: event(z.object({ ...reservation, at: instantSchema })),
  StayCancelled: event(z.object({ ...reservation, at: instantSchema })),
} as const

export type StayEvent = EventOf<typeof stayEvents>
