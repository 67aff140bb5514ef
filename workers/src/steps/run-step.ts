/**
 * One run of a step job, whatever the step. For a step that is claimed (it moves money or orders):
 *
 *   enter ──► start ──granted──► call, if the claim's time is not over ──► report
 *     │         ├──over──► nothing: another execution has it, or it is no longer wanted
 *     │         └──busy──► back into the queue: another movement of this member is open
 *     └──► back into the queue: the other side cannot be called now (its limit, its breaker, calls under way)
 *
 * A job that has to wait does so in the queue, where it holds up nobody, until its step's deadline; nothing was claimed for it.
 * Everything before the call may be repeated or given up. From the moment the call is sent there is exactly one way on:
 * its outcome is reported, and when nobody can report it any more the attempt's watch declares it unknown.
 * A step that is not claimed (a read, a look-up, a timer) is run and reported; running it twice is harmless. A job that the queue hands
 * out too early, because clocks differ, goes back until it is due.
 */

import type { KillPoint } from '@portolan/infra/kill-points.ts'
import type { Logger } from '@portolan/infra/log.ts'
import type { Outcome, RecordBalance, ReportOutcome, StepJob } from '@portolan/schemas/steps.ts'
import { type Attempts, askUntil } from './attempts.ts'
import { backOffMs, waitMs } from './back-off.ts'
import { type CallAnswer, type NotDone, notDone } from './call-answer.ts'
import { type Entry, leaveAll } from './guard.ts'

/** What a handler is given besides the job. */
export interface Execution {
  /** When the claim's time is over, by the claims' own clock: nothing may be sent after it. */
  sendBeforeMs: number
  /** What `enter` gave; to be handed on with every call. */
  entries: readonly Entry[]
  /** To be called when the one call that matters is being sent. */
  onSend(): void
  /**
   * Records the balance read under the claim. True: the call may be made. False: the claim is no longer ours, so that
   * nothing may be called and nothing reported.
   */
  recordBalance(balance: number, readAt: string): Promise<boolean>
}

export type StepAnswer = CallAnswer<Record<string, unknown>>

export interface StepHandler {
  /**
   * claimed: one call, never made twice. read: serves no purpose after its deadline. look-up: says what became of a call, also when it
   * comes late. timer: falls due, whatever its deadline.
   */
  kind: 'claimed' | 'read' | 'look-up' | 'timer'
  /** How long the call may take once it is sent. */
  callTimeoutMs: number
  /** Makes sure of everything that the calls of `run` would have to wait for, or says what is in the way. Absent: nothing is. */
  enter?(job: StepJob): Promise<readonly Entry[] | NotDone>
  /** Resolves to null when the claim was lost before the call. */
  run(job: StepJob, execution: Execution): Promise<StepAnswer | null>
}

export interface RunDeps {
  attempts: Pick<Attempts, 'start' | 'recordBalance'>
  report(report: ReportOutcome): Promise<void>
  handlers: Readonly<Record<string, StepHandler>>
  logger: Logger
  reach(point: KillPoint): void
  /** The database's clock, UTC milliseconds: what due times and deadlines are compared with. */
  now: () => number
  /** By which a claim's time runs out; see elapsed-clock.ts. */
  elapsed: () => number
  newId: () => string
}

export interface RunSettings {
  /** From asking for the claim to the last instant of sending; in between lie the claim itself, a balance read, and waiting for a turn. */
  claimWindowMs: number
  /** Pause before an unanswered claim request is repeated. */
  askAgainMs: number
}

/** Less than this before its time a step is due: clocks are never measured exactly. */
const EARLY_MS = 50

/**
 * Runs a job. starts: how often it was taken up, this time included.
 * Returns `againInMs` when it has to wait, nothing when it is over; throws when it could not even be reported.
 */
export async function runStep(
  deps: RunDeps,
  settings: RunSettings,
  job: StepJob,
  starts: number,
): Promise<undefined | { againInMs: number }> {
  const handler = Object.hasOwn(deps.handlers, job.step) ? deps.handlers[job.step] : undefined
  if (!handler) {
    deps.logger.error('step without a handler', factsOf(job))
    return undefined
  }
  const earlyMs = Date.parse(job.dueAt) - deps.now()
  if (earlyMs > EARLY_MS) return { againInMs: earlyMs }
  if (handler.kind === 'read' && isLate(deps, job)) {
    return reportAnswer(deps, job, null, notDone('deadline-passed', 0))
  }
  const entries = await entered(deps, job, handler)
  if ('kind' in entries) {
    // Too late to wait: whether to look once more is the decider's to say.
    if (handler.kind === 'look-up' && isLate(deps, job)) return reportAnswer(deps, job, null, entries)
    return comeBack(deps, job, starts, entries)
  }
  try {
    if (handler.kind === 'claimed') return await runClaimed(deps, settings, { job, starts, handler, entries })
    return await reportAnswer(deps, job, null, await runUnclaimed(deps, settings, { job, starts, handler, entries }))
  } finally {
    await leaveAll(entries)
  }
}

const isLate = (deps: RunDeps, job: StepJob): boolean => deps.now() > Date.parse(job.deadline)

async function entered(deps: RunDeps, job: StepJob, handler: StepHandler): Promise<readonly Entry[] | NotDone> {
  try {
    return (await handler.enter?.(job)) ?? []
  } catch (error) {
    deps.logger.error('step cannot begin', { ...factsOf(job), error })
    return notDone('worker-fault')
  }
}

