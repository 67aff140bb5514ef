/** What one described route consists of, and the parts that routes share: headers and error responses. */
import { z } from 'zod'
import type { ZodOpenApiOperationObject, ZodOpenApiResponseObject } from 'zod-openapi'
import { type ProblemCode, problemCodes } from '../errors.ts'
import {
  loyaltyErrorSchema,
  loyaltyErrors,
  loyaltyProblem,
  loyaltyProblemSchema,
  rateLimitHeadersSchema,
} from '../loyalty-errors.ts'

export interface DescribedRoute {
  method: 'get' | 'post'
  /** With OpenAPI parameters: `/api/v1/bookings/{booking_id}`. */
  path: string
  /** The process that serves it. */
  process: 'command-api' | 'query-api'
  operation: ZodOpenApiOperationObject
}

export const correlationHeader = {
  'X-Correlation-Id': z
    .string()
    .max(100)
    .optional()
    .meta({ description: 'Taken over into everything this request sets in motion; made up when absent' }),
}

export const idempotencyHeader = {
  'Idempotency-Key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .optional()
    .meta({
      description: 'Makes a retry harmless: the same key and body get the same answer for at least 24 hours',
    }),
}

export const waitHeaders = {
  Prefer: z.string().optional().meta({
    description: '`wait=N` (seconds, at most 30; default 30) or `respond-async`: how long to wait for the outcome',
    example: 'wait=10',
  }),
  ...idempotencyHeader,
}

export const consistencyHeader = {
  'Consistency-Token': z.string().optional().meta({
    description: 'From the answer of a command: the read waits until it reflects that command, or answers 503',
  }),
}

/** On every answer that is made of read models. */
export const freshnessHeaders = {
  'X-Read-Model-Age': z.string().optional().meta({
    description: 'Seconds since the read models of this answer were last known to hold everything that had happened',
    example: '0.042',
  }),
  'X-Read-Model-Events': z.string().optional().meta({
    description:
      'How many events these read models reflect: of two answers of one list, the larger number is the later one',
    example: '1042',
  }),
}

const answerHeaders = {
  'X-Correlation-Id': z.string(),
  'Consistency-Token': z.string().optional().meta({
    description: 'The positions this answer reflects; send it with a read to see at least as much',
  }),
}

/** A JSON answer with the headers every answer carries. `headers` adds to them. */
export function jsonResponse(
  description: string,
  schema: z.ZodType,
  options: {
    example?: unknown
    examples?: Record<string, unknown>
    headers?: z.core.$ZodShape
    limited?: boolean
  } = {},
): ZodOpenApiResponseObject {
  const { example, examples, headers = {}, limited = false } = options
  const content = {
    schema,
    ...(example === undefined ? {} : { example }),
    ...(examples ? { examples: wrapExamples(examples) } : {}),
  }
  const limitHeaders = limited ? rateLimitHeadersSchema.shape : {}
  return {
    description,
    headers: z.object({ ...answerHeaders, ...limitHeaders, ...headers }),
    content: { 'application/json': content },
  }
}

export function jsonBody(schema: z.ZodType, required = true) {
  return { required, content: { 'application/json': { schema } } }
}

const retryHeader = { 'Retry-After': z.string().meta({ description: 'Seconds' }) }
const statusHeaders: Readonly<Record<number, z.core.$ZodShape>> = {
  401: { 'WWW-Authenticate': z.string() },
  405: { Allow: z.string() },
  429: retryHeader,
  503: retryHeader,
}

const sentences: Readonly<Record<ProblemCode, string>> = {
  'validation-error': 'departure_date must be in the future',
  'invalid-cabin-class': 'This tenant does not support the requested cabin class',
  unauthorized: 'Invalid or expired authentication credentials',
  forbidden: 'This account may not do this',
  'insufficient-balance': 'Member has an insufficient balance. Required: 35000, Available: 20000',
  'not-found': 'There is nothing here',
  'booking-not-found': "Booking with ID 'bkg_xyz789' not found",
  'flight-not-found': "Flight with ID 'flt_abc123' not found",
  'member-not-found': "Member with ID 'CC1234567' not found",
  conflict: 'The request does not fit the current state',
  'no-availability': 'No property is free for these dates',
  'unknown-property': 'There is no such property',
  'not-available': 'Taken for these dates',
  'offer-already-booked': 'This flight is already booked by this member',
  'offer-no-longer-available': 'This flight is no longer available at this price',
  'not-cancellable': 'The booking cannot be cancelled any more',
  'not-pending-approval': 'The booking does not wait for an approval',
  'not-forgettable': 'Bookings of this member are still being worked on',
  'no-decision-needed': 'The booking does not wait for a decision',
  'idempotency-mismatch': 'The idempotency key was used with another request',
  'idempotency-busy': 'A request with this idempotency key is still being accepted',
  'version-conflict': 'Too many changes at once; try again',
  'rate-limit': 'Rate limit exceeded. Please try again later.',
  'partner-unavailable': 'The loyalty partner is not available',
  'partner-timeout': 'The loyalty partner did not answer in time',
  'read-model-behind': 'The data is not up to date yet; try again',
  unavailable: 'A part of this service is not available at the moment',
  'payload-too-large': 'The request body is too large',
  'method-not-allowed': 'The method is not possible here',
  'internal-error': 'An unexpected error occurred while processing your request',
}

