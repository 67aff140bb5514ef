/**
 * What stands between us and one supplier or partner: a bound on concurrent calls, a circuit breaker, a pause it asked
 * for, our own throttle, and the last instant at which the call may still be sent. Every call goes through one guard.
 *
 * Whoever can come back later enters first: an entry holds a place and the turns for its calls, or says at once how long
 * there would be none. Steps do so before they claim anything, and so never wait inside a job: the jobs of one tenant whose
 * partner is slow, away or used up would keep every other tenant's from being worked on (P12). Calls without an entry wait here.
 *
 * Breaker: closed ──failures in a row──► open ──halfOpenAfterMs──► half-open ──one good call──► closed
 *                                          ▲──────────────one bad call──────────┘
 */
import { randomUUID } from 'node:crypto'
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
import { type CallAnswer, isTrouble, type NotDone, notDone } from './call-answer.ts'

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
  /** When (by the guard's clock) the call must not be sent any more: the claim's time is over, or a lookup's deadline. */
  sendBeforeMs: number
  /** A failure provoked by X-Mock-Error says nothing about the other side; it neither opens the breaker nor meets it. */
  isMocked?: boolean
  /** What the caller entered before; its calls use the entry of the guard they go through. */
  entries?: readonly Entry[]
  /** Called when the call is about to be sent, after every wait. */
  onSend?(): void
}

export type BreakerState = 'closed' | 'open' | 'half-open'

/** Leave to make calls without waiting for them. */
export interface Entry {
  /** Turns that were taken and not used yet. */
  turns: string[]
  /** To be called when the calls are over, or will never be made. */
  leave(): Promise<void>
}

export interface Guard {
  /** Takes a place and turns for so many calls, one after the other; or answers what is in the way, and for how long if that is known. */
  enter(calls: number): Promise<Entry | NotDone>
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

/** Creates the guard of one supplier or partner account. now: milliseconds of a clock that nobody sets. */
export function createGuard(options: GuardOptions, now: () => number, parts: GuardParts = {}): Guard {
  const places = bulkhead(options.concurrency, options.queueMax)
  const breaker = circuitBreaker(
    handleWhenResult((answer) => isTrouble(answer as CallAnswer<unknown>)),
    { halfOpenAfter: options.halfOpenAfterMs, breaker: new ConsecutiveBreaker(options.failuresToOpen) },
  )
  let openUntilMs = 0
  let pausedUntilMs = 0
  const entered = new Set<Entry>()
  let trial: Entry | null = null
  breaker.onBreak(() => {
    openUntilMs = now() + options.halfOpenAfterMs
  })

  breaker.onStateChange((state) => parts.onBreaker?.(levels[state]))
  parts.onBreaker?.(0)

  // The breaker is innermost, so that it judges by real answers only; a call that waited and was then not sent is none.
  async function whenAllowed<T>(
    limits: CallLimits,
    entry: Entry | undefined,
    send: () => Promise<CallAnswer<T>>,
  ): Promise<CallAnswer<T>> {
    const pauseMs = pausedUntilMs - now()
    if (pauseMs > 0) return notDone('rate-limited', pauseMs)
    const tooLongMs = await waitForTurn(entry?.turns.shift() ?? randomUUID(), entry ? now() : limits.sendBeforeMs)
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

  /** Returns 0 with a turn, or without one how long the wait would go on at `untilMs`. */
  async function waitForTurn(turn: string, untilMs: number): Promise<number> {
    for (;;) {
      const waitMs = (await parts.throttle?.take([turn])) ?? 0
      if (waitMs === 0 || now() + waitMs > untilMs) return waitMs
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }

  const isOpen = (): boolean => breaker.state !== CircuitState.Closed && now() < openUntilMs

  async function enter(calls: number): Promise<Entry | NotDone> {
    const pauseMs = pausedUntilMs - now()
    if (pauseMs > 0) return notDone('rate-limited', pauseMs)
    if (isOpen()) return notDone('breaker-open', openUntilMs - now())
    const isTrial = breaker.state !== CircuitState.Closed
    // One is enough to find out whether the other side is back; the others would all claim in vain.
    if (isTrial && trial) return notDone('breaker-open')
    if (places.executionSlots === 0) return notDone('too-busy')
    const left = Promise.withResolvers<void>()
    void places.execute(() => left.promise)
    const entry: Entry = {
      turns: Array.from({ length: calls }, () => randomUUID()),
      leave: async () => {
        entered.delete(entry)
        if (trial === entry) trial = null
        left.resolve()
        await parts.throttle?.giveBack(entry.turns.splice(0))
      },
    }
    entered.add(entry)
    if (isTrial) trial = entry
    const waitMs = (await parts.throttle?.take(entry.turns)) ?? 0
    if (waitMs === 0) return entry
    entry.turns.length = 0
    await entry.leave()
    return notDone('throttled', waitMs)
  }

  return {
    enter,
    run: async (limits, send) => {
      if (!limits.isMocked && isOpen()) return notDone('breaker-open', openUntilMs - now())
      const entry = limits.entries?.find((one) => entered.has(one))
      try {
        if (entry) return await whenAllowed(limits, entry, send)
        return await places.execute(() => whenAllowed(limits, undefined, send))
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

/** Enters one after the other; when one cannot be entered, the others are left again. */
export async function enterAll(...doors: (() => Promise<Entry | NotDone>)[]): Promise<Entry[] | NotDone> {
  const entries: Entry[] = []
  for (const door of doors) {
    const entry = await door()
    if ('kind' in entry) {
      await leaveAll(entries)
      return entry
    }
    entries.push(entry)
  }
  return entries
}

export async function leaveAll(entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.map((entry) => entry.leave()))
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
