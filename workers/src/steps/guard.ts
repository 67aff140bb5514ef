/**
 * What stands between us and one supplier or partner: a bound on concurrent calls, a circuit breaker, a pause it asked
 * for, our own throttle, and the last instant at which the call may still be sent. Every call goes through one guard.
 *
 * Breaker: closed ──failures in a row──► open ──halfOpenAfterMs──► half-open ──one good call──► closed
 *                                          ▲──────────────one bad call──────────┘
 */
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
} from 'cockatiel'
import type { Throttle } from '../partners/throttle.ts'
import { type CallAnswer, isTrouble, notDone } from './call-answer.ts'

export interface GuardOptions {
  /** Calls under way at once. */
  concurrency: number
  /** Calls waiting for one of those places. */
  queueMax: number
  /** Troubled answers in a row that open the breaker. */
  failuresToOpen: number
  halfOpenAfterMs: number
}

export interface CallLimits {
  /** The instant (UTC ms) after which the call must not be sent: the claim's callBefore, or a lookup's deadline. */
  sendBeforeMs: number
  /** A failure provoked by X-Mock-Error says nothing about the other side; it neither opens the breaker nor meets it. */
  isMocked?: boolean
  /** Called when the call is about to be sent, after every wait. */
  onSend?(): void
}

export type BreakerState = 'closed' | 'open' | 'half-open'

export interface Guard {
  run<T>(limits: CallLimits, send: () => Promise<CallAnswer<T>>): Promise<CallAnswer<T>>
  /** Nothing is sent for this long: the other side said that its limit is used up. */
  pause(ms: number): void
  state(): BreakerState
}

export interface GuardParts {
  /** Our own limit, absent where the other side enforces one itself. */
  throttle?: Throttle
  /** Told of every change: 0 closed, 1 half-open, 2 open. */
  onBreaker?(level: 0 | 1 | 2): void
  /** Told of every call that was sent: what came of it, and how long it took. */
  onAnswer?(outcome: string, elapsedMs: number): void
}

/** Creates the guard of one supplier or partner account. now: UTC milliseconds. */
export function createGuard(options: GuardOptions, now: () => number, parts: GuardParts = {}): Guard {
  const places = bulkhead(options.concurrency, options.queueMax)
  const breaker = circuitBreaker(
    handleWhenResult((answer) => isTrouble(answer as CallAnswer<unknown>)),
    { halfOpenAfter: options.halfOpenAfterMs, breaker: new ConsecutiveBreaker(options.failuresToOpen) },
  )
  let openUntilMs = 0
  let pausedUntilMs = 0
  breaker.onBreak(() => {
    openUntilMs = now() + options.halfOpenAfterMs
  })

  breaker.onStateChange((state) => parts.onBreaker?.(levels[state]))
  parts.onBreaker?.(0)

  // The breaker is innermost, so that it judges by real answers only; a call that waited and was then not sent is none.
  async function whenAllowed<T>(limits: CallLimits, send: () => Promise<CallAnswer<T>>): Promise<CallAnswer<T>> {
    const pauseMs = pausedUntilMs - now()
    if (pauseMs > 0) return notDone('rate-limited', pauseMs)
    const tooLongMs = (await parts.throttle?.take(Math.max(0, limits.sendBeforeMs - now()))) ?? 0
    if (tooLongMs > 0) return notDone('throttled', tooLongMs)
    // The last look at the clock before sending: a process that was paused here must not send (design section 5).
    if (now() > limits.sendBeforeMs) return notDone('call-before-passed')
    const sent = async () => {
      limits.onSend?.()
      const startedAt = performance.now()
      const answer = await send()
      parts.onAnswer?.(answer.kind, performance.now() - startedAt)
      return answer
    }
    if (limits.isMocked) return sent()
    // cockatiel would let callers wait for the trial call's end, which may be minutes; they come back instead.
    if (breaker.state === CircuitState.HalfOpen) return notDone('breaker-open', options.halfOpenAfterMs)
    return breaker.execute(sent)
  }

  const isOpen = (): boolean => breaker.state !== CircuitState.Closed && now() < openUntilMs

  return {
    run: async (limits, send) => {
      if (!limits.isMocked && isOpen()) return notDone('breaker-open', openUntilMs - now())
      try {
        return await places.execute(() => whenAllowed(limits, send))
      } catch (error) {
        if (error instanceof BulkheadRejectedError) return notDone('too-busy')
        if (error instanceof BrokenCircuitError) return notDone('breaker-open', Math.max(0, openUntilMs - now()))
        throw error
      }
    },
    pause: (ms) => {
      pausedUntilMs = Math.max(pausedUntilMs, now() + ms)
    },
    state: () => stateNames[breaker.state],
  }
}

const levels: Record<CircuitState, 0 | 1 | 2> = {
  [CircuitState.Closed]: 0,
  [CircuitState.HalfOpen]: 1,
  [CircuitState.Open]: 2,
  [CircuitState.Isolated]: 2,
}

const stateNames: Record<CircuitState, BreakerState> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
}
