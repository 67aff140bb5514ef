/**
 * Reporting an outcome until it is known. The call itself is never made again: first the report is repeated in this
 * process, then a job carries the outcome through the `reports` queue, where it survives this process.
 */
import type { JobQueue, Jobs, RunningJob } from '@portolan/infra/jobs.ts'
import type { Logger } from '@portolan/infra/log.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import { type ReportOutcome, reportOutcomeSchema } from '@portolan/schemas/steps.ts'
import type { Attempts } from './attempts.ts'
import { jobIdOf } from './step-queue.ts'

export const REPORT_QUEUE = 'reports'

/** A report that waits in Redis, and since when (UTC ms). */
interface WaitingReport {
  report: ReportOutcome
  sinceMs: number
}

export interface ReportSettings {
  /** First pause between the tries of a report job, which then grow to a minute; the pauses in this process grow up to it. */
  retryMs: number
}

/** Pauses before the tries in this process, as shares of `retryMs`. */
const RETRY_SHARES = [0, 0.05, 0.15, 0.5, 1]
/** After this long a report job is given up: the attempt has long been declared unknown and reconciled. */
const GIVE_UP_AFTER_MS = 86_400_000
const LONGEST_PAUSE_MS = 60_000

export interface ReportDeps {
  attempts: Pick<Attempts, 'report'>
  jobs: Jobs
  logger: Logger
  metrics: Metrics
}

export interface Reporting {
  /**
   * Resolves when command-api has the report, will never take it, or Redis holds it; rejects when neither could be had: then the
   * attempt ends as unknown by its watch, as it does when a report is given up.
   */
  report(report: ReportOutcome): Promise<void>
  /** Begins to work on the reports that wait. */
  work(): void
}

/** Creates the two ends of reporting: of this process's steps, and of the reports that wait in Redis. */
export function createReporting({ attempts, jobs, logger, metrics }: ReportDeps, settings: ReportSettings): Reporting {
  const queue: JobQueue<WaitingReport> = jobs.queue(REPORT_QUEUE)
  const givenUp = metrics.counter('reports_given_up_total', 'Outcomes that command-api was never told of', ['reason'])

  async function isSettled(report: ReportOutcome): Promise<boolean> {
    try {
      await attempts.report(report)
      return true
    } catch (error) {
      const isRefused = isRefusedForGood(error)
      if (isRefused) giveUp('refused', report, error)
      else logger.warn('report not taken', { ...factsOf(report), error })
      return isRefused
    }
  }

  function giveUp(reason: 'refused' | 'too-old', report: ReportOutcome, error?: unknown): void {
    givenUp.inc({ reason })
    logger.error('report given up', { ...factsOf(report), reason, error })
  }

  async function report(report: ReportOutcome): Promise<void> {
    for (const share of RETRY_SHARES) {
      await new Promise((resolve) => setTimeout(resolve, share * settings.retryMs))
      if (await isSettled(report)) return
    }
    await queue.add([{ name: report.step, id: idOf(report), data: { report, sinceMs: Date.now() } }])
  }

  async function workOff({ data, starts }: RunningJob<WaitingReport>): Promise<undefined | { againInMs: number }> {
    const report = reportOutcomeSchema.parse(data.report)
    if (await isSettled(report)) return undefined
    if (Date.now() - data.sinceMs < GIVE_UP_AFTER_MS) return { againInMs: pauseMs(starts, settings.retryMs) }
    giveUp('too-old', report)
    return undefined
  }

  return { report, work: () => jobs.work<WaitingReport>({ queue: REPORT_QUEUE, concurrency: 10, handle: workOff }) }
}

/** Whether the report itself is what is wrong: asking the same again would never help. */
function isRefusedForGood(error: unknown): boolean {
  if (!(error instanceof Rejection)) return false
  const { kind } = problemCodes[error.code]
  return kind === 'invalid' || kind === 'too-large'
}

/** Doubles up to a minute; up to a quarter is added, so that those who failed together do not come back together. */
function pauseMs(starts: number, firstMs: number): number {
  return Math.min(LONGEST_PAUSE_MS, firstMs * 2 ** Math.min(starts - 1, 20)) * (1 + Math.random() / 4)
}

/** One report waits for each execution, however often its job is run. */
const idOf = (report: ReportOutcome): string => `${jobIdOf(report)}/${report.executionId ?? 'unclaimed'}`

const factsOf = ({ tenantId, stream, step, attempt, correlationId, outcome }: ReportOutcome) => ({
  tenantId,
  stream,
  step,
  attempt,
  correlationId,
  outcome: outcome.kind,
})
