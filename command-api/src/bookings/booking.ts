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
import type {
  BookedOffer,
  BookingEvent,
  BookingPrice,
  FailureReason,
  Sighting,
} from '@portolan/schemas/bookings/messages.ts'
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
  /** What the last look at an open question showed, so that only a change is recorded. */
  lastSeen: Sighting | null
  /** What each attempt came to, by `attemptKey`. Only what was concluded, not what its caller reported, can turn out to be wrong. */
  outcomes: Record<string, { happened: boolean; isConcluded: boolean }>
  endedAt: string | null
  open: Record<string, OpenStep>
  /** Last attempt number asked for, by step; numbers are never used twice. */
  attempts: Record<string, number>
  /** When a step that was not done is tried again. */
  retries: Record<string, string>
  hastened: Record<string, string>
  /** Steps that may have been done in a time that the store has lost (lost-history.ts); null: it never was restored. */
  lost: { generation: number; doubted: string[]; lostEvents: number; wasConfirmed: boolean } | null
  /** The execution that claimed each attempt, by `attemptKey`: the only one whose late report is believed. */
  executions: Record<string, string>
  /** Conclusions that such a report contradicted, by `attemptKey`; open ones wait for an operator. */
  disputes: Record<string, StepTrouble & { decideBy: string; isOpen: boolean }>
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
      const { step, attempt } = unknown
      const attempts = { ...b.attempts, [step]: Math.max(attempt, b.attempts[step] ?? 0) }
      return { ...b, attempts, unknown: { ...unknown, since: at } }
    }
    case 'OutcomeEstablished': {
      const { step, happened, by } = event.data
      const known = outcomeOf(unblocked(b), event.data, { happened, isConcluded: by !== 'report' })
      return { ...known, lost: withoutDoubt(b, step, happened) }
    }
    case 'OutcomeRead':
      return { ...b, lastSeen: event.data.saw }
    case 'OutcomeCorrected':
      return corrected(b, event.data)
    case 'OutcomeDisputed': {
      const { step, attempt, decideBy } = event.data
      return { ...b, disputes: { ...b.disputes, [attemptKey(event.data)]: { step, attempt, decideBy, isOpen: true } } }
    }
    case 'OutcomeUpheld':
      return { ...b, disputes: answered(b, event.data), deduction: namedBy(b, event.data) }
    case 'OperatorNeeded': {
      const { at: _at, ...operator } = event.data
      return { ...b, operator }
    }
    case 'OperatorDecided': {
      const { step, attempt, decision, at } = event.data
      const lost = withoutDoubt(b, step, decision === 'happened')
      const known = outcomeOf(progressed(b, at), event.data, { happened: decision === 'happened', isConcluded: true })
      return { ...known, decided: { step, attempt, decision }, lost }
    }
    case 'BookingHistoryLost': {
      const { generation, doubted, lostEvents } = event.data
      return { ...b, lost: { generation, doubted, lostEvents, wasConfirmed: b.phase === 'confirmed' } }
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
      const { step, executionId, at, callBefore, lostAt } = event.data
      const open = b.open[step]
      if (!open) return b
      const claim = { executionId, ...(at && { at }), callBefore, lostAt }
      return {
        ...b,
        executions: { ...b.executions, [attemptKey(event.data)]: executionId },
        open: { ...b.open, [step]: { ...open, claim } },
      }
    }
    case 'AttemptEnded': {
      const { step, outcome, retryAt } = event.data
      // Our own cancellation found the order standing, so none came before it, and no refund either.
      const isFirst =
        step === 'cancel-order' && outcome === 'succeeded' && b.lost?.wasConfirmed && b.lost.lostEvents === 0
      return {
        ...(outcome === 'succeeded' ? outcomeOf(b, event.data, { happened: true, isConcluded: false }) : b),
        lost: isFirst ? withoutDoubt(b, 'refund', false) : b.lost,
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
    lastSeen: null,
    outcomes: {},
    endedAt: null,
    open: {},
    attempts: {},
    retries: {},
    hastened: {},
    executions: {},
    disputes: {},
    lost: null,
  }
}

