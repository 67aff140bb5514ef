/**
 * A booking's state and how events change it.
 *
 *   (none) ─► pending_approval ─► arranging ─► confirmed
 *                 │    │              │            │ cancellation
 *                 │    │              └──► undoing ◄┘
 *                 ▼    ▼                      ▼
 *          rejected  expired      failed / expired / cancelled
 *
 * arranging: recheck the fare (only after an approval) → hold where the fare allows → deduct → issue tickets.
 * undoing: everything done so far is taken back; `undo.to` names the end.
 * Across arranging and undoing, one of these may stand in the way, never two: `unknown` (reconcile), `awaiting` (202, poll) or
 * `operator` (a person decides). While one stands, or while an attempt is claimed, no further call is asked for.
 */
import type { BookedOffer, BookingEvent, BookingPrice, FailureReason } from '@portolan/schemas/bookings/messages.ts'
import type { OpenStep } from '@portolan/schemas/steps.ts'

type DataOf<T extends BookingEvent['type']> = Extract<BookingEvent, { type: T }>['data']

export interface Order {
  orderId: string
  bookingReference: string | null
  /** Until when an unpaid order keeps its seats; null once paid. */
  payBy: string | null
  state: 'held' | 'ticketed' | 'cancelled'
}

export interface StepTrouble {
  step: string
  attempt: number
}

export interface Booking {
  phase: 'pending_approval' | 'arranging' | 'undoing' | 'confirmed' | 'rejected' | 'failed' | 'expired' | 'cancelled'
  bookingId: string
  memberId: string
  personId: string
  offer: BookedOffer
  price: BookingPrice
  passengers: DataOf<'BookingRequested'>['passengers']
  contactSealed: string
  requestedAt: string
  approval: { reason: string; expiresAt: string; approvedAt: string | null } | null
  /** After an approval the fare must be looked up again before anything is ordered. */
  fareAgreed: boolean
  /** Instant of the last change that made a new step due: its window counts from here, however often it is tried or unknown. */
  progressAt: string
  order: Order | null
  tickets: DataOf<'BookingConfirmed'>['tickets']
  confirmedAt: string | null
  deduction: { amount: number; currency: string; transactionId: string | null } | null
  givenBack: { as: 'refunded' | 'owed'; at: string } | null
  undo: { to: 'failed' | 'expired' | 'cancelled'; reason: FailureReason | null; availableBalance: number | null } | null
  cancellation: { by: string; refundRequested: boolean; reasonSealed: string | null; at: string } | null
  unknown: (StepTrouble & { code: string; since: string; reconcileUntil: string }) | null
  awaiting: { step: string; orderId: string | null; pollUntil: string; since: string } | null
  operator: (StepTrouble & { why: string; decideBy: string }) | null
  /** The last decision of an operator, so that repeating it changes nothing. */
  decided: (StepTrouble & { decision: string }) | null
  endedAt: string | null
  open: Record<string, OpenStep>
  /** Last attempt number asked for, by step; numbers are never used twice. */
  attempts: Record<string, number>
  /** When a step that was not done is tried again. */
  retries: Record<string, string>
  hastened: Record<string, string>
  /** The execution that claimed a step's last attempt: the only one whose late report is believed. */
  executions: Record<string, string>
}

export type BookingState = Booking | null

/** Folds one event; events of a booking that does not exist yet change nothing except BookingRequested. */
export function evolveBooking(state: BookingState, event: BookingEvent): BookingState {
  if (event.type === 'BookingRequested') return requested(event.data)
  return state && evolveExisting(state, event)
}

