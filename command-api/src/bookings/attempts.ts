/**
 * The workers' side of a booking: claiming an attempt, recording the balance before a movement, and reporting what came of it.
 *
 * An attempt that is claimed can end in two ways only: by a report of the execution that holds the claim, or by its watch, as an unknown
 * outcome. A report that arrives after the watch still counts as long as nobody has concluded otherwise.
 */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import { bookingSteps } from '@portolan/schemas/bookings/messages.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import type { OpenStep, Outcome, RecordBalance, ReportOutcome, StartAttempt } from '@portolan/schemas/steps.ts'
import type { Booking } from './booking.ts'
import { conclude, type Decision, nothing, type States } from './decider.ts'
import { attemptFailed, callLost, resolve, succeeded, timerFired } from './outcomes.ts'
import { later, movementIdOf, movementSteps, type ProcessTimes } from './process.ts'

export interface AttemptSettings {
  times: ProcessTimes
  /** What the partner's reset returns this member to, where the tenant's settings name it. */
  resetBalance?: number | undefined
}

const claimedStepNames: readonly string[] = Object.entries(bookingSteps)
  .filter(([, kind]) => kind.claimed)
  .map(([step]) => step)

/**
 * Claims the one call of an attempt. No event means: not granted; `claimAnswer` reads which. An attempt that comes after its step's
 * deadline is ended here, because nothing may be called for it any more.
 */
export function startAttempt(states: States, command: StartAttempt, now: string, settings: AttemptSettings): Decision {
  const b = states.booking
  const open = b?.open[command.step]
  if (!b || !open || open.attempt !== command.attempt || open.claim) return nothing
  if (now > open.deadline) return deadlinePassed(states, open, now, settings)
  const isMovement = movementSteps.includes(command.step)
  if (isMovement && states.account.open) return nothing
  const { executionId, callBefore, callTimeoutMs } = command
  const lostAt = later(callBefore, callTimeoutMs + settings.times.lostGraceMs)
  return {
    booking: [
      {
        type: 'AttemptStarted',
        data: { step: open.step, attempt: open.attempt, executionId, callBefore, lostAt },
      },
    ],
    account: isMovement ? [movementOpened(b, open, executionId, now)] : [],
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
  if (!b || b.endedAt) return nothing
  const open = b.open[command.step]
  if (!open || open.attempt !== command.attempt) return lateReport(states, b, command, now, settings)
  if (open.claim && open.claim.executionId !== command.executionId) return nothing
  const isClaimedStep = claimedStepNames.includes(open.step)
  // Without a claim nothing was called, so the only thing such a report can say is that the attempt did not start.
  if (isClaimedStep && !open.claim && command.outcome.kind !== 'not-done') return nothing
  return finish(states, open, command.outcome, now, settings)
}

function finish(states: States, open: OpenStep, outcome: Outcome, now: string, settings: AttemptSettings): Decision {
  const b = states.booking
  if (!b) return nothing
  const at = { b, account: states.account, open, now, settings }
  const decision =
    outcome.kind === 'succeeded'
      ? claimedStepNames.includes(open.step)
        ? withEnd(open, outcome, null, now, succeeded(at, outcome.result))
        : unclaimedSucceeded(states, open, outcome, now, settings)
      : attemptFailed(at, outcome)
  return conclude(states, decision, now, settings.times)
}

function unclaimedSucceeded(
  states: States,
  open: OpenStep,
  outcome: Outcome & { kind: 'succeeded' },
  now: string,
  settings: AttemptSettings,
): Decision {
  const b = states.booking
  if (!b) return nothing
  const at = { b, account: states.account, open, now, settings }
  if (open.step === 'attempt-watch') return watchFired(at)
  if (open.step === 'reconcile-movement' || open.step === 'reconcile-order' || open.step === 'poll-order') {
    return resolve(at, outcome.result)
  }
  if (open.step === 'recheck-fare') return withEnd(open, outcome, null, now, succeeded(at, outcome.result))
  return timerFired(at)
}

/** The claim's time is over without a report: nobody knows what came of the call. */
function watchFired(at: Parameters<typeof callLost>[0]): Decision {
  const { b, open, now } = at
  const watched = b.open[String(open.input.of)]
  if (!watched?.claim || watched.attempt !== open.input.ofAttempt) return nothing
  if (now < watched.claim.lostAt) return retryTimer(open, watched.claim.lostAt, now)
  return callLost({ ...at, open: watched })
}

/** A timer's job that ran too early (clocks differ): asked for again at the right time. */
function retryTimer(open: OpenStep, dueAt: string, now: string): Decision {
  const end = { step: open.step, attempt: open.attempt, outcome: 'not-done' as const, code: 'early', at: now }
  return { booking: [{ type: 'AttemptEnded', data: { ...end, retryAt: dueAt } }], account: [] }
}

/** The report of an attempt that its watch had already declared unknown. It settles the question if the question still stands. */
function lateReport(
  states: States,
  b: Booking,
  command: ReportOutcome,
  now: string,
  settings: AttemptSettings,
): Decision {
  const { unknown } = b
  const { kind } = command.outcome
  if (unknown?.step !== command.step || unknown.attempt !== command.attempt || kind === 'unknown') return nothing
  const open: OpenStep = {
    step: command.step,
    attempt: command.attempt,
    dueAt: now,
    deadline: now,
    input: {},
    claim: null,
  }
  const established: BookingEvent = {
    type: 'OutcomeEstablished',
    data: { step: open.step, attempt: open.attempt, happened: kind === 'succeeded', by: 'report', at: now },
  }
  const at = { b, account: states.account, open, now, settings }
  const rest =
    command.outcome.kind === 'succeeded' ? succeeded(at, command.outcome.result) : attemptFailed(at, command.outcome)
  return conclude(
    states,
    { booking: [established, ...rest.booking.filter((e) => e.type !== 'AttemptEnded')], account: rest.account },
    now,
    settings.times,
  )
}

function deadlinePassed(states: States, open: OpenStep, now: string, settings: AttemptSettings): Decision {
  return finish(states, open, { kind: 'not-done', code: 'deadline-passed', retryAfterMs: 0 }, now, settings)
}

function movementOpened(b: Booking, open: OpenStep, executionId: string, at: string): MemberEvent {
  const movementId = movementIdOf(b.bookingId, open.step, open.attempt)
  const kind = open.step === 'deduct' ? 'deduction' : 'refund'
  const amount = b.deduction?.amount ?? b.price.loyaltyAmount
  const { bookingId, memberId } = b
  return {
    type: 'MovementOpened',
    data: { movementId, bookingId, memberId, kind, amount, currency: b.price.loyaltyCurrency, executionId, at },
  }
}

function withEnd(open: OpenStep, outcome: Outcome, code: string | null, at: string, decision: Decision): Decision {
  const end: BookingEvent = {
    type: 'AttemptEnded',
    data: { step: open.step, attempt: open.attempt, outcome: outcome.kind, code, retryAt: null, at },
  }
  return { booking: [end, ...decision.booking], account: decision.account }
}