/** Back into the queue, with nothing reported; unless its time is over, or will be when it could begin. */
async function comeBack(
  deps: RunDeps,
  job: StepJob,
  starts: number,
  { code, retryAfterMs }: Pick<NotDone, 'code' | 'retryAfterMs'>,
): Promise<undefined | { againInMs: number }> {
  const leftMs = Date.parse(job.deadline) - deps.now()
  if (leftMs < 0) return reportAnswer(deps, job, null, notDone('deadline-passed', 0))
  if ((retryAfterMs ?? 0) > leftMs) return reportAnswer(deps, job, null, notDone(code, retryAfterMs))
  const againInMs = waitMs(starts, retryAfterMs, leftMs)
  deps.logger.debug('step waits', { ...factsOf(job), code, againInMs })
  return { againInMs }
}

interface Run {
  job: StepJob
  starts: number
  handler: StepHandler
  entries: readonly Entry[]
}

async function runUnclaimed(deps: RunDeps, settings: RunSettings, { job, handler, entries }: Run): Promise<StepAnswer> {
  const execution: Execution = {
    entries,
    sendBeforeMs: deps.elapsed() + settings.claimWindowMs,
    onSend: () => undefined,
    recordBalance: async () => false,
  }
  return (
    (await attempted(
      deps,
      job,
      () => handler.run(job, execution),
      () => false,
    )) ?? notDone('worker-fault')
  )
}

async function runClaimed(
  deps: RunDeps,
  settings: RunSettings,
  { job, starts, handler, entries }: Run,
): Promise<undefined | { againInMs: number }> {
  const executionId = deps.newId()
  const { claimWindowMs: callWithinMs } = settings
  const sendBeforeMs = deps.elapsed() + callWithinMs
  const request = { ...refOf(job), executionId, callWithinMs, callTimeoutMs: handler.callTimeoutMs }
  const again = { now: deps.elapsed, pauseMs: settings.askAgainMs }
  const claim = await askUntil(() => deps.attempts.start(request), sendBeforeMs, again)
  // Perhaps the claim was granted and the answer lost; without it no call, and whoever holds it must hear so.
  if (!claim) return reportAnswer(deps, job, executionId, notDone('claim-unanswered'))
  if (!claim.granted) {
    deps.logger.info('claim refused', { ...factsOf(job), reason: claim.reason })
    if (claim.reason === 'over') return undefined
    return comeBack(deps, job, starts, { code: 'busy', retryAfterMs: claim.retryAfterMs })
  }
  deps.reach('after-claim')

  let isSent = false
  const execution: Execution = {
    entries,
    sendBeforeMs,
    onSend: () => {
      isSent = true
    },
    recordBalance: async (balance, readAt) => {
      const body: RecordBalance = { ...refOf(job), executionId, balance, readAt }
      const answer = await askUntil(() => deps.attempts.recordBalance(body), sendBeforeMs, again)
      if (answer?.granted) {
        deps.reach('after-balance')
        return true
      }
      if (answer?.reason === 'over') return false
      throw new Error('balance could not be recorded in time')
    },
  }
  const answer = await attempted(
    deps,
    job,
    () => handler.run(job, execution),
    () => isSent,
  )
  if (!answer) return undefined
  if (isSent) deps.reach('after-call')
  return reportAnswer(deps, job, executionId, answer)
}

/** A handler's answer; a throw is no call made, or an unknown outcome once the call was sent. */
async function attempted(
  deps: RunDeps,
  job: StepJob,
  run: () => Promise<StepAnswer | null>,
  isSent: () => boolean,
): Promise<StepAnswer | null> {
  try {
    return await run()
  } catch (error) {
    deps.logger.error('step failed', { ...factsOf(job), isSent: isSent(), error })
    return isSent() ? { kind: 'unknown', code: 'server-error' } : notDone('worker-fault')
  }
}

async function reportAnswer(
  deps: RunDeps,
  job: StepJob,
  executionId: string | null,
  answer: StepAnswer,
): Promise<undefined> {
  const outcome = outcomeOf(answer, job.attempt)
  deps.logger.info('step ended', {
    ...factsOf(job),
    outcome: outcome.kind,
    code: 'code' in outcome ? outcome.code : undefined,
  })
  deps.reach('before-report')
  await deps.report({ ...refOf(job), executionId, outcome })
  deps.reach('after-report')
  return undefined
}

/** The outcome to report. attempt: from 1, for the back-off that the next one waits. */
export function outcomeOf(answer: StepAnswer, attempt: number): Outcome {
  switch (answer.kind) {
    case 'succeeded':
      return { kind: 'succeeded', result: answer.value }
    case 'not-done': {
      const retryAfterMs = answer.code === 'deadline-passed' ? 0 : backOffMs(attempt, answer.retryAfterMs)
      return { kind: 'not-done', code: answer.code, retryAfterMs }
    }
    default:
      return answer
  }
}

/** What names an attempt in the protocol with command-api. */
function refOf(job: StepJob) {
  const { tenantId, stream, step, attempt, correlationId, causationId, mockError, traceparent } = job
  const memberId = typeof job.input.memberId === 'string' ? job.input.memberId : null
  return { tenantId, stream, step, attempt, memberId, correlationId, causationId, mockError, traceparent }
}

const factsOf = ({ tenantId, stream, step, attempt, correlationId }: StepJob) => ({
  tenantId,
  stream,
  step,
  attempt,
  correlationId,
})
