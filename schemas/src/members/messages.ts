/**
 * A member's account with us: which movement of loyalty currency is open, and what is owed.
 * At most one movement per member is open or unknown at a time, so that a balance comparison means something.
 * The ledger is derived from these events.
 */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { type EventOf, event } from '../event-catalogue.ts'

const movement = {
  /** `<bookingId>:<step>:<attempt>` */
  movementId: z.string(),
  bookingId: z.string(),
  memberId: z.string(),
  kind: z.enum(['deduction', 'refund']),
  /** Whole units of `currency`, always positive; the kind gives the direction. */
  amount: z.int().positive(),
  currency: z.string(),
}

export const memberEvents = {
  /** The claim of a movement. Nothing has been sent to the partner yet. */
  MovementOpened: event(z.object({ ...movement, executionId: z.uuid(), at: instantSchema })),
  /** The balance the partner gave under the claim. Without this event no call was or will be made for the movement. */
  BalanceRecorded: event(
    z.object({ movementId: z.string(), balance: z.int(), readAt: instantSchema, at: instantSchema }),
  ),
  /** The partner moved the amount. `transactionId` is the deduction's or refund's id, null when only the balance told. */
  MovementSettled: event(z.object({ ...movement, transactionId: z.string().nullable(), at: instantSchema })),
  MovementVoided: event(z.object({ movementId: z.string(), reason: z.string(), at: instantSchema })),
  MovementUnknown: event(z.object({ movementId: z.string(), at: instantSchema })),
  /** The programme owes the member an amount that no partner call can give back. */
  RefundOwed: event(
    z.object({
      bookingId: z.string(),
      memberId: z.string(),
      amount: z.int().positive(),
      currency: z.string(),
      at: instantSchema,
    }),
  ),
  /** An operator recorded that the owed amount was given back outside. */
  OwedRefundSettled: event(
    z.object({
      bookingId: z.string(),
      memberId: z.string(),
      amount: z.int().positive(),
      currency: z.string(),
      by: z.string(),
      reason: z.string().max(500),
      at: instantSchema,
    }),
  ),
} as const

export type MemberEvent = EventOf<typeof memberEvents>
