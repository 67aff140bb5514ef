/**
 * What came of one call through `@duffel/api`, read into the classes of design section 5. The client itself gives no
 * timeout and five kinds of failure: DuffelError (an answer with a status), FetchError (no or no readable answer), and a
 * TypeError for an empty success. Nothing it throws is ever logged whole: a FetchError's message holds the address
 * called, and with it the passenger's name that orders are looked up by.
 */
import { DuffelError } from '@duffel/api'
import type { z } from 'zod'
import { type CallAnswer, notDone, parseRetryAfter } from '../steps/call-answer.ts'

/** What the client resolves with; headers are undici- or node-fetch-like. */
export interface DuffelResponse {
  data: unknown
  meta?: unknown
  status?: number
  headers?: HeaderReader
}

interface HeaderReader {
  get(name: string): string | null
}

/**
 * read: changes nothing, 200. create: makes an order or a payment; only 201 has made it, any other success is an
 * acceptance. act: carries out what exists (confirming a cancellation), any success has done it.
 */
export type DuffelCallKind = 'read' | 'create' | 'act'

/** Failures that guarantee that the airline made no order; Duffel's changelog for `order_not_created`. */
const noSideEffectCodes = new Set(['order_not_created'])

/**
 * Refusals that speak of an earlier attempt of ours: that one may have succeeded, so they prove nothing about the order.
 */
const earlierAttemptCodes = new Set([
  'order_creation_already_attempted',
  'offer_request_already_booked',
  'already_paid',
])

/** Duffel's codes in the words our deciders know; every other refusal is `supplier-refused`. */
const refusalCodes: ReadonlyMap<string, string> = new Map([
  ['offer_no_longer_available', 'offer-unavailable'],
  ['offer_expired', 'offer-expired'],
  ['price_changed', 'price-changed'],
  ['payment_amount_does_not_match_order_amount', 'price-changed'],
  ['payment_currency_does_not_match_order_currency', 'price-changed'],
  ['past_payment_required_by_date', 'hold-expired'],
  ['order_not_created', 'order-not-created'],
  ['already_cancelled', 'already-cancelled'],
  ['order_not_cancellable', 'not-cancellable'],
])

/** Reads a resolved call. A success that does not fit `schema` is unknown: something happened, nobody can say what. */
export function readSuccess<T>(kind: DuffelCallKind, response: DuffelResponse, schema: z.ZodType<T>): CallAnswer<T> {
  if (response.status === 202) return { kind: 'accepted' }
  if (kind === 'create' && response.status !== 201) return { kind: 'accepted' }
  const parsed = schema.safeParse(response.data)
  return parsed.success ? { kind: 'succeeded', value: parsed.data } : { kind: 'unknown', code: 'server-error' }
}

/** Reads what a call threw. nowMs: the clock, for dates in headers. */
export function readFailure(error: unknown, nowMs: number): CallAnswer<never> {
  if (error instanceof DuffelError) {
    return readStatus(error.status ?? 0, codeOf(error), retryAfterOf(error.headers, nowMs))
  }
  const { name, code, type } = error as { name?: unknown; code?: unknown; type?: unknown }
  if (name !== 'FetchError') return { kind: 'unknown', code: 'server-error' } // an empty success: TypeError in the client
  if (notSentCodes.has(String(code))) return notDone('supplier-unavailable')
  return type === 'system' ? { kind: 'unknown', code: 'connection-cut' } : { kind: 'unknown', code: 'server-error' }
}

function readStatus(status: number, code: string | null, retryAfterMs: number | null): CallAnswer<never> {
  if (status === 429) return notDone('rate-limited', retryAfterMs)
  if (status === 503) return notDone('supplier-unavailable', retryAfterMs)
  if (code !== null && earlierAttemptCodes.has(code)) return { kind: 'unknown', code: 'server-error' }
  const isRefused = (status >= 400 && status < 500 && status !== 408) || (code !== null && noSideEffectCodes.has(code))
  if (!isRefused) return { kind: 'unknown', code: status === 408 || status === 504 ? 'timeout' : 'server-error' }
  const ours = status === 401 || status === 403 ? 'supplier-unauthorized' : status === 404 ? 'not-found' : null
  return {
    kind: 'refused',
    code: ours ?? refusalCodes.get(code ?? '') ?? 'supplier-refused',
    result: { supplierStatus: status, supplierCode: code },
  }
}

/** The first error's code, when it looks like one; it ends up in events and logs. */
function codeOf(error: InstanceType<typeof DuffelError>): string | null {
  const code: unknown = Array.isArray(error.errors) ? error.errors[0]?.code : null
  return typeof code === 'string' && /^[a-z0-9_]{1,80}$/.test(code) ? code : null
}

/** What a refused call has to wait: Retry-After, else until the limit's window ends. */
function retryAfterOf(headers: unknown, nowMs: number): number | null {
  if (!isHeaderReader(headers)) return null
  return parseRetryAfter(headers.get('retry-after'), nowMs) ?? parseRetryAfter(headers.get('ratelimit-reset'), nowMs)
}

/** How long to send nothing, because this answer says that the limit is used up; 0 when it does not. */
export function pauseAfter(headers: unknown, nowMs: number): number {
  if (!isHeaderReader(headers) || headers.get('ratelimit-remaining') !== '0') return 0
  return parseRetryAfter(headers.get('ratelimit-reset'), nowMs) ?? 0
}

/** Duffel's id of the request, null when there was no answer. */
export function requestIdOf(headers: unknown): string | null {
  return isHeaderReader(headers) ? (headers.get('x-request-id')?.slice(0, 100) ?? null) : null
}

function isHeaderReader(headers: unknown): headers is HeaderReader {
  return typeof headers === 'object' && headers !== null && typeof (headers as HeaderReader).get === 'function'
}

/** Connections that never stood. */
const notSentCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])
