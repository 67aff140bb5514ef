/** From the passengers of a request to what is sealed into a booking: checked against the search and their ages, phones in E.164, infants attached. */
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
 * today: YYYY-MM-DD in UTC.
 * Rejects: validation-error when counts or types differ from the search, an age does not fit its type, or a phone number is impossible.
 */
export function passengersToSeal(request: CreateBookingRequest, offer: BookedOffer, today: string): PassengerToSeal[] {
  const errors = [...countErrors(request.passengers, offer), ...ageErrors(request.passengers, offer, today)]
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

/**
 * Ages in whole years on the day of the last flight, as airlines sell seats. Checked here because the supplier refuses what does not fit,
 * and by then the member may have paid.
 */
const agesByType = {
  adult: { least: 12, most: 150, message: 'An adult must be at least 12 years old on the day of the last flight' },
  child: { least: 2, most: 17, message: 'A child must be 2 to 17 years old on the day of the last flight' },
  infant: { least: 0, most: 1, message: 'An infant must be under 2 years old on the day of the last flight' },
} as const

function ageErrors(passengers: readonly PassengerRequest[], offer: BookedOffer, today: string): FieldError[] {
  const lastFlightDate = (offer.inbound ?? offer.outbound).departure.localTime.slice(0, 10)
  return passengers.flatMap(({ type, date_of_birth: born }, index) => {
    const field = `passengers.${index}.date_of_birth`
    if (born > today) return [{ field, message: 'Must not be in the future' }]
    const { least, most, message } = agesByType[type]
    const age = yearsBetween(born, lastFlightDate)
    return age < least || age > most ? [{ field, message }] : []
  })
}

/** Whole years between two days, both YYYY-MM-DD. */
function yearsBetween(born: string, date: string): number {
  const years = Number(date.slice(0, 4)) - Number(born.slice(0, 4))
  return date.slice(5) < born.slice(5) ? years - 1 : years
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
