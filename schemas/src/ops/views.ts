/**
 * What operators send and see below `/ops/`. Our own routes: camelCase, unknown fields are refused, lists are keyset-paged,
 * errors are bare problem documents. A booking is named by tenant and id, as everywhere.
 */
import { z } from 'zod'
import { bookingStatusSchema } from '../bookings/statuses.ts'
import { dateSchema, instantSchema, queriedDateSchema } from '../envelope.ts'
import { forgetReasonSchema, forgetReferenceSchema } from '../members/messages.ts'
import { printable } from '../text.ts'

const reasonSchema = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(...printable)
  .meta({ description: 'Kept in the audit trail, in clear: it should name nobody' })
/** An id as the other side's records show it. */
const foreignIdSchema = z.string().regex(/^[\x21-\x7e]{1,100}$/, 'Must be 1 to 100 printable ASCII characters')

// --- Commands ---

/** Path parameters of every operator command and of the detail. */
export const opsBookingParamsSchema = z.object({
  tenantId: z.string().regex(/^[a-z0-9-]{2,40}$/),
  bookingId: z.string().min(1).max(100),
})

/** Body of `…/approve`; nothing to say. An absent body parses like `{}`. */
export const approveRequestSchema = z.strictObject({}).prefault({}).meta({ id: 'ApproveBooking' })

export const rejectRequestSchema = z.strictObject({ reason: reasonSchema }).meta({ id: 'RejectBooking' })

/** What the other side's records say, where an operator found it. */
const otherSidesIds = {
  transactionId: foreignIdSchema.optional(),
  orderId: foreignIdSchema.optional(),
  bookingReference: z
    .string()
    .regex(/^[A-Za-z0-9]{1,20}$/, 'Must be 1 to 20 letters or digits')
    .optional(),
  tickets: z
    .array(
      z.strictObject({
        passengerIndex: z.int().min(0).max(8),
        ticketNumber: z.string().regex(/^\d{13}$/, 'Must be 13 digits'),
        seat: z
          .string()
          .regex(/^[A-Za-z0-9]{1,5}$/, 'Must be 1 to 5 letters or digits')
          .nullable()
          .default(null),
      }),
    )
    .max(9)
    .optional(),
}

/**
 * An operator's decision about the call whose outcome nobody knows.
 * happened / did-not-happen: what was found at the partner or supplier; retry: it did not happen and may be called again;
 * owe: the refund cannot be made by a call, the amount is owed.
 * step and attempt: what the operator saw in the queue, both or neither; when something else waits by now the decision is refused.
 * The ids are what the other side's records say; each is optional because each may be unknown.
 */
export const decideOutcomeRequestSchema = z
  .strictObject({
    decision: z.enum(['happened', 'did-not-happen', 'retry', 'owe']),
    reason: reasonSchema,
    step: z.string().min(1).max(50).optional().meta({ example: 'deduct' }),
    attempt: z.int().min(1).optional(),
    ...otherSidesIds,
  })
  .refine(({ step, attempt }) => (step === undefined) === (attempt === undefined), {
    path: ['attempt'],
    message: 'step and attempt belong together',
  })
  .meta({ id: 'DecideOutcome' })

/** In whole units, as it was seen in the ledger: it may have changed meanwhile, and then nothing is settled. */
const seenAmountSchema = z
  .int()
  .positive()
  .meta({ description: 'The amount that stands open, as it was seen', example: 35_000 })

/** The owed amount was given back outside; `reason` says how. */
export const settleRefundRequestSchema = z
  .strictObject({ amount: seenAmountSchema, reason: reasonSchema })
  .meta({ id: 'SettleRefund' })

/**
 * What was concluded about an attempt, by a decision or by machines, was wrong. happened: what is now known; the ids as for a decision.
 * What stands already changes nothing, and answers a report that disputes it.
 * The ledger gets compensating entries; what is to be given back is refunded or owed, what the member has too much is to be recovered.
 */
export const correctOutcomeRequestSchema = z
  .strictObject({
    step: z.string().min(1).max(50).meta({ example: 'deduct' }),
    attempt: z.int().min(1),
    happened: z.boolean(),
    reason: reasonSchema,
    ...otherSidesIds,
  })
  .meta({ id: 'CorrectOutcome' })

/** What a member had without paying came in outside, or the programme bears it; `reason` says how or why. */
export const settleRecoveryRequestSchema = z
  .strictObject({ how: z.enum(['recovered', 'waived']), amount: seenAmountSchema, reason: reasonSchema })
  .meta({ id: 'SettleRecovery' })

/** 200 of every operator command: where the booking stands after it. */
export const opsCommandAnswerSchema = z
  .object({ tenantId: z.string(), bookingId: z.string(), status: bookingStatusSchema })
  .meta({ id: 'OpsCommandAnswer' })
export type OpsCommandAnswer = z.infer<typeof opsCommandAnswerSchema>

// --- Persons ---

