/**
 * Duffel as our flight supplier. What a booking needs of it is one function each, in the files beside this one; every
 * answer says whether the call took effect, and reads never answer `unknown`.
 */
import type { CallAnswer } from '../steps/call-answer.ts'
import type { DuffelClient } from './duffel-client.ts'
import type { OrderPassenger } from './duffel-orders.ts'

export interface DuffelTimes {
  /** Creating and cancelling orders: Duffel may take 120 s. */
  orderTimeoutMs: number
  /** Reads of one thing. */
  readTimeoutMs: number
}

/** Searching and ordering each have a guard: neither a flood of searches nor airlines that answer none may stop a cancellation. */
export interface Duffel {
  searching: DuffelClient
  ordering: DuffelClient
  times: DuffelTimes
}

/** Whose order it is; travels as the order's metadata. */
export interface OrderOwner {
  bookingId: string
  tenantId: string
}

/** What identifies a passenger of an order, in the booking's order. */
export type PassengerRef = Pick<OrderPassenger, 'supplierPassengerId'>

export const offerUnavailable: CallAnswer<never> = { kind: 'refused', code: 'offer-unavailable' }
/** Something was made, but not what was asked for: nobody may build on it. */
export const implausible: CallAnswer<never> = { kind: 'unknown', code: 'server-error' }
