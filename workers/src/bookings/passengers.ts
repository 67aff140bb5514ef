/** Passengers of a booking with their details opened, for the moment of a supplier call; never kept, logged or queued. */
import type { SealedField, Unseal } from '@portolan/infra/http/unseal-client.ts'
import { type bookedPassengerSchema, passengerDetailsSchema } from '@portolan/schemas/bookings/messages.ts'
import type { z } from 'zod'
import type { OrderPassenger } from '../flights/duffel-orders.ts'

export interface SealedPassengers {
  passengers: readonly z.infer<typeof bookedPassengerSchema>[]
  personId: string
}

/**
 * Opens all of them, in order; null when the person was forgotten.
 * Throws a ServiceFault when command-api cannot open them now.
 */
export async function openPassengers(
  unseal: Unseal,
  tenantId: string,
  { passengers, personId }: SealedPassengers,
  correlationId: string,
): Promise<OrderPassenger[] | null> {
  const fields: SealedField[] = passengers.map(({ sealed }) => ({ personId, sealed }))
  const opened = await unseal(tenantId, fields, correlationId)
  const result: OrderPassenger[] = []
  for (const [index, { supplierPassengerId, type, withAdultIndex }] of passengers.entries()) {
    const field = opened[index]
    if (!field || field.gone) return null
    result.push({ supplierPassengerId, type, withAdultIndex, details: passengerDetailsSchema.parse(field.value) })
  }
  return result
}
