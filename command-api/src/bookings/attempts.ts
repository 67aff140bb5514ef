/**
 * The workers' side of a booking: claiming an attempt, recording the balance before a movement, and reporting what came of it.
 *
 * An attempt that is claimed can end in two ways only: by a report of the execution that holds the claim, or by its watch, as an unknown
 * outcome. A report of that execution which arrives after the watch still counts as long as nobody has concluded otherwise; after that it
 * may dispute the conclusion (disputes.ts).
 */
import { type BookingEvent, bookingSteps } from '@portolan/schemas/bookings/messages.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import type { OpenStep, Outcome, RecordBalance, ReportOutcome, StartAttempt } from '@portolan/schemas/steps.ts'
import { attemptKey, type Booking } from './booking.ts'
import { conclude, type Decision, holdExpired, holdIsOver, nothing, type States } from './decider.ts'
import { disputed } from './disputes.ts'
import { doubtDeduction } from './lost-history.ts'
import { type At, attemptFailed, callLost, reportedLate, succeeded, timerFired, tooEarly } from './outcomes.ts'
import { type AttemptSettings, later, movementOf, movementSteps } from './process.ts'
import { resolve } from './readings.ts'
import { isSameSighting, sightingOf } from './sightings.ts'

const claimedStepNames: readonly string[] = Object.entries(bookingSteps)
  .filter(([, kind]) => kind.claimed)
  .map(([step]) => step)
const timers: readonly string[] = ['approval-expiry', 'hold-expiry', 'operator-decision']
const lookUps: readonly string[] = ['reconcile-movement', 'reconcile-order', 'poll-order']

/**
 * Claims the one call of an attempt. No AttemptStarted means: not granted; `claimAnswer` reads which. An attempt that comes after its
 * step's deadline is ended here, and so is a booking whose hold ran out: nothing may be called for them any more.
 */
export function startAttempt(states: States, command: StartAttempt, now: string, settings: AttemptSettings): Decision {
  const b = states.booking
  const open = b?.open[command.step]
  if (!b || !open || open.attempt !== command.attempt || open.claim) return nothing
  if (holdIsOver(b, now)) return conclude(states, { booking: [holdExpired(now)], account: [] }, now, settings.times)
  if (now > open.deadline) {
    return finish(states, b, open, { kind: 'not-done', code: 'deadline-passed', retryAfterMs: 0 }, now, settings)
  }
  const isMovement = movementSteps.includes(command.step)
  if (command.step === 'deduct' && states.account.lostBefore !== null) {
    const doubt = doubtDeduction(b, states.account.lostBefore, now)
    return conclude(states, { booking: [doubt], account: [] }, now, settings.times)
  }
  if (isMovement && states.account.open) return nothing
  const { executionId, callWithinMs, callTimeoutMs } = command
  const callBefore = later(now, callWithinMs)
  const lostAt = later(callBefore, callTimeoutMs + settings.times.lostGraceMs)
  return {
    booking: [
      {
        type: 'AttemptStarted',
        data: { step: open.step, attempt: open.attempt, executionId, at: now, callBefore, lostAt },
      },
    ],
    account: isMovement ? [{ type: 'MovementOpened', data: { ...movementOf(b, open), executionId, at: now } }] : [],
  }
}

/** What a start request is answered, read from the states after it. */
export function claimAnswer(states: States, command: StartAttempt): 'granted' | 'busy' | 'over' {
  const open = states.booking?.open[command.step]
  if (!open || open.attempt !== command.attempt) return 'over'
  if (!open.claim) return 'busy'
  return open.claim.executionId === command.executionId ? 'granted' : 'over'
}

/** Records the balance read under the claim; repeating it changes nothing. `balanceIsRecorded` says whether the call may be made. */
export function recordBalance(states: States, command: RecordBalance, now: string): MemberEvent[] {
  const movement = states.account.open
  if (!holdsClaim(states, command) || !movement || movement.balanceBefore !== null || movement.unknown) return []
  const { balance, readAt } = command
  return [{ type: 'BalanceRecorded', data: { movementId: movement.movementId, balance, readAt, at: now } }]
}

/** Whether the caller's execution holds the claim and its balance stands: only then the partner may be called. */
export function balanceIsRecorded(states: States, command: RecordBalance): boolean {
  const movement = states.account.open
  return holdsClaim(states, command) && movement?.balanceBefore === command.balance && !movement.unknown
}

