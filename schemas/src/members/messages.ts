/**
 * A member's account with us: which movement of loyalty currency is open, what is owed, and that the person was forgotten.
 * At most one movement per member is open or unknown at a time, so that a balance comparison means something.
 * The ledger is derived from these events.
 */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { type EventOf, event } from '../event-catalogue.ts'

export const forgetReasonSchema = z.enum([
  'requested-by-member',
  'requested-by-programme',
  'membership-ended',
  'retention-ended',
  'legal-order',
])
export type ForgetReason = z.infer<typeof forgetReasonSchema>

/** Too narrow for a sentence, an address or a telephone number. */
export const forgetReferenceSchema = z.string().regex(/^[A-Z]{1,10}-[0-9]{1,12}$/, 'Must look like DSR-2041')

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

/** An amount that stands open between the programme and a member because of a booking. */
const claim = {
  bookingId: z.string(),
  memberId: z.string(),
  amount: z.int().positive(),
  currency: z.string(),
}
const audited = { by: z.string(), reason: z.string().max(500) }

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
  /** The movement stands settled, but never happened: its entries in the ledger are taken back. */
  MovementCorrected: event(z.object({ ...movement, ...audited, at: instantSchema })),
  /** What was thought to be owed is not: it had been given back, or never been taken. */
  OwedRefundCancelled: event(z.object({ ...claim, ...audited, at: instantSchema })),
  /** The member has what they did not pay for: a ticket without a deduction, or an amount that was given back twice. */
  RecoveryDue: event(z.object({ ...claim, at: instantSchema })),
  /** recovered: an operator recorded that the member paid outside. waived: the programme bears it, or the ticket was given up. */
  RecoverySettled: event(z.object({ ...claim, how: z.enum(['recovered', 'waived']), ...audited, at: instantSchema })),
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
  /** The store was restored to an earlier point, and Kafka held events of this member that it does not know. */
  AccountHistoryLost: event(z.object({ generation: z.int().min(2), lostEvents: z.int().min(1), at: instantSchema })),
  /** An operator has looked at what was lost before a deduction of this member was made or refused. */
  AccountHistoryReviewed: event(z.object({ by: z.string(), at: instantSchema })),
  /** The person's key was deleted, and everything it sealed is blank. Holds no free text: somebody would write a name into it. */
  PersonForgotten: event(
    z.object({
      personId: z.string(),
      /** Stands in every value the key sealed; what the member gives later is sealed with another. */
      keyId: z.string(),
      reason: forgetReasonSchema,
      /** Of the request for it, in the operators' own files. */
      reference: forgetReferenceSchema.nullable(),
      by: z.string(),
      at: instantSchema,
    }),
  ),
} as const

export type MemberEvent = EventOf<typeof memberEvents>