export const opsMemberParamsSchema = z.object({
  tenantId: z.string().regex(/^[a-z0-9-]{2,40}$/),
  memberId: z.string().min(1).max(50),
})
export type OpsMember = z.output<typeof opsMemberParamsSchema>

/** Kept for ever with the member's id, so there is no free text: a reason from the list, and the number of the request. */
export const forgetRequestSchema = z
  .strictObject({
    reason: forgetReasonSchema,
    reference: forgetReferenceSchema.optional().meta({ example: 'DSR-2041' }),
  })
  .meta({ id: 'ForgetMember' })
export type ForgetRequest = z.output<typeof forgetRequestSchema>

/** 200: everything personal that was sealed up to `forgottenAt` is blank. A repetition names the instant of then. */
export const forgottenSchema = z
  .object({ tenantId: z.string(), memberId: z.string(), forgottenAt: instantSchema })
  .meta({ id: 'MemberForgotten' })
export type Forgotten = z.infer<typeof forgottenSchema>

// --- The log ---

/**
 * A piece of a republication, and the start of one where none is under way. `generation`: the one that is to begin, as the answer or
 * `npm run ops -- log` names it, so that a repetition cannot begin yet another one.
 */
export const republishRequestSchema = z
  .strictObject({ generation: z.int().min(2).meta({ example: 2 }), reason: reasonSchema })
  .meta({ id: 'RepublishLog' })
export type RepublishRequest = z.output<typeof republishRequestSchema>

/** 200: how far it is. Ask again until it has begun; what remains is the relay's. */
export const republicationSchema = z
  .object({
    generation: z.int(),
    /** marking: bookings that may have gone on in a lost time are being marked. begun: the relay sends the log anew. */
    phase: z.enum(['marking', 'begun']),
    lookedAt: z.int().meta({ description: 'Bookings looked at so far' }),
    marked: z.int().meta({ description: 'Bookings marked so far: none of their steps in doubt is done again unasked' }),
    lostEvents: z.int().meta({ description: 'Events that Kafka holds and the store does not know' }),
  })
  .meta({ id: 'Republication' })
export type Republication = z.infer<typeof republicationSchema>

// --- Lists ---

const limitSchema = z
  .string()
  .regex(/^\d{1,4}$/, 'Must be a whole number')
  .transform(Number)
  .pipe(z.int().min(1).max(200))
  .optional()
  .transform((limit) => limit ?? 50)
  .meta({ override: { type: 'integer', minimum: 1, maximum: 200, default: 50, pattern: undefined } })
const pageShape = {
  tenantId: z.string().max(40).optional(),
  limit: limitSchema,
  /** Opaque; `nextCursor` of the page before. */
  cursor: z.string().max(500).optional(),
}
const nextCursorSchema = z.string().nullable().meta({ description: 'Null on the last page' })

/** Query of `/ops/approvals` and `/ops/unknown-outcomes`. */
export const opsQueueQuerySchema = z.strictObject(pageShape)

/** Query of `/ops/bookings`. Creation days are inclusive, UTC. */
export const opsBookingsQuerySchema = z.strictObject({
  ...pageShape,
  status: bookingStatusSchema.optional(),
  createdFromDate: queriedDateSchema.optional(),
  createdToDate: queriedDateSchema.optional(),
})

const bookingRowShape = {
  tenantId: z.string(),
  bookingId: z.string(),
  memberId: z.string(),
  status: bookingStatusSchema,
  flightNumber: z.string(),
  route: z.string(),
  departureDate: dateSchema,
  loyaltyAmount: z.number().min(0),
  loyaltyCurrency: z.string(),
  createdAt: instantSchema,
  updatedAt: instantSchema,
}

/** No sealed field: rows never carry personal data. */
export const opsBookingListSchema = z
  .object({
    bookings: z.array(z.object(bookingRowShape)),
    nextCursor: nextCursorSchema,
  })
  .meta({ id: 'OpsBookingList' })
export type OpsBookingList = z.infer<typeof opsBookingListSchema>

/** Oldest first. */
export const pendingApprovalListSchema = z
  .object({
    approvals: z.array(z.object({ ...bookingRowShape, approvalReason: z.string(), expiresAt: instantSchema })),
    nextCursor: nextCursorSchema,
  })
  .meta({ id: 'PendingApprovalList' })
export type PendingApprovalList = z.infer<typeof pendingApprovalListSchema>

