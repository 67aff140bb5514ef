/**
 * What every route of the loyalty API has in common (contracts/loyalty-api.md 4 and 6): the envelope and the table of its errors, the
 * headers of its limits, and what `X-Mock-Error` makes a route answer by itself.
 */
import { z } from 'zod'
import { type ProblemCode, Rejection } from './errors.ts'

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
    balance: z.object({ required: z.number().min(0), available: z.number().min(0), currency: z.string() }).optional(),
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
  'no-availability': { status: 404, suffix: 'not-found', title: 'No Availability' },
  'unknown-property': { status: 404, suffix: 'not-found', title: 'Unknown Property' },
  'not-available': conflict,
  'offer-already-booked': conflict,
  'offer-no-longer-available': conflict,
  'not-pending-approval': conflict,
  'no-decision-needed': conflict,
  'not-forgettable': conflict,
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
