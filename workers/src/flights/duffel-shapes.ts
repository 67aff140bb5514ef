/**
 * The parts of Duffel's v2 answers that are used, bounded: an answer is hostile input until it fits these. Members not
 * named here are dropped, so nothing else of an answer can travel any further.
 */
import { z } from 'zod'

const id = z.string().min(1).max(100)
const name = z.string().max(200)
const code = z.string().max(10)
/** Decimal amount without sign, as Duffel prints it. */
export const amountSchema = z.string().regex(/^\d{1,9}(\.\d{1,4})?$/)
export const currencySchema = z.string().regex(/^[A-Z]{3}$/)
const wallTime = z.string().max(30)
const terminal = z.string().max(30).nullish()

const airportSchema = z.object({ iata_code: z.string().regex(/^[A-Z0-9]{3}$/), time_zone: z.string().max(60) })
const airlineSchema = z.object({ name, iata_code: code.nullish() })
const cabinSchema = z.enum(['economy', 'premium_economy', 'business', 'first'])

const segmentSchema = z.object({
  origin: airportSchema,
  destination: airportSchema,
  origin_terminal: terminal,
  destination_terminal: terminal,
  departing_at: wallTime,
  arriving_at: wallTime,
  duration: z.string().max(30).nullish(),
  marketing_carrier: airlineSchema,
  marketing_carrier_flight_number: z.string().regex(/^[0-9A-Z]{1,6}$/),
  passengers: z
    .array(z.object({ cabin_class: cabinSchema.optional() }))
    .max(9)
    .optional(),
})
export type DuffelSegment = z.infer<typeof segmentSchema>

const sliceSchema = z.object({ segments: z.array(segmentSchema).min(1).max(8), duration: z.string().max(30).nullish() })
export type DuffelSlice = z.infer<typeof sliceSchema>

export const offerSchema = z.object({
  id,
  expires_at: z.string().max(40),
  total_amount: amountSchema,
  total_currency: currencySchema,
  partial: z.boolean().optional(),
  passenger_identity_documents_required: z.boolean().nullish(),
  payment_requirements: z.object({ requires_instant_payment: z.boolean() }),
  owner: airlineSchema,
  passengers: z
    .array(z.object({ id, type: z.string().max(50).nullish(), age: z.int().min(0).max(150).nullish() }))
    .min(1)
    .max(9),
  slices: z.array(sliceSchema).min(1).max(2),
})
export type DuffelOffer = z.infer<typeof offerSchema>

/** Offers are checked one by one, so that one bad offer costs itself only. */
export const offerRequestSchema = z.object({ offers: z.array(z.unknown()).max(5_000) })

const refundSchema = {
  refund_amount: amountSchema.nullable(),
  refund_currency: currencySchema.nullable(),
  refund_to: z.string().max(50).nullish(),
}

export const orderSchema = z.object({
  id,
  booking_reference: z.string().max(20).nullish(),
  total_amount: amountSchema,
  total_currency: currencySchema,
  created_at: z.string().max(40),
  cancelled_at: z.string().max(40).nullish(),
  metadata: z.record(z.string().max(40), z.string().max(500)).nullish(),
  passengers: z.array(z.object({ id })).max(9),
  documents: z
    .array(
      z.object({
        type: z.string().max(100),
        unique_identifier: z.string().max(50),
        passenger_ids: z.array(id).max(9),
      }),
    )
    .max(50)
    .nullish(),
  payment_status: z.object({
    awaiting_payment: z.boolean(),
    payment_required_by: z.string().max(40).nullish(),
    paid_at: z.string().max(40).nullish(),
  }),
  slices: z
    .array(
      z.object({
        segments: z
          .array(
            z.object({
              passengers: z
                .array(z.object({ passenger_id: id.optional(), seat: z.object({ designator: code }).nullish() }))
                .max(9)
                .optional(),
            }),
          )
          .max(8),
      }),
    )
    .max(2)
    .optional(),
  cancellation: z.object({ ...refundSchema, confirmed_at: z.string().max(40).nullish() }).nullish(),
})
export type DuffelOrder = z.infer<typeof orderSchema>

export const paymentSchema = z.object({ id, status: z.string().max(50).optional() })

export const cancellationSchema = z.object({ id, order_id: id, ...refundSchema })
export type DuffelCancellation = z.infer<typeof cancellationSchema>
