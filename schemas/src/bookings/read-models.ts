/** Rows of the read models of bookings: projections write them, query-api reads them, nobody else sees them. */
import type { Flight } from '../flights/offers.ts'
import type { BookingPrice, FailureReason, Sighting } from './messages.ts'
import type { BookingStatus } from './statuses.ts'

/** The call that machines or a person have to clear up. Instants are UTC. */
export interface BookingTrouble {
  step: string
  attempt: number
  why: string
  since: string
  /** Until when machines reconcile, or by when a person should decide. */
  until: string
}

/** What is known about the call in question, for whoever has to decide. */
export interface TroubleEvidence {
  step: string
  attempt: number
  /** Between these two the call was sent, if it was. */
  claimedAt: string | null
  callBefore: string | null
  /** What a balance is compared with; null for orders. */
  movement: {
    kind: 'deduction' | 'refund'
    amount: number
    currency: string
    balanceBefore: number | null
    readAt: string | null
  } | null
  /** How often machines had looked when they gave up; null before. */
  looks: number | null
  /** What the looks showed, whenever it changed; the latest ones. */
  seen: { look: number; at: string; saw: Sighting }[]
}

/** A conclusion that the caller of the attempt contradicted, and the ids that it named. */
export interface Dispute extends BookingTrouble {
  reported: { orderId: string | null; bookingReference: string | null; transactionId: string | null }
}

/** What the status of a booking is derived from. */
export interface BookingProgress {
  phase: 'processing' | 'pending_approval' | 'undoing' | 'confirmed' | 'rejected' | 'failed' | 'expired' | 'cancelled'
  /** How an undone booking ends. */
  undoTo: 'failed' | 'expired' | 'cancelled' | null
  isSupplierAwaited: boolean
  unknown: BookingTrouble | null
  operator: BookingTrouble | null
  /** Absent while nothing is known about an open question. */
  evidence?: TroubleEvidence
  /** Never empty, absent where there is none: the operators' queue looks for the key. Changes no status. */
  disputed?: Dispute[]
  approval: { reason: string; expiresAt: string; decidedBy: string | null; decidedAt: string | null } | null
}

/** `booking_details.details`. */
export interface BookingDetails {
  bookingId: string
  memberId: string
  /** Owner of the key that seals the passengers. */
  personId: string
  status: BookingStatus
  progress: BookingProgress
  flightId: string
  outbound: Flight
  inbound: Flight | null
  price: BookingPrice
  /** In the order of the request; `sealed` is ciphertext of `PassengerDetails`. */
  passengers: { type: 'adult' | 'child' | 'infant'; sealed: string }[]
  tickets: { passengerIndex: number; ticketNumber: string; seat: string | null }[]
  /** The supplier's order. */
  order: { orderId: string; bookingReference: string | null } | null
  /** The price, once; `times` where it was deducted more often than that. */
  deducted: { amount: number; currency: string; times?: number } | null
  refund: {
    status: 'processed' | 'pending' | 'not_requested' | 'not_applicable'
    amount: number
    at: string | null
  } | null
  failureReason: FailureReason | null
  /** When the cancellation was accepted. */
  cancelledAt: string | null
  createdAt: string
  updatedAt: string
}
