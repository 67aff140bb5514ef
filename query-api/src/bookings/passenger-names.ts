/** Passengers' names for one answer: opened at command-api, kept nowhere else. */
import type { Unseal } from '@portolan/infra/http/unseal-client.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { passengerDetailsSchema } from '@portolan/schemas/bookings/messages.ts'
import type { BookingDetails } from '@portolan/schemas/bookings/read-models.ts'
import { Rejection } from '@portolan/schemas/errors.ts'

/** The names in the order of the passengers, '' for a person who was forgotten. Rejects: unavailable when they cannot be opened. */
export type PassengerNames = (tenantId: string, details: BookingDetails, correlationId: string) => Promise<string[]>

export function createPassengerNames(deps: { unseal: Unseal; logger: Logger }): PassengerNames {
  return async (tenantId, { bookingId, personId, passengers }, correlationId) => {
    try {
      const sealed = passengers.map((passenger) => ({ personId, sealed: passenger.sealed }))
      const opened = await deps.unseal(tenantId, sealed, correlationId)
      return opened.map((field) => {
        if (field.gone) return ''
        const { firstName, lastName } = passengerDetailsSchema.parse(field.value)
        return `${firstName} ${lastName}`
      })
    } catch (error) {
      // A detail without its names would be a wrong answer, not a poorer one.
      deps.logger.error('passenger names not opened', { tenantId, bookingId, correlationId, error })
      throw new Rejection('unavailable', 'The passengers cannot be shown at the moment', { retry_after: 1 })
    }
  }
}
