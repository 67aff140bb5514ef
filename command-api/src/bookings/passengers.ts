/** From the passengers of a request to what is sealed into a booking: checked against the search, phones in E.164, infants attached. */
import type { BookedOffer, ContactDetails, PassengerDetails } from '@portolan/schemas/bookings/messages.ts'
import { type CreateBookingRequest, genderOf, type PassengerRequest } from '@portolan/schemas/bookings/views.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'

export interface PassengerToSeal {
  type: PassengerRequest['type']
  supplierPassengerId: string
  withAdultIndex: number | null
  details: PassengerDetails
}

type FieldError = { field: string; message: string }

/**
 * The passengers in the request's order, each with the supplier's passenger id of its type and, for infants, the adult they travel with.
 * Rejects: validation-error when counts or types differ from the search, or a phone number is impossible.
 */
export function passengersToSeal(request: CreateBookingRequest, offer: BookedOffer): PassengerToSeal[] {
  const errors = [...countErrors(request.passengers, offer)]
  const contact = contactToSeal(request, errors)
  const ids = supplierIdsByType(offer)
  const adultIndexes = request.passengers.flatMap((p, index) => (p.type === 'adult' ? [index] : []))
  let infants = 0
  const passengers = request.passengers.map((passenger, index) => ({
    type: passenger.type,
    supplierPassengerId: ids[passenger.type].shift() ?? '',
    withAdultIndex: passenger.type === 'infant' ? (adultIndexes[infants++] ?? null) : null,
    details: detailsOf(passenger, index, contact, errors),
  }))
  refuseAny(errors)
  return passengers
}

/** The contact with its phone in E.164. Rejects: validation-error. */
export function contactDetails(request: CreateBookingRequest): ContactDetails {
  const errors: FieldError[] = []
  const contact = contactToSeal(request, errors)
  refuseAny(errors)
  return contact
}

function contactToSeal(request: CreateBookingRequest, errors: FieldError[]): ContactDetails {
  return { email: request.contact.email, phone: e164(request.contact.phone, 'contact.phone', errors) }
}

function detailsOf(
  passenger: PassengerRequest,
  index: number,
  contact: ContactDetails,
  errors: FieldError[],
): PassengerDetails {
  return {
    title: passenger.title,
    gender: genderOf(passenger),
    firstName: passenger.first_name,
    lastName: passenger.last_name,
    dateOfBirth: passenger.date_of_birth,
    email: passenger.email ?? contact.email,
    phone: passenger.phone ? e164(passenger.phone, `passengers.${index}.phone`, errors) : contact.phone,
  }
}

/** Numbers without a country code count as North American, like the contract's examples. */
function e164(phone: string, field: string, errors: FieldError[]): string {
  const parsed = parsePhoneNumberFromString(phone, 'US')
  if (!parsed?.isPossible()) errors.push({ field, message: 'Must be a possible phone number' })
  return parsed?.number ?? ''
}

function countErrors(passengers: readonly PassengerRequest[], offer: BookedOffer): FieldError[] {
  const { adults, children, infants } = offer.passengerCounts
  const count = (type: PassengerRequest['type']) => passengers.filter((p) => p.type === type).length
  const same = count('adult') === adults && count('child') === children && count('infant') === infants
  if (same) return []
  const searched = `${adults} adult(s), ${children} child(ren), ${infants} infant(s)`
  return [{ field: 'passengers', message: `Must match the search: ${searched}` }]
}

/** The supplier numbers passengers in the order adults, children, infants. */
function supplierIdsByType(offer: BookedOffer): Record<PassengerRequest['type'], string[]> {
  const { adults, children } = offer.passengerCounts
  const ids = offer.supplierPassengerIds
  return {
    adult: ids.slice(0, adults),
    child: ids.slice(adults, adults + children),
    infant: ids.slice(adults + children),
  }
}

function refuseAny(errors: FieldError[]): void {
  const [first] = errors
  if (first) throw new Rejection('validation-error', `${first.field}: ${first.message}`, { errors })
}
