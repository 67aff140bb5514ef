/** What workers report as the `result` of each booking step that succeeded. Validated by the decider; workers type their handlers by it. */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'

const ticketSchema = z.object({
  passengerIndex: z.int().min(0),
  ticketNumber: z.string(),
  seat: z.string().nullable(),
})

/** An order as the supplier describes it when looked up. */
export const lookedUpOrderSchema = z.object({
  orderId: z.string(),
  bookingReference: z.string().nullable(),
  cancelled: z.boolean(),
  awaitingPayment: z.boolean(),
  payBy: instantSchema.nullable(),
  tickets: z.array(ticketSchema).max(9),
  /** What a cancellation cost, in minor units of `currency`; 0 while the order stands. */
  penaltyMinor: z.int().min(0),
  currency: z.string().length(3),
  /** What the order costs, a decimal amount as the supplier prints it; to be compared with what was offered. */
  totalAmount: z.string(),
  totalCurrency: z.string().length(3),
})
export type LookedUpOrder = z.infer<typeof lookedUpOrderSchema>

const orderLookupResult = z.discriminatedUnion('found', [
  z.object({ found: z.literal(false) }),
  z.object({ found: z.literal(true), order: lookedUpOrderSchema }),
])

export const stepResults = {
  'recheck-fare': z.object({
    supplierOfferId: z.string(),
    supplierPassengerIds: z.array(z.string()).max(9),
    holdable: z.boolean(),
    expiresAt: instantSchema,
    supplierAmount: z.string(),
    supplierCurrency: z.string().length(3),
    /** The member's balance, whole units. */
    balance: z.int(),
  }),
  'place-hold': z.object({ orderId: z.string(), bookingReference: z.string().nullable(), payBy: instantSchema }),
  deduct: z.object({ transactionId: z.string(), balanceAfter: z.int() }),
  'issue-tickets': z.object({
    orderId: z.string(),
    bookingReference: z.string().nullable(),
    tickets: z.array(ticketSchema).max(9),
  }),
  'cancel-order': z.object({ orderId: z.string(), penaltyMinor: z.int().min(0), currency: z.string().length(3) }),
  refund: z.object({ refundId: z.string() }),
  'poll-order': orderLookupResult,
  'reconcile-order': orderLookupResult,
  'reconcile-movement': z.object({ balance: z.int(), readAt: instantSchema }),
} as const

/** Result of an accepted order, where the supplier named it already. */
export const acceptedOrderSchema = z.object({ orderId: z.string() })

/** Result of a refused deduction with code insufficient-balance. */
export const insufficientBalanceSchema = z.object({ available: z.int() })
