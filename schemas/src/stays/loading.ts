/** Loading properties and reservations that exist already, many at once: `POST /ops/stays/load`. An operator's route: camelCase, errors are problem documents. */
import { z } from 'zod'
import { propertyFactsSchema, propertyIdSchema } from './messages.ts'
import { daySchema, endsInTime, NIGHTS_MAX } from './periods.ts'

/** Properties and reservations of a request together. */
export const LOAD_ROWS_MAX = 500

/** Rows are looked at one by one later: what is wrong with one refuses that one. */
export const loadRequestSchema = z
  .strictObject({
    asIs: z
      .boolean()
      .default(false)
      .meta({ description: 'Take nights that other loaded reservations have a second time; never those of a guest' }),
    properties: z.array(z.unknown()).default([]),
    reservations: z.array(z.unknown()).default([]).meta({ description: 'In the order in which they were made' }),
  })
  .refine(({ properties, reservations }) => properties.length + reservations.length <= LOAD_ROWS_MAX, {
    message: `Must have at most ${LOAD_ROWS_MAX} rows`,
  })
export type LoadRequest = z.input<typeof loadRequestSchema>

const { description, capacity, nightlyPrice, location } = propertyFactsSchema.shape
/** What is not said is not known. */
export const loadedPropertySchema = z.strictObject({
  propertyId: propertyIdSchema,
  description,
  capacity: capacity.default(null),
  nightlyPrice: nightlyPrice.default(null),
  location: location.default(null),
})

export const loadedReservationSchema = z
  .strictObject({
    reservationId: z
      .uuid()
      .toLowerCase()
      .optional()
      .meta({ description: 'A UUIDv7 when absent; then the request needs an Idempotency-Key' }),
    propertyId: z.string().min(1),
    startDate: daySchema,
    nights: z.int().min(1).max(NIGHTS_MAX),
  })
  .refine(endsInTime, { message: 'Must end by 9999-12-31', path: ['startDate'] })

export const loadAnswerSchema = z.object({
  /** Rows that were appended by this request or an earlier one with its key. */
  loaded: z.int(),
  /** Rows that were there already with the same id and content. */
  present: z.int(),
  refused: z.array(
    z.object({
      list: z.enum(['properties', 'reservations']),
      /** Place in its list, from 0. */
      row: z.int(),
      /** validation-error, unknown-property, not-available or conflict: there already with other content. */
      code: z.string(),
      reason: z.string(),
    }),
  ),
  /** Of each reservation in the order of the request; null where it was refused. */
  reservationIds: z.array(z.uuid().nullable()),
})
export type LoadAnswer = z.infer<typeof loadAnswerSchema>
