/**
 * The loyalty API's bookings as clients see them (contracts/loyalty-api.md 3.2–3.6 and 4): requests, responses, statuses,
 * the table of errors. Flight search is in `flights/views.ts`.
 *
 * Unknown request fields: the reference is silent, so they are ignored here (our own routes refuse them). Query values
 * are parsed strictly: what does not fit is 400, never clamped.
 */
import { z } from 'zod'
import { dateSchema, instantSchema, queriedDateSchema, queriedInstantSchema } from '../envelope.ts'
import { type ProblemCode, Rejection } from '../errors.ts'
import { oneLine, printable } from '../text.ts'

// --- Statuses ---

/** Where a booking stands in our own terms; what a client reads is `wireStatus` of it. */
export const bookingStatusSchema = z.enum([
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
export type BookingStatus = z.infer<typeof bookingStatusSchema>

export const wireStatusSchema = z.enum([
  'pending',
  'pending_approval',
  'confirmed',
  'failed',
  'rejected',
  'expired',
  'cancelled',
])
export type WireStatus = z.infer<typeof wireStatusSchema>

const statusDetailSchema = z
  .enum(['awaiting_supplier', 'outcome_unknown', 'cancelling', 'compensating'])
  .meta({ description: 'Why a booking is still `pending` (extension)' })

/** What a client reads for a booking in `status`. `status_detail` is present only where a `pending` needs an explanation. */
export function wireStatus(status: BookingStatus): {
  status: WireStatus
  status_detail?: z.infer<typeof statusDetailSchema>
} {
  switch (status) {
    case 'processing':
      return { status: 'pending' }
    case 'awaiting_supplier':
    case 'outcome_unknown':
    case 'cancelling':
    case 'compensating':
      return { status: 'pending', status_detail: status }
    default:
      return { status }
  }
}

/**
 * The internal statuses a list shows for the filter `status`. `pending` matches every pending state; without a filter
 * `failed`, `rejected` and `expired` are left out.
 */
export function statusesListed(filter: WireStatus | undefined): BookingStatus[] {
  return bookingStatusSchema.options.filter((status) => {
    const wire = wireStatus(status).status
    if (filter === undefined) return wire !== 'failed' && wire !== 'rejected' && wire !== 'expired'
    return wire === filter || (filter === 'pending' && wire === 'pending_approval')
  })
}

// --- POST /bookings ---

const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(...oneLine)
const emailSchema = z.email('Must be an e-mail address').max(254)
/** As typed; the route normalises to E.164 and refuses impossible numbers. */
const phoneSchema = z.string().min(5).max(40)

export const titleSchema = z.enum(['Mr', 'Ms', 'Mrs', 'Miss', 'Dr'])

/** `email` and `phone` may be left out (children rarely have any): the contact's are used then. */
export const passengerRequestSchema = z
  .object({
    type: z.enum(['adult', 'child', 'infant']),
    title: titleSchema,
    first_name: nameSchema,
    last_name: nameSchema,
    date_of_birth: dateSchema,
    gender: z.enum(['m', 'f']).optional().meta({ description: 'Required with the title Dr (extension)' }),
    email: emailSchema.optional(),
    phone: phoneSchema.optional(),
  })
  .superRefine((passenger, refusal) => {
    if (passenger.title === 'Dr' && !passenger.gender)
      refusal.addIssue({ code: 'custom', path: ['gender'], message: 'Is required when the title is Dr' })
  })
  .meta({ id: 'PassengerRequest' })
export type PassengerRequest = z.output<typeof passengerRequestSchema>

/** The gender a supplier is told: from the title, except for Dr, where the passenger states it. */
export function genderOf(passenger: Pick<PassengerRequest, 'title' | 'gender'>): 'm' | 'f' {
  switch (passenger.title) {
    case 'Mr':
      return 'm'
    case 'Ms':
    case 'Mrs':
    case 'Miss':
      return 'f'
    case 'Dr':
      if (!passenger.gender) throw new Error('a parsed passenger with the title Dr has a gender')
      return passenger.gender
  }
}

/** Body of `POST /bookings`. `payment` is the client's expectation: it must equal the flight's stored price. */
export const createBookingRequestSchema = z
  .object({
    flight_id: z.string().regex(/^[\x20-\x7e]{1,100}$/, 'Must be 1 to 100 printable ASCII characters'),
    passengers: z.array(passengerRequestSchema).min(1).max(9),
    payment: z.object({
      method: z.literal('loyalty_points'),
      amount: z.number().positive(),
      currency: z.string().min(1).max(20),
    }),
    contact: z.object({ email: emailSchema, phone: phoneSchema }),
  })
  .meta({ id: 'CreateBookingRequest' })
export type CreateBookingRequest = z.output<typeof createBookingRequestSchema>

const loyaltyAmountSchema = z.number().min(0)
const ownership = { tenant_id: z.string(), member_id: z.string() }
const bookingIdSchema = z.string().startsWith('bkg_')
const paymentShape = {
  loyalty_amount: loyaltyAmountSchema,
  loyalty_currency: z.string(),
  usd_equivalent: z.int().min(0).meta({ description: 'Integer US cents' }),
}
const passengerShape = {
  name: z.string().meta({ description: 'First and last name; empty once forgotten' }),
  ticket_number: z
    .string()
    .regex(/^\d{13}$/)
    .nullable()
    .meta({ description: 'Null until the supplier issued a ticket for this passenger' }),
}

/** 201 of a booking that is confirmed. `flight` holds plain timestamps here and objects in GET, as documented. */
export const confirmedBookingSchema = z
  .object({
    data: z.object({
      booking_id: bookingIdSchema,
      status: z.literal('confirmed'),
      ...ownership,
      flight: z.object({
        id: z.string(),
        flight_number: z.string(),
        departure: instantSchema,
        arrival: instantSchema,
      }),
      passengers: z.array(z.object(passengerShape)),
      payment: z.object(paymentShape),
      created_at: instantSchema,
      expires_at: instantSchema
        .nullable()
        .meta({ description: 'Hold deadline of the underlying fare; null once ticketed' }),
    }),
  })
  .meta({ id: 'ConfirmedBooking' })
export type ConfirmedBooking = z.infer<typeof confirmedBookingSchema>

/** 201 of a booking that waits for an operator's approval. Nothing is held or deducted meanwhile. */
export const pendingApprovalBookingSchema = z
  .object({
    data: z.object({
      booking_id: bookingIdSchema,
      status: z.literal('pending_approval'),
      tenant_id: z.string(),
      approval_required: z.literal(true),
      approval_reason: z.string(),
      estimated_approval_time: z.string().regex(/^P/).meta({ example: 'PT24H' }),
    }),
  })
  .meta({ id: 'PendingApprovalBooking' })
export type PendingApprovalBooking = z.infer<typeof pendingApprovalBookingSchema>

/** 202 of create and cancel: the wait ended with the outcome open; `Location` names the booking. */
export const pendingBookingSchema = z
  .object({
    data: z.object({
      booking_id: bookingIdSchema,
      status: z.literal('pending'),
      status_detail: statusDetailSchema.optional(),
      ...ownership,
    }),
  })
  .meta({ id: 'PendingBooking' })
export type PendingBooking = z.infer<typeof pendingBookingSchema>

export const createdBookingSchema = z.union([confirmedBookingSchema, pendingApprovalBookingSchema])

// --- GET /bookings/{booking_id} ---

/** `local_time` and `time_zone` are our extension and always sent. */
const pointSchema = z
  .object({
    airport: z.string().length(3),
    time: instantSchema,
    terminal: z.string().nullable(),
    local_time: z.string().optional(),
    time_zone: z.string().optional(),
  })
  .meta({ id: 'BookedFlightPoint' })
const bookedSliceShape = {
  airline: z.string(),
  flight_number: z.string(),
  departure: pointSchema,
  arrival: pointSchema,
}

export const bookingDetailSchema = z
  .object({
    data: z.object({
      booking_id: bookingIdSchema,
      status: wireStatusSchema,
      status_detail: statusDetailSchema.optional(),
      ...ownership,
      flight: z.object({
        id: z.string(),
        ...bookedSliceShape,
        return: z.object(bookedSliceShape).optional().meta({ description: 'Return slice (extension)' }),
      }),
      passengers: z.array(z.object({ ...passengerShape, seat: z.string().nullable().meta({ example: '23A' }) })),
      payment: z.object({ ...paymentShape, cashback: loyaltyAmountSchema.nullable() }),
      created_at: instantSchema,
      updated_at: instantSchema,
    }),
  })
  .meta({ id: 'BookingDetail' })
export type BookingDetail = z.infer<typeof bookingDetailSchema>

// --- GET /bookings ---

const wholeNumberSchema = z
  .string()
  .regex(/^\d{1,9}$/, 'Must be a whole number')
  .transform(Number)
const dayOrInstantSchema = z.union([queriedDateSchema, queriedInstantSchema], {
  error: 'Must be a date (YYYY-MM-DD) or a timestamp within the years 1900 to 9998',
})
const dayMs = 86_400_000

/**
 * Query of `GET /bookings`, parsed to `{ status?, createdFrom?, createdBefore?, limit, offset }`. Days and timestamps are
 * inclusive on the wire and become a half-open range of UTC instants: `createdFrom <= created_at < createdBefore`.
 */
export const listBookingsQuerySchema = z
  .object({
    status: wireStatusSchema.optional(),
    from_date: dayOrInstantSchema.optional().meta({ description: 'Created on or after this day (UTC) or instant' }),
    to_date: dayOrInstantSchema.optional().meta({ description: 'Created on or before this day (UTC) or instant' }),
    limit: wholeNumberSchema
      .pipe(z.int().min(1).max(100))
      .optional()
      .meta({ override: { type: 'integer', minimum: 1, maximum: 100, default: 20, pattern: undefined } }),
    offset: wholeNumberSchema
      .optional()
      .meta({ override: { type: 'integer', minimum: 0, default: 0, pattern: undefined } }),
  })
  .transform(({ status, from_date, to_date, limit = 20, offset = 0 }, refusal) => {
    if (from_date && to_date && Date.parse(from_date) >= endOf(to_date))
      refusal.addIssue({ code: 'custom', path: ['to_date'], message: 'Must not be before from_date' })
    return {
      status,
      createdFrom: from_date && new Date(from_date).toISOString(),
      createdBefore: to_date && new Date(endOf(to_date)).toISOString(),
      limit,
      offset,
    }
  })
export type ListBookingsQuery = z.output<typeof listBookingsQuerySchema>

/** First millisecond after an inclusive day or timestamp. */
function endOf(dayOrInstant: string): number {
  const isDay = dayOrInstant.length === 10
  return Date.parse(dayOrInstant) + (isDay ? dayMs : 1)
}

export const bookingListSchema = z
  .object({
    data: z.object({
      bookings: z.array(
        z.object({
          booking_id: bookingIdSchema,
          status: wireStatusSchema,
          status_detail: statusDetailSchema.optional(),
          flight_number: z.string(),
          departure_date: dateSchema.meta({ description: 'Local date at the origin' }),
          route: z.string().meta({ example: 'JFK → LAX' }),
          loyalty_amount: loyaltyAmountSchema,
          created_at: instantSchema,
        }),
      ),
      pagination: z.object({
        total: z.int().min(0),
        limit: z.int().min(1).max(100),
        offset: z.int().min(0),
        has_more: z.boolean(),
      }),
    }),
  })
  .meta({ id: 'BookingList' })
export type BookingList = z.infer<typeof bookingListSchema>

/** The route of a list row: U+2192 with spaces. */
export const routeLabel = (origin: string, destination: string): string => `${origin} → ${destination}`

// --- POST /bookings/{booking_id}/cancel ---

/** Both fields are optional, and so is the body: an absent one parses like `{}`. */
export const cancelBookingRequestSchema = z
  .object({
    reason: z
      .string()
      .max(500)
      .regex(...printable)
      .nullish(),
    refund_requested: z.boolean().default(true),
  })
  .prefault({})
  .meta({ id: 'CancelBookingRequest' })
export type CancelBookingRequest = z.output<typeof cancelBookingRequestSchema>

export const refundStatusSchema = z
  .enum(['processed', 'pending', 'not_requested', 'not_applicable'])
  .meta({ description: 'processed: given back; pending: owed; not_applicable: nothing had been deducted' })

/** 200 of cancel. `loyalty_amount` is what had been deducted, `net_refund` what the member gets back. */
export const cancelledBookingSchema = z
  .object({
    data: z.object({
      booking_id: bookingIdSchema,
      status: z.literal('cancelled'),
      cancelled_at: instantSchema,
      refund: z.object({
        status: refundStatusSchema,
        loyalty_amount: loyaltyAmountSchema,
        loyalty_currency: z.string(),
        fee: z.literal(0).meta({ description: 'Supplier penalties are borne by the tenant' }),
        net_refund: loyaltyAmountSchema,
        processed_at: instantSchema.nullable(),
      }),
    }),
  })
  .meta({ id: 'CancelledBooking' })
export type CancelledBooking = z.infer<typeof cancelledBookingSchema>

// --- GET /health ---

export const componentHealthSchema = z.enum(['healthy', 'unhealthy'])

/** Not wrapped in `data`. Only partners that are built are named. 503 when `unhealthy`, else 200. */
export const healthSchema = z
  .object({
    status: z.enum(['healthy', 'degraded', 'unhealthy']),
    timestamp: instantSchema,
    version: z.string().meta({ example: '1.0.0' }),
    services: z.object({ database: componentHealthSchema }).catchall(componentHealthSchema),
  })
  .meta({ id: 'Health' })
export type Health = z.infer<typeof healthSchema>

// --- Headers and errors ---

/** On every tenant response. Values are decimal strings; reset is in Unix seconds. */
export const rateLimitHeadersSchema = z.object({
  'X-RateLimit-Limit': z.string().meta({ description: 'Requests per minute of this tenant' }),
  'X-RateLimit-Remaining': z.string(),
  'X-RateLimit-Reset': z.string().meta({ description: 'Unix seconds at which the window resets' }),
})

export const loyaltyProblemSchema = z
  .object({
    type: z.string().startsWith('https://api.loyalty-middleware.com/errors/'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().meta({ description: 'Path of the request, with /api/v1' }),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
    balance: z
      .object({ required: loyaltyAmountSchema, available: loyaltyAmountSchema, currency: z.string() })
      .optional(),
    retry_after: z.int().optional().meta({ description: 'Seconds' }),
    trace_id: z.string().optional(),
    booking_id: z.string().optional().meta({ description: 'On every problem sent after a booking exists' }),
  })
  .meta({ id: 'LoyaltyProblem' })
export type LoyaltyProblem = z.infer<typeof loyaltyProblemSchema>

/** The default error body; the bare problem is served to `Accept: application/problem+json`. */
export const loyaltyErrorSchema = z.object({ error: loyaltyProblemSchema }).meta({ id: 'LoyaltyError' })

const typePrefix = 'https://api.loyalty-middleware.com/errors/'

interface ContractError {
  status: number
  suffix: string
  title: string
  /** Set where the contract fixes the sentence: it then replaces the rejection's own. */
  detail?: string
}

const conflict: ContractError = { status: 409, suffix: 'conflict', title: 'Conflict' }
const unavailable: ContractError = { status: 503, suffix: 'unavailable', title: 'Service Unavailable' }

/** Contract section 4, one line per code of the catalogue. */
export const loyaltyErrors: Readonly<Record<ProblemCode, ContractError>> = {
  'validation-error': { status: 400, suffix: 'validation-error', title: 'Validation Error' },
  'invalid-cabin-class': { status: 400, suffix: 'invalid-cabin-class', title: 'Invalid Cabin Class' },
  unauthorized: {
    status: 401,
    suffix: 'unauthorized',
    title: 'Unauthorized',
    detail: 'Invalid or expired authentication credentials',
  },
  forbidden: { status: 403, suffix: 'forbidden', title: 'Forbidden' },
  'insufficient-balance': { status: 403, suffix: 'insufficient-balance', title: 'Insufficient Balance' },
  'not-found': { status: 404, suffix: 'not-found', title: 'Not Found' },
  'booking-not-found': { status: 404, suffix: 'not-found', title: 'Booking Not Found' },
  'flight-not-found': { status: 404, suffix: 'not-found', title: 'Flight Not Found' },
  'member-not-found': { status: 404, suffix: 'not-found', title: 'Member Not Found' },
  'method-not-allowed': { status: 405, suffix: 'method-not-allowed', title: 'Method Not Allowed' },
  conflict,
  'offer-already-booked': conflict,
  'offer-no-longer-available': conflict,
  'not-pending-approval': conflict,
  'no-decision-needed': conflict,
  'idempotency-busy': conflict,
  'not-cancellable': { status: 409, suffix: 'not-cancellable', title: 'Not Cancellable' },
  'payload-too-large': { status: 413, suffix: 'payload-too-large', title: 'Payload Too Large' },
  'idempotency-mismatch': { status: 422, suffix: 'idempotency-mismatch', title: 'Idempotency Key Reused' },
  'rate-limit': {
    status: 429,
    suffix: 'rate-limit',
    title: 'Rate Limit Exceeded',
    detail: 'Rate limit exceeded. Please try again later.',
  },
  'internal-error': {
    status: 500,
    suffix: 'internal-error',
    title: 'Internal Server Error',
    detail: 'An unexpected error occurred while processing your request',
  },
  'partner-unavailable': { status: 502, suffix: 'partner-unavailable', title: 'Partner Unavailable' },
  'version-conflict': unavailable,
  'read-model-behind': unavailable,
  unavailable,
  'partner-timeout': { status: 504, suffix: 'partner-timeout', title: 'Partner Timeout' },
}

/**
 * The contract's answer to a refused or failed request: status, content type and body.
 * members: extra members (`errors`, `balance`, `retry_after`, `trace_id`, `booking_id`); they cannot replace the standard ones.
 * instance: the request path with /api/v1 and without the query.
 * accept: the request's Accept header; the bare problem object is sent where it names application/problem+json.
 */
export function loyaltyProblem(
  code: ProblemCode,
  detail: string,
  members: Readonly<Record<string, unknown>>,
  instance: string,
  accept = '',
): { status: number; contentType: string; body: LoyaltyProblem | { error: LoyaltyProblem } } {
  const { status, suffix, title, detail: documented } = loyaltyErrors[code]
  const problem = { ...members, type: typePrefix + suffix, title, status, detail: documented ?? detail, instance }
  if (accept.toLowerCase().includes('application/problem+json'))
    return { status, contentType: 'application/problem+json', body: problem }
  return { status, contentType: 'application/json', body: { error: problem } }
}

/**
 * `loyaltyProblem` as the serializer of an app's problem handler. A fault carries the correlation id as `trace_id`; a 401 carries
 * `WWW-Authenticate`.
 */
export function serializeLoyaltyProblem(
  problem: {
    code: ProblemCode
    detail: string
    members: Readonly<Record<string, unknown>>
    instance: string
    correlationId: string
  },
  request: { get(header: string): string | undefined },
): ReturnType<typeof loyaltyProblem> & { headers: Record<string, string> } {
  const { code, detail, instance, correlationId } = problem
  const members = code === 'internal-error' ? { ...problem.members, trace_id: correlationId } : problem.members
  const headers: Record<string, string> =
    code === 'unauthorized' ? { 'WWW-Authenticate': 'CoffeeChain realm="portolan"' } : {}
  return { ...loyaltyProblem(code, detail, members, instance, request.get('Accept')), headers }
}

/** 404 with the documented sentence; also for another tenant's or another member's booking. */
export function bookingNotFound(bookingId: string): Rejection {
  return new Rejection('booking-not-found', `Booking with ID '${bookingId}' not found`)
}

/** 403 with the documented sentence and `balance` member. Amounts in whole units of `currency`. */
export function insufficientBalance(balance: { required: number; available: number; currency: string }): Rejection {
  const detail = `Member has an insufficient balance. Required: ${balance.required}, Available: ${balance.available}`
  return new Rejection('insufficient-balance', detail, { balance })
}

// --- X-Mock-Error (section 6) ---

/** Values of `X-Mock-Error` that a route answers by itself, where no partner call of it would. */
export type ProvokedError = 'auth-failed' | 'invalid-member' | 'true'

/** What a route answers to a value it provokes by itself; null for every other. mockError: of the header, under TEST_MODE only. */
export function provokedRefusal(mockError: string | undefined, provoked: readonly ProvokedError[]): Rejection | null {
  const value = provoked.find((known) => known === mockError)
  switch (value) {
    case undefined:
      return null
    case 'auth-failed':
      return new Rejection('unauthorized', 'Invalid or expired authentication credentials')
    case 'invalid-member':
      return new Rejection('member-not-found', 'The member is not known to the programme')
    case 'true':
      return new Rejection('partner-unavailable', 'The loyalty partner is not available')
  }
}