function holdsClaim(states: States, command: RecordBalance): boolean {
  const open = states.booking?.open[command.step]
  return (
    open?.attempt === command.attempt &&
    open.claim?.executionId === command.executionId &&
    states.account.open?.executionId === command.executionId
  )
}

/** Takes a report. [] when it is already known or belongs to an execution without a claim. */
export function reportOutcome(
  states: States,
  command: ReportOutcome,
  now: string,
  settings: AttemptSettings,
): Decision {
  const b = states.booking
  if (!b) return nothing
  const open = b.open[command.step]
  if (!open || open.attempt !== command.attempt) return lateReport(states, b, command, now, settings)
  if (open.claim && open.claim.executionId !== command.executionId) return nothing
  const isClaimedStep = claimedStepNames.includes(open.step)
  // Without a claim nothing was called, so the only thing such a report can say is that the attempt did not start.
  if (isClaimedStep && !open.claim && command.outcome.kind !== 'not-done') return nothing
  return finish(states, b, open, command.outcome, now, settings)
}

function finish(
  states: States,
  b: Booking,
  open: OpenStep,
  outcome: Outcome,
  now: string,
  settings: AttemptSettings,
): Decision {
  const at = { b, account: states.account, open, now, settings }
  return conclude(states, consequence(at, outcome), now, settings.times)
}

function consequence(at: At, outcome: Outcome): Decision {
  const { step } = at.open
  // Whatever came of a timer's job, its time is what counts.
  if (step === 'attempt-watch') return watchFired(at)
  if (timers.includes(step)) return timerFired(at)
  if (lookUps.includes(step)) {
    return withSighting(
      at,
      outcome,
      outcome.kind === 'succeeded' ? resolve(at, outcome.result) : attemptFailed(at, outcome),
    )
  }
  return outcome.kind === 'succeeded' ? withEnd(at, succeeded(at, outcome.result)) : attemptFailed(at, outcome)
}

/** Records what a look-up saw, for whoever may have to decide, where it differs from the last time. */
function withSighting({ b, open, now }: At, outcome: Outcome, decision: Decision): Decision {
  const step = b.unknown?.step ?? b.awaiting?.step
  const saw = sightingOf(open.step, outcome)
  if (!step || isSameSighting(b.lastSeen, saw)) return decision
  const attempt = b.unknown?.attempt ?? b.attempts[step] ?? 1
  const seen: BookingEvent = { type: 'OutcomeRead', data: { step, attempt, look: open.attempt, saw, at: now } }
  return { ...decision, booking: [seen, ...decision.booking] }
}

/** The claim's time is over without a report: nobody knows what came of the call. */
function watchFired(at: At): Decision {
  const { b, open, now } = at
  const watched = b.open[String(open.input.of)]
  if (!watched?.claim || watched.attempt !== open.input.ofAttempt) return nothing
  if (now < watched.claim.lostAt) return retryTimer(open, watched.claim.lostAt, now)
  return callLost({ ...at, open: watched })
}

/** A timer's job that ran too early (clocks differ): asked for again at the right time. */
function retryTimer(open: OpenStep, dueAt: string, now: string): Decision {
  const end = { step: open.step, attempt: open.attempt, outcome: 'not-done' as const, code: 'early', at: now }
  return { booking: [{ type: 'AttemptEnded', data: { ...end, retryAt: tooEarly(dueAt, now) } }], account: [] }
}

/**
 * The report of an attempt that had already been declared unknown. It settles the question if the question still stands, otherwise it may
 * contradict the answer; and only from the execution that held the claim: no other can know.
 */
function lateReport(
  states: States,
  b: Booking,
  command: ReportOutcome,
  now: string,
  settings: AttemptSettings,
): Decision {
  const { step, attempt, executionId, outcome } = command
  const isTheQuestion = b.unknown?.step === step && b.unknown.attempt === attempt
  if (b.executions[attemptKey(command)] !== executionId || outcome.kind === 'unknown') return nothing
  if (!isTheQuestion) return { booking: disputed(b, command, now, settings.times), account: [] }
  const open: OpenStep = { step, attempt, dueAt: now, deadline: now, input: {}, claim: null }
  return conclude(
    states,
    reportedLate({ b, account: states.account, open, now, settings }, outcome),
    now,
    settings.times,
  )
}

function withEnd(at: At, decision: Decision): Decision {
  const { step, attempt } = at.open
  const end = { step, attempt, outcome: 'succeeded' as const, code: null, retryAt: null, at: at.now }
  return { booking: [{ type: 'AttemptEnded', data: end }, ...decision.booking], account: decision.account }
}
