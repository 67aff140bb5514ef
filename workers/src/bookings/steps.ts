/** Every step of a booking and what works on it. */
import type { Config } from '../config.ts'
import type { Outside } from '../outside.ts'
import type { StepHandler } from '../steps/run-step.ts'
import { fulfilmentSteps } from './fulfilment.ts'
import { reconciliationSteps } from './reconciliation.ts'
import { timerSteps } from './timers.ts'

/** The handlers by step name. A test compares the names with those of the booking's language. */
export function bookingStepHandlers(outside: Outside, config: Config): Record<string, StepHandler> {
  return {
    ...fulfilmentSteps(outside, {
      partnerCallTimeoutMs: config.partnerCallTimeoutMs,
      orderCallTimeoutMs: config.supplierCallTimeoutMs,
      searchTimeoutMs: config.searchTimeoutMs,
    }),
    ...reconciliationSteps(outside, { readTimeoutMs: config.supplierReadTimeoutMs }),
    ...timerSteps,
  }
}