/** A cancellation of a booking that is already being undone changes how it ends, not whether the member gets the amount back. */
function cancelling(b: Booking, data: DataOf<'CancellationRequested'>): Booking {
  const { at } = data
  const refundRequested = b.undo ? true : data.refundRequested
  return {
    ...b,
    cancellation: { ...data, refundRequested },
    phase: 'undoing',
    undo: { to: 'cancelled', reason: b.undo?.reason ?? null, availableBalance: null },
    progressAt: at,
  }
}

/** Whether a step may have been done in a time that the store has lost. */
export function isDoubted(b: Booking, step: string): boolean {
  return b.lost?.doubted.includes(step) ?? false
}

/** What is still in doubt after an answer about a step. A deduction that was never made was never followed by anything either. */
function withoutDoubt(b: Booking, step: string, happened: boolean): Booking['lost'] {
  const settled = step === 'deduct' && !happened ? ['deduct', 'issue-tickets', 'refund'] : [step]
  return b.lost && { ...b.lost, doubted: b.lost.doubted.filter((one) => !settled.includes(one)) }
}

function unblocked(b: Booking): Booking {
  return { ...b, unknown: null, awaiting: null, operator: null, lastSeen: null }
}

/** How an attempt is named in `outcomes`. */
export const attemptKey = ({ step, attempt }: StepTrouble): string => `${step}:${attempt}`

/** Keys of the attempts of a step that happened. */
export function made(b: Booking, step: string): string[] {
  return Object.entries(b.outcomes).flatMap(([key, { happened }]) =>
    happened && key.startsWith(`${step}:`) ? [key] : [],
  )
}

function outcomeOf(b: Booking, of: StepTrouble, outcome: Booking['outcomes'][string]): Booking {
  return { ...b, outcomes: { ...b.outcomes, [attemptKey(of)]: outcome } }
}

/** The facts as they are now known to be. A booking that had ended is undone further; `conclude` ends it again when nothing is left. */
function corrected(b: Booking, data: DataOf<'OutcomeCorrected'>): Booking {
  const { happened, at } = data
  const known = outcomeOf(b, data, { happened, isConcluded: true })
  const givenBack = data.givenBack && {
    as: data.givenBack,
    at: b.givenBack?.as === data.givenBack ? b.givenBack.at : at,
  }
  const reopened = b.endedAt === null ? {} : { phase: 'undoing' as const, endedAt: null }
  return {
    ...known,
    ...reopened,
    ...correctedFacts(known, data),
    givenBack,
    disputes: answered(b, data),
    progressAt: at,
  }
}

/** A dispute that was answered is kept: the report that raised it may be repeated. */
function answered({ disputes }: Booking, about: StepTrouble): Booking['disputes'] {
  const dispute = disputes[attemptKey(about)]
  return dispute ? { ...disputes, [attemptKey(about)]: { ...dispute, isOpen: false } } : disputes
}

function namedBy({ deduction }: Booking, { transactionId }: DataOf<'OutcomeUpheld'>): Booking['deduction'] {
  return deduction && { ...deduction, transactionId: deduction.transactionId ?? transactionId ?? null }
}

function correctedFacts(
  b: Booking,
  { step, happened, transactionId, order }: DataOf<'OutcomeCorrected'>,
): Partial<Booking> {
  switch (step) {
    case 'deduct': {
      const { loyaltyAmount: amount, loyaltyCurrency: currency } = b.price
      // Of two deductions one stands here; settle-up.ts knows of both.
      if (happened)
        return { deduction: { amount, currency, transactionId: b.deduction?.transactionId ?? transactionId } }
      return made(b, step).length > 0 ? {} : { deduction: null }
    }
    case 'place-hold':
    case 'issue-tickets': {
      if (!happened || !order) return { order: null, tickets: [], confirmedAt: null }
      const { tickets, ...ref } = order
      return { order: { ...ref, payBy: null, state: step === 'place-hold' ? 'held' : 'ticketed' }, tickets }
    }
    case 'cancel-order':
      return { order: b.order && { ...b.order, state: b.tickets.length > 0 ? 'ticketed' : 'held' } }
    default:
      return {}
  }
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
