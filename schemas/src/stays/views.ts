/** What travels over the wire of stays (contracts/ota-api.md 3). */
import { z } from 'zod'
import type { ProblemCode } from '../errors.ts'
import { printable } from '../text.ts'
import { type PropertyFacts, propertyFactsSchema, propertyIdSchema } from './messages.ts'
import { daySchema, endDate, endsInTime, NIGHTS_MAX, type Period } from './periods.ts'

/** Everything of stays belongs to it; where `X-Tenant-ID` is sent it names this one. */
export const STAYS_TENANT = 'stays'

/** In a query or a form every value is a text. */
export const textsOf = (parameters: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
  ...parameters,
  ...Object.fromEntries(
    ['nights', 'number_of_nights'].flatMap((name) => {
      const value = Object.hasOwn(parameters, name) ? parameters[name] : undefined
      return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? [[name, Number(value)]] : []
    }),
  ),
})

const nightsSchema = z.int().min(1).max(NIGHTS_MAX).optional()
const periodShape = { start_date: daySchema, nights: nightsSchema, number_of_nights: nightsSchema }

interface RequestedPeriod {
  start_date: string
  nights?: number | undefined
  number_of_nights?: number | undefined
}

/** Unknown members are ignored. */
function requested<S extends z.ZodObject<typeof periodShape>>(
  schema: S,
  complaint: (value: z.output<S>) => { path: string; message: string } | null = () => null,
) {
  return schema.superRefine((value, refusal) => {
    const more = complaint(value as z.output<S>)
    if (more) refusal.addIssue({ code: 'custom', message: more.message, path: [more.path] })
    const { nights, number_of_nights: synonym } = value as RequestedPeriod
    const issue = (message: string, path: string) => refusal.addIssue({ code: 'custom', message, path: [path] })
    if (nights === undefined && synonym === undefined) issue('Is required', 'nights')
    else if (nights !== undefined && synonym !== undefined && nights !== synonym)
      issue('Must agree with nights', 'number_of_nights')
    else if (
      daySchema.safeParse((value as RequestedPeriod).start_date).success &&
      !endsInTime(periodOf(value as RequestedPeriod))
    )
      issue('Must end by 9999-12-31', 'start_date')
  })
}

export const periodOf = ({ start_date, nights, number_of_nights }: RequestedPeriod): Period => ({
  startDate: start_date,
  nights: nights ?? number_of_nights ?? 0,
})

export const reserveRequestSchema = requested(z.object({ property_id: z.string().min(1), ...periodShape }))
export const changeDatesRequestSchema = requested(z.object(periodShape))

const PAGE_MAX = 1000
const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, 'Must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max))
const limit = whole(1, PAGE_MAX).default(PAGE_MAX)
const cursor = z.string().max(500).optional()
const price = z
  .string()
  .regex(/^\d{1,12}$/, 'Must be a whole number of minor units')
  .transform(Number)
  .optional()

/** south,west,north,east in degrees. */
const boundsSchema = z
  .string()
  .regex(/^-?\d{1,3}(\.\d{1,9})?(,-?\d{1,3}(\.\d{1,9})?){3}$/, 'Must be south,west,north,east')
  .transform((text) => text.split(',').map(Number) as [number, number, number, number])
  .refine(
    ([south, west, north, east]) =>
      south <= north && [south, north].every((n) => Math.abs(n) <= 90) && [west, east].every((n) => Math.abs(n) <= 180),
    'Must be degrees, south of north',
  )

/** Query of a search. Unknown parameters are ignored. */
export const searchStaysQuerySchema = requested(
  z.object({
    ...periodShape,
    limit,
    cursor,
    text: z
      .string()
      .trim()
      .max(100)
      // Shorter ones no index could find.
      .regex(/[\p{L}\p{N}]{3}/u, 'Must have three letters or digits in a row')
      .regex(...printable)
      .optional()
      .meta({ description: 'Words of the description' }),
    guests: whole(1, 1000).optional(),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'Must be an ISO 4217 code')
      .optional(),
    price_min: price,
    price_max: price,
    bounds: boundsSchema.optional().meta({ description: 'south,west,north,east in degrees' }),
  }),
  ({ currency, price_min, price_max }) =>
    (price_min !== undefined || price_max !== undefined) && currency === undefined
      ? { path: 'currency', message: 'Is required with a price' }
      : null,
)
export type SearchStaysQuery = z.infer<typeof searchStaysQuerySchema>

export const propertyReservationsQuerySchema = z.object({ limit, cursor })

