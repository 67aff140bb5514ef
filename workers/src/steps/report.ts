/**
 * Reporting an outcome until it is known. The call itself is never made again: first the report is repeated in this
 * process, then a job carries the outcome through the `reports` queue, where it survives this process.
 */
import type { JobQueue, Jobs } from '@portolan/infra/jobs.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { type ReportOutcome, reportOutcomeSchema } from '@portolan/schemas/steps.ts'
import type { Attempts } from './attempts.ts'

export const REPORT_QUEUE = 'reports'

/** A report that waits in Redis, and since when (UTC ms). */
interface WaitingReport {
  report: ReportOutcome
  sinceMs: number
}

export interface ReportSettings {
  /** Pause between the tries of a report job; the pauses in this process grow up to it. */
  retryMs: number
}

/** Pauses before the tries in this process, as shares of `retryMs`. */
const RETRY_SHARES = [0, 0.05, 0.15, 0.5, 1]
/** After this long a report job is given up: the attempt has long been declared unknown and reconciled. */
const GIVE_UP_AFTER_MS = 86_400_000

export interface ReportDeps {
  attempts: Pick<Attempts, 'report'>
  jobs: Jobs
  logger: Logger
}

/**
 * Returns the function that reports. It resolves when command-api has the report or Redis holds it, and throws when
 * neither could be had: then the attempt ends as unknown by its watch.
 */
export function createReporter(deps: ReportDeps, settings: ReportSettings) {
  const queue: JobQueue<WaitingReport> = deps.jobs.queue(REPORT_QUEUE)
  return async (report: ReportOutcome): Promise<void> => {
    for (const share of RETRY_SHARES) {
      await new Promise((resolve) => setTimeout(resolve, share * settings.retryMs))
      if (await isTaken(deps, report)) return
    }
    await queue.add([{ name: report.step, data: { report, sinceMs: Date.now() } }])
  }
}

/** Works on the reports that wait. */
export function workOnReports(deps: ReportDeps, settings: ReportSettings): void {
  deps.jobs.work<WaitingReport>({
    queue: REPORT_QUEUE,
    concurrency: 10,
    handle: async ({ data }) => {
      const report = reportOutcomeSchema.parse(data.report)
      if (await isTaken(deps, report)) return undefined
      if (Date.now() - data.sinceMs < GIVE_UP_AFTER_MS) return { againInMs: settings.retryMs }
      deps.logger.error('report given up', factsOf(report))
      return undefined
    },
  })
}

async function isTaken({ attempts, logger }: ReportDeps, report: ReportOutcome): Promise<boolean> {
  try {
    await attempts.report(report)
    return true
  } catch (error) {
    logger.warn('report not taken', { ...factsOf(report), error })
    return false
  }
}

const factsOf = ({ tenantId, stream, step, attempt, correlationId, outcome }: ReportOutcome) => ({
  tenantId,
  stream,
  step,
  attempt,
  correlationId,
  outcome: outcome.kind,
})