/** What is known about the call in question, and what looking at the other side showed. */
const evidenceSchema = z.object({
  claimedAt: instantSchema.nullable().meta({ description: 'The call was sent between this instant …' }),
  callBefore: instantSchema.nullable().meta({ description: '… and this one, if it was sent' }),
  movement: z
    .object({
      kind: z.enum(['deduction', 'refund']),
      amount: z.int(),
      currency: z.string(),
      balanceBefore: z.int().nullable(),
      readAt: instantSchema.nullable(),
      balanceIfItHappened: z.int().nullable(),
    })
    .nullable()
    .meta({ description: 'Null for orders' }),
  looks: z.int().nullable().meta({ description: 'How often machines had looked when they gave up' }),
  seen: z
    .array(
      z.object({
        look: z.int(),
        at: instantSchema,
        balance: z.int().nullable(),
        order: z
          .object({
            orderId: z.string(),
            bookingReference: z.string().nullable(),
            cancelled: z.boolean(),
            awaitingPayment: z.boolean(),
            totalAmount: z.string(),
            totalCurrency: z.string(),
            tickets: z.int(),
          })
          .nullable(),
        note: z.string().nullable().meta({ description: '`no-order`, or why the look failed' }),
      }),
    )
    .meta({ description: 'Whenever it showed something else, the latest last' }),
})

const troubleSchema = z.object({
  step: z.string().meta({ description: 'The call whose outcome is unknown', example: 'deduct' }),
  attempt: z.int().min(1),
  /** Why nobody knows (`timeout`, `connection-cut`, `server-error`, `no-report`), or why a person is needed. */
  why: z.string(),
  since: instantSchema,
  /** False while machines still reconcile; true once a person has to decide. */
  needsDecision: z.boolean(),
  /** Until when machines reconcile, or by when an operator should have decided. */
  until: instantSchema,
  explanation: z.string().meta({ description: 'Why machines cannot conclude it, or what they wait for' }),
  reported: z
    .object({
      orderId: z.string().nullable(),
      bookingReference: z.string().nullable(),
      transactionId: z.string().nullable(),
    })
    .nullable()
    .meta({
      description:
        'What a report named that contradicts the conclusion (`reported-late`): `correct-outcome` answers it',
    }),
  evidence: evidenceSchema.nullable().meta({ description: 'Null where there is none' }),
})

/** Oldest first; those that need a decision, those still being reconciled, and conclusions that their caller disputed. */
export const unknownOutcomeListSchema = z
  .object({
    outcomes: z.array(z.object({ ...bookingRowShape, ...troubleSchema.shape })),
    nextCursor: nextCursorSchema,
  })
  .meta({ id: 'UnknownOutcomeList' })
export type UnknownOutcomeList = z.infer<typeof unknownOutcomeListSchema>

export const opsBookingDetailSchema = z
  .object({
    ...bookingRowShape,
    tenantName: z.string(),
    usdEquivalentMinor: z.int().min(0).meta({ description: 'Integer US cents' }),
    supplier: z.object({ orderId: z.string().nullable(), bookingReference: z.string().nullable() }),
    passengers: z.array(
      z.object({ name: z.string(), ticketNumber: z.string().nullable(), seat: z.string().nullable() }),
    ),
    approval: z
      .object({
        reason: z.string(),
        expiresAt: instantSchema,
        decidedBy: z.string().nullable(),
        decidedAt: instantSchema.nullable(),
      })
      .nullable(),
    trouble: troubleSchema.nullable(),
    failureReason: z.string().nullable(),
    refund: z.object({ status: z.string(), amount: z.number().min(0), at: instantSchema.nullable() }).nullable(),
    streamVersion: z.int().min(1),
  })
  .meta({ id: 'OpsBookingDetail' })
export type OpsBookingDetail = z.infer<typeof opsBookingDetailSchema>

// --- Ledger ---

/** Query of `/ops/ledger`. Members and bookings are named by tenant and id. */
export const ledgerQuerySchema = z
  .strictObject({
    ...pageShape,
    memberId: z.string().max(50).optional().meta({ description: 'Needs tenantId' }),
    bookingId: z.string().max(100).optional().meta({ description: 'Needs tenantId' }),
  })
  .refine(({ tenantId, memberId, bookingId }) => tenantId !== undefined || (memberId ?? bookingId) === undefined, {
    path: ['tenantId'],
    message: 'Required with memberId or bookingId',
  })
export type LedgerQuery = z.output<typeof ledgerQuerySchema>

/** Double-entry lines, newest first; `sums` covers everything the filter matches, not the page, and must be 0 per currency. */
export const ledgerSchema = z
  .object({
    lines: z.array(
      z.object({
        tenantId: z.string(),
        entryId: z.string().meta({ description: 'Lines of one movement share it and add up to 0' }),
        account: z.string().meta({ example: 'member:CC1234567' }),
        memberId: z.string().nullable().meta({ description: 'Null for supplier penalties, which no member bears' }),
        bookingId: z.string(),
        kind: z.string().meta({ example: 'deduction' }),
        amount: z.int().meta({ description: 'Signed whole units of currency' }),
        currency: z.string(),
        at: instantSchema,
      }),
    ),
    sums: z.array(z.object({ tenantId: z.string(), currency: z.string(), sum: z.int() })),
    nextCursor: nextCursorSchema,
  })
  .meta({ id: 'Ledger' })
export type Ledger = z.infer<typeof ledgerSchema>
