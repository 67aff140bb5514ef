/**
 * Steps as pure functions: what a stream's step events make of its open steps, and which step events follow from a
 * decision. The write database keeps `open_steps` from the same events by the same rules (migration 000002).
 */
import type { EventOf } from '@portolan/schemas/event-catalogue.ts'
import type { OpenStep, stepEvents, WantedStep } from '@portolan/schemas/steps.ts'

export type StepEvent = EventOf<typeof stepEvents>

/**
 * Folds one event into the open steps of a stream; events that are no step events, or that name another attempt than the
 * open one, change nothing. At most one attempt of a step is open: a new request takes the place of an older one.
 */
export function evolveSteps(open: readonly OpenStep[], event: { type: string; data: unknown }): readonly OpenStep[] {
  const { type, data } = event as StepEvent
  switch (type) {
    case 'StepRequested':
      return [...open.filter((step) => step.step !== data.step), { ...data, claim: null }]
    case 'AttemptStarted': {
      const { executionId, at, callBefore, lostAt } = data
      const claim = { executionId, ...(at && { at }), callBefore, lostAt }
      return open.map((step) => (isSameAttempt(step, data) ? { ...step, claim } : step))
    }
    case 'AttemptEnded':
    case 'StepWithdrawn':
      return open.filter((step) => !isSameAttempt(step, data))
    default:
      return open
  }
}

/**
 * The events that turn the open steps into the wanted ones: StepWithdrawn for every unclaimed step that is no longer wanted,
 * StepRequested for every wanted attempt that is not open. A claimed step stays whatever is wanted: its call may be under way,
 * and it ends only by a report.
 */
export function reconcileSteps(open: readonly OpenStep[], wanted: readonly WantedStep[]): StepEvent[] {
  const withdrawn = open.filter((step) => !step.claim && !wanted.some((other) => other.step === step.step))
  const requested = wanted.filter(
    (step) => !open.some((other) => other.step === step.step && (other.claim || other.attempt === step.attempt)),
  )
  return [
    ...withdrawn.map(({ step, attempt, dueAt }) => ({
      type: 'StepWithdrawn' as const,
      data: { step, attempt, dueAt },
    })),
    ...requested.map(({ step, attempt, dueAt, deadline, input }) => ({
      type: 'StepRequested' as const,
      data: { step, attempt, dueAt, deadline, input },
    })),
  ]
}

const isSameAttempt = (a: { step: string; attempt: number }, b: { step: string; attempt: number }) =>
  a.step === b.step && a.attempt === b.attempt
