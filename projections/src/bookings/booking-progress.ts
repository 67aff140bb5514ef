/**
 * Where a booking stands, folded from its events: the read side's own derivation, kept in step with the write side's by
 * the tests that compare answers. Shared by every read model that shows a status.
 *
 *   processing ─► pending_approval ─► processing ─► confirmed ─► (undoing) ─► cancelled
 *        └────────────┴──► rejected / expired / failed ◄── (undoing)
 *
 * Across processing and undoing one thing may stand in the way: an unknown outcome, a person's decision, or a supplier
 * that accepted and has not said more; whatever is learned next removes it.
 */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import type { BookingProgress } from '@portolan/schemas/bookings/read-models.ts'
import type { BookingStatus } from '@portolan/schemas/bookings/views.ts'

export const startProgress: BookingProgress = {
  phase: 'processing',
  undoTo: null,
  isSupplierAwaited: false,
  unknown: null,
  operator: null,
  approval: null,
}

/** The event types that change anything a reader sees; the steps of the process manager do not. */
export const shownEvents = [
  'BookingRequested',
  'ApprovalRequested',
  'BookingApproved',
  'BookingRejected',
  'FareConfirmed',
  'HoldPlaced',
  'PaymentDeducted',
  'BookingConfirmed',
  'SupplierAccepted',
  'OutcomeUnknown',
  'OutcomeEstablished',
  'OperatorNeeded',
  'OperatorDecided',
  'CompensationStarted',
  'CancellationRequested',
  'OrderCancelled',
  'PaymentRefunded',
  'RefundOwed',
  'BookingFailed',
  'BookingExpired',
  'BookingCancelled',
] as const satisfies readonly BookingEvent['type'][]
export type ShownEvent = Extract<BookingEvent, { type: (typeof shownEvents)[number] }>

/** Folds one event. Pure; every type in `shownEvents` has its case. */
export function evolveProgress(p: BookingProgress, event: ShownEvent): BookingProgress {
  switch (event.type) {
    case 'BookingRequested':
      return startProgress
    case 'ApprovalRequested': {
      const { reason, expiresAt } = event.data
      return { ...p, phase: 'pending_approval', approval: { reason, expiresAt, decidedBy: null, decidedAt: null } }
    }
    case 'BookingApproved':
      return decided({ ...p, phase: 'processing' }, event.data)
    case 'BookingRejected':
      return decided(ended(p, 'rejected'), event.data)
    case 'FareConfirmed':
      return p
    case 'HoldPlaced':
    case 'PaymentDeducted':
    case 'OutcomeEstablished':
    case 'OperatorDecided':
    case 'OrderCancelled':
    case 'PaymentRefunded':
    case 'RefundOwed':
      return unblocked(p)
    case 'BookingConfirmed':
      return { ...unblocked(p), phase: p.undoTo ? 'undoing' : 'confirmed' }
    case 'SupplierAccepted':
      return { ...unblocked(p), isSupplierAwaited: true }
    case 'OutcomeUnknown': {
      const { step, attempt, code, at, reconcileUntil } = event.data
      return { ...p, unknown: { step, attempt, why: code, since: at, until: reconcileUntil } }
    }
    case 'OperatorNeeded': {
      const { step, attempt, why, at, decideBy } = event.data
      return { ...p, operator: { step, attempt, why, since: at, until: decideBy } }
    }
    case 'CompensationStarted':
      return { ...p, phase: 'undoing', undoTo: p.undoTo ?? event.data.to }
    case 'CancellationRequested':
      return { ...p, phase: p.phase === 'pending_approval' ? p.phase : 'undoing', undoTo: 'cancelled' }
    case 'BookingFailed':
      return ended(p, 'failed')
    case 'BookingExpired':
      return ended(p, 'expired')
    case 'BookingCancelled':
      return ended(p, 'cancelled')
  }
}

/** The status in the words of the contract's views. */
export function statusOf(p: BookingProgress): BookingStatus {
  if (p.phase !== 'processing' && p.phase !== 'undoing') return p.phase
  if (p.unknown || p.operator) return 'outcome_unknown'
  if (p.isSupplierAwaited) return 'awaiting_supplier'
  if (p.phase === 'processing') return 'processing'
  return p.undoTo === 'cancelled' ? 'cancelling' : 'compensating'
}

function unblocked(p: BookingProgress): BookingProgress {
  return { ...p, isSupplierAwaited: false, unknown: null, operator: null }
}

function ended(p: BookingProgress, phase: BookingProgress['phase']): BookingProgress {
  return { ...unblocked(p), phase }
}

function decided(p: BookingProgress, { by, at }: { by: string; at: string }): BookingProgress {
  return { ...p, approval: p.approval && { ...p.approval, decidedBy: by, decidedAt: at } }
}
