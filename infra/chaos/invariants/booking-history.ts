/** What a booking's events say, folded as little as the invariants need: their own derivation, not the product's. */
import type { StoredEvent } from '../evidence.ts'

export interface BookingHistory {
  tenantId: string
  bookingId: string
  memberId: string
  flightId: string
  events: StoredEvent[]
  /** As its member reads it. */
  status: WireStatus
  /** What is asked of a person: the step in question and why. A disputed conclusion stands in no other question's way. */
  operator: { step: string; why: string } | null
  unknown: { step: string } | null
  /** The supplier's order was cancelled, or lapsed. */
  isOrderCancelled: boolean
  wasConfirmed: boolean
  /** Of the deduction, where the partner told it. */
  transactionId: string | null
}

export type WireStatus = 'pending' | 'pending_approval' | 'confirmed' | 'rejected' | 'failed' | 'expired' | 'cancelled'

const ends: Record<string, WireStatus> = {
  BookingRejected: 'rejected',
  BookingFailed: 'failed',
  BookingExpired: 'expired',
  BookingCancelled: 'cancelled',
}

/** Whatever is learned or decided next takes an unknown outcome, or a question to a person, away. */
const progress = new Set([
  'HoldPlaced',
  'PaymentDeducted',
  'BookingConfirmed',
  'SupplierAccepted',
  'OutcomeEstablished',
  'OperatorDecided',
  'OrderCancelled',
  'PaymentRefunded',
  'RefundOwed',
  ...Object.keys(ends),
])

/** Events that change nothing that a reader sees: rows neither count nor show them. */
const unseen = new Set([
  'StepRequested',
  'AttemptStarted',
  'AttemptEnded',
  'StepWithdrawn',
  'StepHastened',
  'BookingHistoryLost',
])

/** The last event up to a version that a reader sees. */
export function lastSeen(events: readonly StoredEvent[], version = Number.POSITIVE_INFINITY): StoredEvent | undefined {
  return events.findLast(({ streamVersion, type }) => streamVersion <= version && !unseen.has(type))
}

/** The status after each event; `pending` is everything that is neither final nor waits for approval. */
export function statuses(events: readonly StoredEvent[]): WireStatus[] {
  let status: WireStatus = 'pending'
  let isUndone = false
  return events.map(({ type }) => {
    if (type === 'CancellationRequested' || type === 'CompensationStarted') {
      isUndone = true
      status = 'pending'
    } else if (type === 'ApprovalRequested') status = 'pending_approval'
    else if (type === 'BookingApproved') status = 'pending'
    else if (type === 'BookingConfirmed') status = isUndone ? 'pending' : 'confirmed'
    else status = ends[type] ?? status
    return status
  })
}

/** Reads one stream's events, in the order of their versions. */
export function readHistory(events: StoredEvent[]): BookingHistory {
  const [first] = events
  const history: BookingHistory = {
    tenantId: first?.tenantId ?? '',
    bookingId: first?.stream.slice('booking-'.length) ?? '',
    memberId: first?.data.memberId ?? '',
    flightId: first?.data.offer?.flightId ?? '',
    events,
    status: statuses(events).at(-1) ?? 'pending',
    operator: null,
    unknown: null,
    isOrderCancelled: false,
    wasConfirmed: false,
    transactionId: null,
  }
  const disputed = new Set<string>()
  for (const { type, data } of events) {
    if (progress.has(type)) {
      history.operator = null
      history.unknown = null
    }
    if (type === 'OperatorNeeded') history.operator = { step: data.step, why: data.why }
    if (type === 'OutcomeDisputed') disputed.add(data.step)
    if (type === 'OutcomeCorrected' || type === 'OutcomeUpheld') disputed.delete(data.step)
    if (type === 'OutcomeUnknown') history.unknown = { step: data.step }
    if (type === 'OrderCancelled') history.isOrderCancelled = true
    if (type === 'BookingConfirmed') history.wasConfirmed = true
    if (type === 'PaymentDeducted') history.transactionId = data.transactionId
  }
  for (const step of disputed) history.operator ??= { step, why: 'reported-late' }
  return history
}
