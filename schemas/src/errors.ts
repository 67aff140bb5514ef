/**
 * The catalogue of problem codes: kind (which decides the status of an answer) and meaning, one line each.
 * Contracts that fix other codes, statuses or envelopes map from these in their own `views.ts`.
 */

export const problemCodes = {
  'validation-error': { kind: 'invalid', title: 'Validation Error' },
  'invalid-cabin-class': { kind: 'invalid', title: 'Invalid Cabin Class' },
  unauthorized: { kind: 'unauthenticated', title: 'Unauthorized' },
  forbidden: { kind: 'forbidden', title: 'Forbidden' },
  'insufficient-balance': { kind: 'forbidden', title: 'Insufficient Balance' },
  'not-found': { kind: 'not-found', title: 'Not Found' },
  'booking-not-found': { kind: 'not-found', title: 'Booking Not Found' },
  'flight-not-found': { kind: 'not-found', title: 'Flight Not Found' },
  'member-not-found': { kind: 'not-found', title: 'Member Not Found' },
  'no-availability': { kind: 'not-found', title: 'No Availability' },
  'unknown-property': { kind: 'not-found', title: 'Unknown Property' },
  conflict: { kind: 'conflict', title: 'Conflict' },
  'not-available': { kind: 'conflict', title: 'Not Available' },
  'offer-already-booked': { kind: 'conflict', title: 'Conflict' },
  'offer-no-longer-available': { kind: 'conflict', title: 'Conflict' },
  'not-cancellable': { kind: 'conflict', title: 'Not Cancellable' },
  'not-pending-approval': { kind: 'conflict', title: 'Conflict' },
  'no-decision-needed': { kind: 'conflict', title: 'Conflict' },
  'not-forgettable': { kind: 'conflict', title: 'Still Needed' },
  'idempotency-mismatch': { kind: 'mismatch', title: 'Idempotency Key Reused' },
  'idempotency-busy': { kind: 'conflict', title: 'Conflict' },
  'version-conflict': { kind: 'unavailable', title: 'Too Many Concurrent Changes' },
  'rate-limit': { kind: 'limited', title: 'Rate Limit Exceeded' },
  'partner-unavailable': { kind: 'bad-gateway', title: 'Partner Unavailable' },
  'partner-timeout': { kind: 'gateway-timeout', title: 'Partner Timeout' },
  'read-model-behind': { kind: 'unavailable', title: 'Read Model Behind' },
  unavailable: { kind: 'unavailable', title: 'Service Unavailable' },
  'payload-too-large': { kind: 'too-large', title: 'Payload Too Large' },
  'method-not-allowed': { kind: 'method', title: 'Method Not Allowed' },
  'internal-error': { kind: 'fault', title: 'Internal Server Error' },
} as const satisfies Record<string, { kind: ProblemKind; title: string }>

export type ProblemKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'method'
  | 'conflict'
  | 'too-large'
  | 'mismatch'
  | 'limited'
  | 'fault'
  | 'bad-gateway'
  | 'unavailable'
  | 'gateway-timeout'

export type ProblemCode = keyof typeof problemCodes

/**
 * A command or request refused by a rule: an answer, not a fault. Recorded under the idempotency key where `isRule` kinds say so.
 * code: from the catalogue. detail: a sentence for the client, without internals or personal data.
 * members: extra members of the problem document (for example `balance`, `errors`, `retry_after`, `booking_id`).
 */
export class Rejection extends Error {
  readonly code: ProblemCode
  readonly detail: string
  readonly members: Record<string, unknown>

  constructor(code: ProblemCode, detail: string, members: Record<string, unknown> = {}) {
    super(`${code}: ${detail}`)
    this.name = 'Rejection'
    this.code = code
    this.detail = detail
    this.members = members
  }
}
