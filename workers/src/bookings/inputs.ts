/** What the process manager gives each step of a booking to work with. Anything else in an input is ignored. */
import {
  bookedOfferSchema,
  bookedPassengerSchema,
  priceSchema,
  sealedSchema,
} from '@portolan/schemas/bookings/messages.ts'
import { z } from 'zod'

const subject = { bookingId: z.string(), memberId: z.string() }
const passengers = z.array(bookedPassengerSchema).min(1).max(9)

const ordering = {
  ...subject,
  supplierOfferId: z.string(),
  supplierAmount: z.string(),
  supplierCurrency: z.string().length(3),
  passengers,
  contactSealed: sealedSchema,
  personId: z.string(),
}

export const recheckFareInput = z.object({ ...subject, offer: bookedOfferSchema, price: priceSchema })
export const placeHoldInput = z.object(ordering)
export const issueTicketsInput = z.object({ ...ordering, orderId: z.string().nullable() })
export const cancelOrderInput = z.object({ ...subject, orderId: z.string() })
export const deductInput = z.object({ ...subject, amount: z.int(), description: z.string() })
export const refundInput = z.object({ ...subject, transactionId: z.string(), amount: z.int(), reason: z.string() })
export const orderLookupInput = z.object({
  ...subject,
  of: z.string(),
  orderId: z.string().nullable(),
  passengers,
  personId: z.string(),
})
export const movementLookupInput = z.object({ ...subject, of: z.string(), movementId: z.string() })
