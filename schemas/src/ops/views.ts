/**
 * What operators send and see below `/ops/`. Our own routes: camelCase, unknown fields are refused, lists are keyset-paged,
 * errors are bare problem documents. A booking is named by tenant and id, as everywhere.
 */
import { z } from 'zod'
import { dateSchema, instantSchema, queriedDateSchema } from '../envelope.ts'
import { printable } from '../text.ts'

/** As `BookingStatus` of bookings; repeated here because verticals do not share views. A test compares them. */
export const opsBookingStatusSchema = z.enum([
  'processing',
  'pending_approval',
  'awaiting_supplier',
  'outcome_unknown',
  'confirmed',
  'cancelling',
  'compensating',
  'failed',
  'rejected',
  'expired',
  'cancelled',
])

const reasonSchema = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(...printable)
  .meta({ description: 'Kept in the audit trail' })
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
export type RejectRequest = z.infer<typeof rejectRequestSchema>

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
  })
  .refine(({ step, attempt }) => (step === undefined) === (attempt === undefined), {
    path: ['attempt'],
    message: 'step and attempt belong together',
  })
  .meta({ id: 'DecideOutcome' })
export type DecideOutcomeRequest = z.output<typeof decideOutcomeRequestSchema>

/** The owed amount was given back outside; `reason` says how. */
export const settleRefundRequestSchema = z.strictObject({ reason: reasonSchema }).meta({ id: 'SettleRefund' })
export type SettleRefundRequest = z.infer<typeof settleRefundRequestSchema>

/** 200 of every operator command: where the booking stands after it. */
export const opsCommandAnswerSchema = z
  .object({ tenantId: z.string(), bookingId: z.string(), status: opsBookingStatusSchema })
  .meta({ id: 'OpsCommandAnswer' })
export type OpsCommandAnswer = z.infer<typeof opsCommandAnswerSchema>

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
  status: opsBookingStatusSchema.optional(),
  createdFromDate: queriedDateSchema.optional(),
  createdToDate: queriedDateSchema.optional(),
})
export type OpsBookingsQuery = z.output<typeof opsBookingsQuerySchema>

const bookingRowShape = {
  tenantId: z.string(),
  bookingId: z.string(),
  memberId: z.string(),
  status: opsBookingStatusSchema,
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
})

/** Oldest first; those that need a decision and those still being reconciled. */
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
