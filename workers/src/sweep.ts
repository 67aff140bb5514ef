/**
 * The net below dispatch: asks command-api now and then which open steps are overdue and puts them into the queue. A job that is
 * still there is not added twice, so what lay too far ahead for dispatch gets there, and everything that an emptied Redis, a lost
 * group offset or a full queue swallowed comes back; nothing else changes. Its timer is this process's own: schedules kept in Redis
 * die with it.
 */
import type { Logger } from '@portolan/infra/log.ts'
import { startRegularly } from '@portolan/infra/regularly.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { SweptSteps } from '@portolan/schemas/steps.ts'
import type { Attempts } from './steps/attempts.ts'
import type { StepQueue } from './steps/step-queue.ts'

/** Bounds a sweep; one that was cut off is continued by the next. Each tenant and step has a share of every page. */
const PAGES_MAX = 100

export interface SweepSettings {
  everyMs: number
  /** A step counts as forgotten when it fell due this long ago; younger ones are on their ordinary way. */
  graceMs: number
  /** Steps asked for at once; as many pages of them as the queue has places for. */
  limit: number
}

export interface SweepDeps {
  attempts: Pick<Attempts, 'overdue'>
  queue: StepQueue
  logger: Logger
  metrics: Metrics
}

/** Starts sweeping at once and then regularly. `stop` waits for a sweep under way. */
export function startSweep(deps: SweepDeps, settings: SweepSettings): { stop(): Promise<void> } {
  const swept = deps.metrics.counter('sweep_steps_total', 'Overdue steps put into the queue', ['step'])

  /** `seen`: what an earlier sweep that was cut off has looked at. Returns what the next one starts from. */
  async function sweepOnce(seen: Map<string, SweptSteps>, stopping: AbortSignal): Promise<Map<string, SweptSteps>> {
    const { limit, graceMs } = settings
    let steps = 0
    let isComplete = false
    for (let page = 0; page < PAGES_MAX && !stopping.aborted; page++) {
      const forgotten = await deps.attempts.overdue({ limit, graceMs, seen: [...seen.values()] })
      isComplete = forgotten.length === 0
      if (isComplete) break
      const left = await deps.queue.add(forgotten)
      for (const job of forgotten) if (!left.includes(job)) swept.inc({ step: job.step })
      for (const { tenantId, step, dueAt, stream } of forgotten) {
        seen.set(`${tenantId} ${step}`, { tenantId, step, upTo: { dueAt, stream } })
      }
      // No places left: more of these would be looked at in vain.
      for (const { tenantId, step } of left) seen.set(`${tenantId} ${step}`, { tenantId, step, upTo: null })
      steps += forgotten.length - left.length
    }
    if (steps > 0) deps.logger.info('overdue steps swept', { steps, isComplete })
    return isComplete ? new Map() : seen
  }

  let seen = new Map<string, SweptSteps>()
  return startRegularly(
    async (stopping) => {
      const before = seen
      // Should it fail, the next one begins at the oldest again.
      seen = new Map()
      seen = await sweepOnce(before, stopping)
    },
    { everyMs: settings.everyMs, onError: (error) => deps.logger.warn('sweep failed', { error }) },
  )
}
