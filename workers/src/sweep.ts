/**
 * The net below dispatch: asks command-api now and then which open steps are overdue and puts them into the queue again.
 * A job that is still there is not added twice, so everything that an emptied Redis, a lost group offset or a full queue
 * swallowed comes back, and nothing else changes. Its timer is this process's own: schedules kept in Redis die with it.
 */
import type { Logger } from '@portolan/infra/log.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { SweptSteps } from '@portolan/schemas/steps.ts'
import type { Attempts } from './steps/attempts.ts'
import type { StepQueue } from './steps/step-queue.ts'

/** Bounds a sweep; the next one begins at the oldest again. Each tenant and step has a share of every page. */
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
  const stopping = new AbortController()
  const swept = deps.metrics.counter('sweep_steps_total', 'Overdue steps put into the queue again')

  async function sweepOnce(): Promise<void> {
    const { limit, graceMs } = settings
    const seen = new Map<string, SweptSteps>()
    let steps = 0
    for (let page = 0; page < PAGES_MAX && !stopping.signal.aborted; page++) {
      const forgotten = await deps.attempts.overdue({ limit, graceMs, seen: [...seen.values()] })
      if (forgotten.length === 0) break
      const left = await deps.queue.add(forgotten)
      for (const { tenantId, step, dueAt, stream } of forgotten) {
        seen.set(`${tenantId} ${step}`, { tenantId, step, upTo: { dueAt, stream } })
      }
      // No places left: more of these would be looked at in vain.
      for (const { tenantId, step } of left) seen.set(`${tenantId} ${step}`, { tenantId, step, upTo: null })
      swept.inc(forgotten.length - left.length)
      steps += forgotten.length - left.length
    }
    if (steps > 0) deps.logger.info('overdue steps swept', { steps })
  }

  async function sweepRegularly(): Promise<void> {
    while (!stopping.signal.aborted) {
      await sweepOnce().catch((error: unknown) => deps.logger.warn('sweep failed', { error }))
      await pause(settings.everyMs, stopping.signal)
    }
  }

  const sweeping = sweepRegularly()
  return {
    stop: () => {
      stopping.abort()
      return sweeping
    },
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
    if (signal.aborted) resolve()
  })
}
