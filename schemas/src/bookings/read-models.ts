/** Rows of the read models of bookings: projections write them, query-api reads them, nobody else sees them. */
import type { Flight } from '../flights/offers.ts'
import type { BookingPrice, FailureReason } from './messages.ts'
import type { BookingStatus } from './views.ts'

/** The call that machines or a person have to clear up. Instants are UTC. */
export interface BookingTrouble {
  step: string
  attempt: number
  why: string
  since: string
  /** Until when machines reconcile, or by when a person should decide. */
  until: string
}

/** What the status of a booking is derived from. */
export interface BookingProgress {
  phase: 'processing' | 'pending_approval' | 'undoing' | 'confirmed' | 'rejected' | 'failed' | 'expired' | 'cancelled'
  /** How an undone booking ends. */
  undoTo: 'failed' | 'expired' | 'cancelled' | null
  isSupplierAwaited: boolean
  unknown: BookingTrouble | null
  operator: BookingTrouble | null
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
  deducted: { amount: number; currency: string } | null
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