export const reservationSchema = z
  .object({
    reservation_id: z.uuid(),
    property_id: z.string(),
    start_date: daySchema,
    end_date: daySchema.meta({ description: 'Day of departure' }),
    nights: z.int(),
    status: z.enum(['reserved', 'cancelled']),
  })
  .meta({ id: 'Reservation' })
export type ReservationView = z.infer<typeof reservationSchema>

export const reservationView = (
  { reservationId, propertyId, ...period }: Period & { reservationId: string; propertyId: string },
  status: ReservationView['status'],
): ReservationView => ({
  reservation_id: reservationId,
  property_id: propertyId,
  start_date: period.startDate,
  end_date: endDate(period),
  nights: period.nights,
  status,
})

const facts = propertyFactsSchema.shape
const describedShape = {
  description: facts.description,
  capacity: facts.capacity.optional().meta({ description: 'Guests' }),
  nightly_price: z
    .strictObject({ amount_minor: z.int().min(0), currency: z.string().regex(/^[A-Z]{3}$/) })
    .nullable()
    .optional(),
  location: facts.location.optional(),
}
/** Everything that is not said is not known. */
export const describePropertyRequestSchema = z.strictObject(describedShape)
export const registerPropertyRequestSchema = z.strictObject({
  property_id: propertyIdSchema.optional().meta({ description: 'A UUIDv7 when absent' }),
  ...describedShape,
})

export const propertyFactsOf = ({
  description,
  capacity = null,
  nightly_price: price = null,
  location = null,
}: z.infer<typeof describePropertyRequestSchema>): PropertyFacts => ({
  description,
  capacity,
  nightlyPrice: price && { amountMinor: price.amount_minor, currency: price.currency },
  location,
})

export const propertySchema = z
  .object({ property_id: z.string(), ...describedShape, is_retired: z.boolean() })
  .meta({ id: 'Property' })

export const propertyView = (
  propertyId: string,
  { description, capacity, nightlyPrice, location }: PropertyFacts,
  isRetired: boolean,
): z.infer<typeof propertySchema> => ({
  property_id: propertyId,
  description,
  capacity,
  nightly_price: nightlyPrice && { amount_minor: nightlyPrice.amountMinor, currency: nightlyPrice.currency },
  location,
  is_retired: isRetired,
})

/** As searches show it: what the host has not said is left out. */
export const foundPropertySchema = z
  .object({
    property_id: z.string(),
    description: z.string(),
    capacity: z.int().optional(),
    nightly_price: z.object({ amount_minor: z.int(), currency: z.string() }).optional(),
    location: facts.location.unwrap().optional(),
  })
  .meta({ id: 'FoundProperty' })
export const foundPropertiesSchema = z
  .object({ properties: z.array(foundPropertySchema), next_cursor: z.string().optional() })
  .meta({ id: 'FoundProperties' })
export type FoundProperties = z.infer<typeof foundPropertiesSchema>

export const propertyReservationsSchema = z
  .object({ property_id: z.string(), reservations: z.array(reservationSchema), next_cursor: z.string().optional() })
  .meta({ id: 'PropertyReservations' })

export const staysErrorSchema = z
  .object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      details: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
    }),
  })
  .meta({ id: 'StaysError' })
export type StaysError = z.infer<typeof staysErrorSchema>

/** The contract's statuses and codes where they are not those of the catalogue. */
const contractErrors: Partial<Record<ProblemCode, { status: number; code: string }>> = {
  'unknown-property': { status: 400, code: 'unknown_property' },
  'not-available': { status: 400, code: 'not_available' },
  'payload-too-large': { status: 400, code: 'validation_error' },
  'idempotency-mismatch': { status: 400, code: 'idempotency_key_reused' },
  'idempotency-busy': { status: 400, code: 'request_in_progress' },
}

/** The serializer of the contract's errors. */
export function serializeStaysProblem({
  code,
  status,
  detail,
  members,
}: {
  code: ProblemCode
  status: number
  detail: string
  members: Readonly<Record<string, unknown>>
}): { contentType: string; status: number; body: StaysError; headers: Record<string, string> } {
  const own = contractErrors[code]
  const details = Array.isArray(members.errors) && members.errors.length > 0 ? { details: members.errors } : {}
  return {
    contentType: 'application/json',
    status: own?.status ?? status,
    body: { error: { code: own?.code ?? code.replaceAll('-', '_'), message: detail, ...details } },
    headers: code === 'unauthorized' ? { 'WWW-Authenticate': 'Bearer' } : {},
  }
}