function evolveExisting(b: Booking, event: Exclude<BookingEvent, { type: 'BookingRequested' }>): Booking {
  switch (event.type) {
    case 'ApprovalRequested': {
      const { reason, expiresAt } = event.data
      return { ...b, phase: 'pending_approval', approval: { reason, expiresAt, approvedAt: null }, fareAgreed: false }
    }
    case 'BookingApproved': {
      const { at } = event.data
      return { ...b, phase: 'arranging', approval: b.approval && { ...b.approval, approvedAt: at }, progressAt: at }
    }
    case 'BookingRejected':
      return ended(b, 'rejected', event.data.at)
    case 'FareConfirmed': {
      const { at, ...fare } = event.data
      const passengers = b.passengers.map((p, i) => ({
        ...p,
        supplierPassengerId: fare.supplierPassengerIds[i] ?? p.supplierPassengerId,
      }))
      return { ...b, fareAgreed: true, offer: { ...b.offer, ...fare }, passengers, progressAt: at }
    }
    case 'HoldPlaced': {
      const { at, ...order } = event.data
      return { ...progressed(b, at), order: { ...order, state: 'held' } }
    }
    case 'PaymentDeducted': {
      const { at, ...deduction } = event.data
      return { ...progressed(b, at), deduction }
    }
    case 'BookingConfirmed': {
      const { orderId, bookingReference, tickets, at } = event.data
      const order: Order = { orderId, bookingReference, payBy: null, state: 'ticketed' }
      return { ...progressed(b, at), phase: b.undo ? 'undoing' : 'confirmed', order, tickets, confirmedAt: at }
    }
    case 'SupplierAccepted': {
      const { step, pollUntil, orderId = null, at } = event.data
      return { ...unblocked(b), awaiting: { step, orderId, pollUntil, since: at } }
    }
    case 'OutcomeUnknown': {
      const { at, ...unknown } = event.data
      return { ...b, unknown: { ...unknown, since: at } }
    }
    case 'OutcomeEstablished':
      return unblocked(b)
    case 'OperatorNeeded': {
      const { at: _at, ...operator } = event.data
      return { ...b, operator }
    }
    case 'OperatorDecided': {
      const { step, attempt, decision, at } = event.data
      return { ...progressed(b, at), decided: { step, attempt, decision } }
    }
    case 'CompensationStarted': {
      const { to, reason, availableBalance, at } = event.data
      return { ...b, phase: 'undoing', undo: b.undo ?? { to, reason, availableBalance }, progressAt: at }
    }
    case 'CancellationRequested':
      return cancelling(b, event.data)
    case 'OrderCancelled':
      return { ...progressed(b, event.data.at), order: b.order && { ...b.order, state: 'cancelled' } }
    case 'PaymentRefunded':
      return { ...progressed(b, event.data.at), givenBack: { as: 'refunded', at: event.data.at } }
    case 'RefundOwed':
      return { ...progressed(b, event.data.at), givenBack: { as: 'owed', at: event.data.at } }
    case 'BookingFailed':
      return ended(b, 'failed', event.data.at)
    case 'BookingExpired':
      return ended(b, 'expired', event.data.at)
    case 'BookingCancelled':
      return ended(b, 'cancelled', event.data.at)
    case 'StepHastened':
      return { ...b, hastened: { ...b.hastened, [event.data.step]: event.data.at } }
    case 'StepRequested': {
      const { step, attempt } = event.data
      return {
        ...b,
        open: { ...b.open, [step]: { ...event.data, claim: null } },
        attempts: { ...b.attempts, [step]: attempt },
        hastened: without(b.hastened, step),
      }
    }
    case 'AttemptStarted': {
      const { step, executionId, callBefore, lostAt } = event.data
      const open = b.open[step]
      if (!open) return b
      return {
        ...b,
        executions: { ...b.executions, [step]: executionId },
        open: { ...b.open, [step]: { ...open, claim: { executionId, callBefore, lostAt } } },
      }
    }
    case 'AttemptEnded': {
      const { step, retryAt } = event.data
      return {
        ...b,
        open: without(b.open, step),
        retries: retryAt ? { ...b.retries, [step]: retryAt } : without(b.retries, step),
      }
    }
    case 'StepWithdrawn':
      return { ...b, open: without(b.open, event.data.step), retries: without(b.retries, event.data.step) }
  }
}

function requested(data: DataOf<'BookingRequested'>): Booking {
  const { at, ...request } = data
  return {
    ...request,
    phase: 'arranging',
    requestedAt: at,
    progressAt: at,
    fareAgreed: true,
    approval: null,
    order: null,
    tickets: [],
    confirmedAt: null,
    deduction: null,
    givenBack: null,
    undo: null,
    cancellation: null,
    unknown: null,
    awaiting: null,
    operator: null,
    decided: null,
    endedAt: null,
    open: {},
    attempts: {},
    retries: {},
    hastened: {},
    executions: {},
  }
}

/** A cancellation of a booking that is already being undone changes how it ends, not whether the member gets the amount back. */
function cancelling(b: Booking, data: DataOf<'CancellationRequested'>): Booking {
  const { at } = data
  const refundRequested = b.undo ? true : data.refundRequested
  return {
    ...b,
    cancellation: { ...data, refundRequested },
    phase: b.phase === 'pending_approval' ? b.phase : 'undoing',
    undo: { to: 'cancelled', reason: b.undo?.reason ?? null, availableBalance: null },
    progressAt: at,
  }
}

function unblocked(b: Booking): Booking {
  return { ...b, unknown: null, awaiting: null, operator: null }
}

function progressed(b: Booking, at: string): Booking {
  return { ...unblocked(b), progressAt: at }
}

function ended(b: Booking, phase: Booking['phase'], at: string): Booking {
  return { ...unblocked(b), phase, endedAt: at }
}

function without<V>(record: Record<string, V>, key: string): Record<string, V> {
  const { [key]: _gone, ...rest } = record
  return rest
}