const exampleMembers: Readonly<Partial<Record<ProblemCode, Record<string, unknown>>>> = {
  'validation-error': { errors: [{ field: 'departure_date', message: 'Must be a future date' }] },
  'insufficient-balance': {
    balance: { required: 35000, available: 20000, currency: 'stars' },
    booking_id: 'bkg_xyz789',
  },
  'not-forgettable': { bookingIds: ['bkg_xyz789'] },
  'rate-limit': { retry_after: 37 },
  'read-model-behind': { retry_after: 1 },
  unavailable: { retry_after: 1 },
  'partner-timeout': { booking_id: 'bkg_xyz789' },
  'internal-error': { trace_id: '5f0c2c6e-6ad1-4a0c-9a9e-0d7d1c9f2a11' },
}

/** What can be refused anywhere, whatever the route. */
const anywhere: readonly ProblemCode[] = ['rate-limit', 'internal-error', 'unavailable']

/**
 * The loyalty contract's error responses for these codes, by status, in both forms: wrapped JSON, and the bare problem for clients
 * that accept it. instance: the request path shown in the examples.
 */
export function loyaltyErrorResponses(
  instance: string,
  codes: readonly ProblemCode[],
): Record<string, ZodOpenApiResponseObject> {
  return byStatus([...codes, ...anywhere], (status, ofStatus) => {
    const wrapped: Record<string, unknown> = {}
    const bare: Record<string, unknown> = {}
    for (const code of ofStatus) {
      const problem = [code, sentences[code], exampleMembers[code] ?? {}, instance] as const
      wrapped[code] = loyaltyProblem(...problem).body
      bare[code] = loyaltyProblem(...problem, 'application/problem+json').body
    }
    return {
      description: describe(ofStatus),
      headers: z.object({
        'X-Correlation-Id': z.string(),
        ...rateLimitHeadersSchema.partial().shape,
        ...statusHeaders[status],
      }),
      content: {
        'application/json': { schema: loyaltyErrorSchema, examples: wrapExamples(wrapped) },
        'application/problem+json': { schema: loyaltyProblemSchema, examples: wrapExamples(bare) },
      },
    }
  })
}

/** The problem document (RFC 9457) of our own routes. `code` is the stable name; `type` is made of it. */
export const problemSchema = z
  .looseObject({
    type: z.url(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().meta({ description: 'Stable name of the problem', example: 'validation-error' }),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
    retry_after: z.number().optional(),
    trace_id: z.string().optional(),
  })
  .meta({ id: 'Problem' })

/** The error responses of our own routes for these codes, by status. */
export function problemResponses(
  instance: string,
  codes: readonly ProblemCode[],
): Record<string, ZodOpenApiResponseObject> {
  return byStatus([...codes, ...anywhere], (status, ofStatus) => {
    const examples = ofStatus.map((code) => [
      code,
      {
        type: `https://portolan.example/problems/${code}`,
        title: problemCodes[code].title,
        status,
        detail: sentences[code],
        instance,
        code,
        ...exampleMembers[code],
      },
    ])
    return {
      description: describe(ofStatus),
      headers: z.object({ 'X-Correlation-Id': z.string(), ...statusHeaders[status] }),
      content: {
        'application/problem+json': { schema: problemSchema, examples: wrapExamples(Object.fromEntries(examples)) },
      },
    }
  })
}

/** Both envelopes use the contract's statuses, one per code. */
function byStatus(
  codes: readonly ProblemCode[],
  response: (status: number, codes: ProblemCode[]) => ZodOpenApiResponseObject,
): Record<string, ZodOpenApiResponseObject> {
  const groups = Map.groupBy(new Set(codes), (code) => loyaltyErrors[code].status)
  return Object.fromEntries([...groups].map(([status, ofStatus]) => [status, response(status, ofStatus)]))
}

function describe(codes: readonly ProblemCode[]): string {
  return codes.map((code) => `\`${code}\``).join(', ')
}

function wrapExamples(examples: Record<string, unknown>): Record<string, { value: unknown }> {
  return Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]))
}
