/**
 * The loyalty API's bookings as clients see them (contracts/loyalty-api.md 3.2–3.6): requests and responses. Flight search is in
 * `flights/views.ts`, errors are in `loyalty-errors.ts`.
 *
 * Unknown request fields: the reference is silent, so they are ignored here (our own routes refuse them). Query values
 * are parsed strictly: what does not fit is 400, never clamped.
 */
import { z } from 'zod'
import { dateSchema, instantSchema, queriedDateSchema, queriedInstantSchema } from '../envelope.ts'
import { Rejection } from '../errors.ts'
import { oneLine, printable } from '../text.ts'
import { statusDetailSchema, wireStatusSchema } from './statuses.ts'

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

// --- Refusals ---

/** 404 with the documented sentence; also for another tenant's or another member's booking. */
export function bookingNotFound(bookingId: string): Rejection {
  return new Rejection('booking-not-found', `Booking with ID '${bookingId}' not found`)
}

/** 403 with the documented sentence and `balance` member. Amounts in whole units of `currency`. */
export function insufficientBalance(balance: { required: number; available: number; currency: string }): Rejection {
  const detail = `Member has an insufficient balance. Required: ${balance.required}, Available: ${balance.available}`
  return new Rejection('insufficient-balance', detail, { balance })
}
