/** What a guard shows of itself: its breaker, and the calls it let through by what came of them. */
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { GuardParts } from './guard.ts'

/** party: whom the guard stands before, `duffel:orders` or `partner:<tenant>`. */
export function callMetrics(metrics: Metrics, party: string): Pick<GuardParts, 'onBreaker' | 'onAnswer'> {
  const breaker = metrics.gauge('breaker_state', '0 closed, 1 half-open, 2 open', ['party'])
  const calls = metrics.histogram('outside_call_duration_seconds', 'Calls to suppliers and partners by outcome', [
    'party',
    'outcome',
  ])
  return {
    onBreaker: (level) => breaker.set({ party }, level),
    onAnswer: (outcome, elapsedMs) => calls.observe({ party, outcome }, elapsedMs / 1000),
  }
}
