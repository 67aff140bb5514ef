/**
 * Bookings of a store that was restored to an earlier point (decision 0014). In the time that was lost such a booking may have gone
 * on: its calls may have been made, and nothing here says so. Until a look-up or a person has answered for it, no step that may have
 * been done is done again.
 *
 * `BookingHistoryLost` names the steps in doubt. When one of them is the next thing to do, `askInstead` makes an unknown outcome of
 * it: orders are looked up by the metadata sent with them; a movement, whose balance before nobody knows, goes to an operator.
 *
 * What may have happened, by where the booking stands in the restored store:
 *   pending_approval      it was approved, and then everything of `arranging`; so it does not end unasked either
 *   arranging, undoing    any step that is not recorded as done: ordered, deducted, refunded
 *   unknown, awaiting     the same; look-ups of orders go on, comparisons of balances prove nothing any more
 *   confirmed             it was cancelled and refunded. A refund follows the order's cancellation, so when our own cancellation
 *                         succeeds there was none; when the order was cancelled already, a person must say
 *   ended                 nothing that a call would repeat; where Kafka knew more, it was corrected and then undone further, which counts
 *                         once it is corrected again
 */
import { type BookingEvent, bookingSteps } from '@portolan/schemas/bookings/messages.ts'
import { type Booking, isDoubted } from './booking.ts'
import type { Decision, States } from './decider.ts'
import {
  type AttemptSettings,
  later,
  movementSteps,
  nextSteps,
  owesGiveBack,
  type ProcessTimes,
  undoSteps,
} from './process.ts'

/** All steps that move money or orders. */
const claimable = Object.entries(bookingSteps).flatMap(([step, kind]) => (kind.claimed ? [step] : []))

/** What a booking that had ended does once a correction opens it again. */
const undoing = ['cancel-order', 'refund']

export interface LostHistory {
  /** The generation of the log that begins with this mark. */
  generation: number
  /** Events of the stream that Kafka held and the store did not know; 0: none that anybody knows of. */
  lostEvents: number
}

/**
 * The mark of a booking whose latest events may be missing, and the end of its claimed attempt, whose report may be among them; nothing
 * when it was marked for this generation, or cannot move anything any more. To be handed to `conclude`.
 */
export function markLostHistory(states: States, lost: LostHistory, now: string, settings: AttemptSettings): Decision {
  const b = states.booking
  if (!b || (b.lost?.generation ?? 0) >= lost.generation || isOver(b, lost, now)) return noDecision
  const doubted = b.endedAt ? undoing : b.phase === 'confirmed' ? ['refund'] : claimable
  const marked: BookingEvent = { type: 'BookingHistoryLost', data: { ...lost, doubted, at: now } }
  const claimed = Object.values(b.open).filter(({ claim }) => claim)
  const ended = claimed.flatMap(({ step, attempt }): BookingEvent[] => [
    { type: 'AttemptEnded', data: { step, attempt, outcome: 'unknown', code: 'history-lost', retryAt: null, at: now } },
    ...becameUnknown(step, attempt, now, settings.times),
  ])
  const wasUnknown =
    b.unknown && !b.operator && movementSteps.includes(b.unknown.step)
      ? [operatorNeeded(b.unknown.step, b.unknown.attempt, now, settings.times)]
      : []
  const movement = states.account.open
  const isTheirs =
    movement &&
    !movement.unknown &&
    claimed.some(({ step }) => movement.movementId.startsWith(`${b.bookingId}:${step}:`))
  return {
    booking: [marked, ...ended, ...wasUnknown],
    account: isTheirs ? [{ type: 'MovementUnknown', data: { movementId: movement.movementId, at: now } }] : [],
  }
}

/** A flight that has departed is not cancelled any more, and nothing that has ended goes on, unless it is known to have done so. */
function isOver(b: Booking, { lostEvents }: LostHistory, now: string): boolean {
  if (lostEvents > 0) return false
  return b.endedAt !== null || (b.phase === 'confirmed' && b.offer.outbound.departure.time <= now)
}

/**
 * The unknown outcome of the step that a booking would do next and that may have been done already; [] when there is no doubt.
 * b: free to go on: nothing is claimed, unknown, awaited or with an operator.
 */
export function askInstead(b: Booking, now: string, times: ProcessTimes): BookingEvent[] {
  if (!b.lost) return []
  const next = undoQuestion(b, times) ?? nextSteps(b, times).find(({ step }) => isDoubted(b, step))
  return next ? becameUnknown(next.step, next.attempt, now, times) : []
}

/**
 * What has to be known about a booking that is being undone although no step asks for it: an order that we do not know of must be found
 * before its price is given back or the booking ends, and before it ends or an amount becomes owed, whether it was deducted or refunded.
 */
function undoQuestion(b: Booking, times: ProcessTimes) {
  if (b.phase !== 'undoing') return undefined
  const isLast = undoSteps(b, times).length === 0
  // That nothing was deducted settles that nothing was paid for, so it is asked first.
  const questions = [
    isLast && !b.deduction ? ['deduct'] : [],
    b.order ? [] : ['issue-tickets'],
    b.order || isInstant(b) ? [] : ['place-hold'],
    isLast && owesGiveBack(b) ? ['refund'] : [],
  ].flat()
  const step = questions.find((one) => isDoubted(b, one))
  return step && { step, attempt: (b.attempts[step] ?? 0) + 1 }
}

/** An instant fare is ordered and paid in one; after an approval the fare is looked up anew, and may be another. */
const isInstant = (b: Booking) => b.fareAgreed && !b.offer.holdable

function becameUnknown(step: string, attempt: number, now: string, times: ProcessTimes): BookingEvent[] {
  const reconcileUntil = later(now, times.reconcileWindowMs)
  const unknown: BookingEvent = {
    type: 'OutcomeUnknown',
    data: { step, attempt, code: 'history-lost', reconcileUntil, at: now },
  }
  return movementSteps.includes(step) ? [unknown, operatorNeeded(step, attempt, now, times)] : [unknown]
}

function operatorNeeded(step: string, attempt: number, now: string, times: ProcessTimes): BookingEvent {
  const decideBy = later(now, times.operatorWindowMs)
  return { type: 'OperatorNeeded', data: { step, attempt, why: 'history-lost', decideBy, at: now } }
}

/**
 * A deduction for a member who has lost events: their booking of then may be the one that is now asked for again. The first one goes
 * to an operator, whose decision also clears the member (`AccountHistoryReviewed`).
 */
export function doubtDeduction(b: Booking, generation: number, now: string): BookingEvent {
  return {
    type: 'BookingHistoryLost',
    data: { generation: Math.max(generation, b.lost?.generation ?? 0), lostEvents: 0, doubted: ['deduct'], at: now },
  }
}

const noDecision: Decision = { booking: [], account: [] }
