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
import type { BookingProgress, Dispute, TroubleEvidence } from '@portolan/schemas/bookings/read-models.ts'
import type { BookingStatus } from '@portolan/schemas/bookings/statuses.ts'

/** A balance that never stands still would fill the row. */
const SEEN_MAX = 20
const endedPhases: readonly BookingProgress['phase'][] = ['rejected', 'failed', 'expired', 'cancelled']

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
  'OutcomeRead',
  'OutcomeEstablished',
  'OutcomeDisputed',
  'OutcomeUpheld',
  'OutcomeCorrected',
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
      const unknown = { step, attempt, why: code, since: at, until: reconcileUntil }
      return { ...p, unknown, evidence: evidenceOf(event.data) }
    }
    case 'OutcomeRead': {
      const { step, attempt, ...look } = event.data
      const evidence = p.evidence ?? evidenceOf({ step, attempt })
      return { ...p, evidence: { ...evidence, seen: [...evidence.seen, look].slice(-SEEN_MAX) } }
    }
    case 'OutcomeDisputed':
      return { ...p, disputed: [...(p.disputed ?? []), disputeOf(event.data)] }
    case 'OutcomeUpheld':
      return withoutDispute(p, event.data)
    case 'OutcomeCorrected': {
      const known = withoutDispute(p, event.data)
      return endedPhases.includes(p.phase) ? { ...known, phase: 'undoing' } : known
    }
    case 'OperatorNeeded': {
      const { step, attempt, why, looks, at, decideBy } = event.data
      const operator = { step, attempt, why, since: at, until: decideBy }
      return looks === undefined
        ? { ...p, operator }
        : { ...p, operator, evidence: { ...(p.evidence ?? evidenceOf({ step, attempt })), looks } }
    }
    case 'CompensationStarted':
      return { ...p, phase: 'undoing', undoTo: p.undoTo ?? event.data.to }
    case 'CancellationRequested':
      return { ...p, phase: 'undoing', undoTo: 'cancelled' }
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

/** What is known about a call when its outcome becomes a question. */
function evidenceOf({
  step,
  attempt,
  claimedAt = null,
  callBefore = null,
  movement = null,
}: Pick<TroubleEvidence, 'step' | 'attempt'> & {
  claimedAt?: string | null
  callBefore?: string | null
  movement?: TroubleEvidence['movement'] | undefined
}): TroubleEvidence {
  return { step, attempt, claimedAt, callBefore, movement, looks: null, seen: [] }
}

function disputeOf(data: Extract<ShownEvent, { type: 'OutcomeDisputed' }>['data']): Dispute {
  const { step, attempt, order, transactionId, at, decideBy } = data
  const { orderId = null, bookingReference = null } = order ?? {}
  const reported = { orderId, bookingReference, transactionId }
  return { step, attempt, why: 'reported-late', since: at, until: decideBy, reported }
}

function withoutDispute(
  { disputed = [], ...p }: BookingProgress,
  { step, attempt }: { step: string; attempt: number },
): BookingProgress {
  const left = disputed.filter((one) => one.step !== step || one.attempt !== attempt)
  return left.length > 0 ? { ...p, disputed: left } : p
}

function unblocked({ evidence: _answered, ...p }: BookingProgress): BookingProgress {
  return { ...p, isSupplierAwaited: false, unknown: null, operator: null }
}

function ended(p: BookingProgress, phase: BookingProgress['phase']): BookingProgress {
  return { ...unblocked(p), phase }
}

function decided(p: BookingProgress, { by, at }: { by: string; at: string }): BookingProgress {
  return { ...p, approval: p.approval && { ...p.approval, decidedBy: by, decidedAt: at } }
}
