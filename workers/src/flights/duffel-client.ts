/**
 * `@duffel/api` with what it lacks: a deadline on every call, a bound on concurrent calls, a circuit breaker, respect for
 * the rate limit's headers, and answers read into classes. The library cannot abort a request, so after a timeout its
 * connection lives on until Duffel closes it; the breaker bounds how many of those there can be.
 */
import { Duffel } from '@duffel/api'
import type { Logger } from '@portolan/infra/log.ts'
import type { z } from 'zod'
import { asRead, type CallAnswer } from '../steps/call-answer.ts'
import type { CallLimits, Guard } from '../steps/guard.ts'
import {
  type DuffelCallKind,
  type DuffelResponse,
  pauseAfter,
  readFailure,
  readSuccess,
  requestIdOf,
} from './duffel-answers.ts'

export interface DuffelSettings {
  token: string
  baseUrl: string
}

/** The parts of the library that are used; a test may stand in for them. */
export type DuffelApi = Pick<
  Duffel,
  'airlines' | 'offerRequests' | 'offers' | 'orders' | 'payments' | 'orderCancellations'
>

export interface DuffelCall<T> {
  kind: DuffelCallKind
  timeoutMs: number
  limits: CallLimits
  /** What a success must look like; what it does not name is dropped. */
  schema: z.ZodType<T>
  send(api: DuffelApi): Promise<DuffelResponse>
}

export interface DuffelClient {
  /** Makes sure of a place before anything is claimed for it; see Guard. */
  enter(): ReturnType<Guard['enter']>
  call<T>(call: DuffelCall<T>): Promise<CallAnswer<T>>
}

/** Creates the library's client. baseUrl may end with or without a slash; the library needs one. */
export function createDuffelApi({ token, baseUrl }: DuffelSettings): DuffelApi {
  return new Duffel({ token, basePath: `${baseUrl.replace(/\/$/, '')}/`, source: 'portolan' })
}

export interface DuffelClientDeps {
  /** UTC milliseconds. */
  now: () => number
  logger: Logger
}

/** Creates the client. Calls that came to nothing are logged with Duffel's request id, which its support asks for. */
export function createDuffelClient(api: DuffelApi, guard: Guard, { now, logger }: DuffelClientDeps): DuffelClient {
  return {
    // Duffel keeps its own limit, so there are no turns to take.
    enter: () => guard.enter(0),
    call: async ({ kind, timeoutMs, limits, schema, send }) => {
      const answer = await guard.run(limits, () => attempt(kind, timeoutMs, schema, () => send(api)))
      return kind === 'read' ? asRead(answer, 'supplier') : answer
    },
  }

  async function attempt<T>(
    kind: DuffelCallKind,
    timeoutMs: number,
    schema: z.ZodType<T>,
    send: () => Promise<DuffelResponse>,
  ): Promise<CallAnswer<T>> {
    try {
      const response = await withDeadline(send(), timeoutMs)
      if (response === 'timeout') return { kind: 'unknown', code: 'timeout' }
      respectLimit(response.headers)
      return readSuccess(kind, response, schema)
    } catch (error) {
      const { headers } = (error ?? {}) as { headers?: unknown }
      respectLimit(headers)
      const answer = readFailure(error, now())
      const { code } = answer as { code?: string }
      logger.warn('supplier refused or failed', { kind, outcome: answer.kind, code, requestId: requestIdOf(headers) })
      return answer
    }
  }

  function respectLimit(headers: unknown): void {
    const pauseMs = pauseAfter(headers, now())
    if (pauseMs > 0) guard.pause(Math.min(pauseMs, 60_000))
  }
}

/** Whether Duffel answers at all and takes our token. Outside every guard; it reads something small that is no order. */
export async function duffelIsHealthy(api: DuffelApi, timeoutMs: number): Promise<boolean> {
  try {
    return (await withDeadline(api.airlines.list({ limit: 1 }), timeoutMs)) !== 'timeout'
  } catch (error) {
    const answer = readFailure(error, 0)
    return answer.kind === 'refused' && answer.code !== 'supplier-unauthorized'
  }
}

/** The promise's result, or `timeout`. The abandoned promise is given a catch, for nobody will look at it again. */
async function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T | 'timeout'> {
  promise.catch(() => undefined)
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), timeoutMs)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
