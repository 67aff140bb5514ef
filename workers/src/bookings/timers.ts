/** Steps that only wait: the worker reports that their time has come, and the decider knows what that means. */
import type { StepHandler } from '../steps/run-step.ts'

const timer: StepHandler = {
  kind: 'timer',
  callTimeoutMs: 1,
  run: async () => ({ kind: 'succeeded', value: {} }),
}

export const timerSteps: Readonly<Record<string, StepHandler>> = {
  'attempt-watch': timer,
  'approval-expiry': timer,
  'hold-expiry': timer,
  'operator-decision': timer,
}
