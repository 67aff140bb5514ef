/** CoffeeChain's answers, read into the classes of design section 5. Pure; source: loyalty-partner-apis.md. */
import { z } from 'zod'
import { type CallAnswer, notDone, parseRetryAfter } from '../steps/call-answer.ts'
import type { PartnerResponse } from './partner-request.ts'

const wholeUnits = z.int().min(-1_000_000_000_000).max(1_000_000_000_000)
const id = z.string().min(1).max(100)

export const balanceAnswerSchema = z.object({
  balance: wholeUnits,
  currency: z.string().max(50),
  status: z.string().max(50),
})
export const deductAnswerSchema = z.object({
  transaction_id: id,
  amount_deducted: wholeUnits,
  remaining_balance: wholeUnits,
})
export const refundAnswerSchema = z.object({ refund_id: id, transaction_id: id, amount_refunded: wholeUnits })
export const approvalAnswerSchema = z.object({ approval_required: z.boolean() })

const errorSchema = z.object({
  detail: z.object({ error: z.string().max(100), current_balance: wholeUnits.optional() }),
})

/**
 * Reads one answer.
 *
 * schema: what a success must look like. A success that does not fit is unknown: something happened, nobody can say what.
 * nowMs: the clock, for Retry-After dates.
 */
export function readAnswer<T>(response: PartnerResponse, schema: z.ZodType<T>, nowMs: number): CallAnswer<T> {
  if (response.kind === 'not-sent') return notDone('partner-unavailable')
  if (response.kind === 'timeout') return { kind: 'unknown', code: 'timeout' }
  if (response.kind === 'cut') return { kind: 'unknown', code: 'connection-cut' }
  const { status } = response
  if (status === 202) return { kind: 'accepted' }
  if (status >= 200 && status < 300) {
    const parsed = schema.safeParse(response.body)
    return parsed.success ? { kind: 'succeeded', value: parsed.data } : { kind: 'unknown', code: 'server-error' }
  }
  if (status === 429) return notDone('rate-limited', parseRetryAfter(response.retryAfter, nowMs))
  if (status === 503) return notDone('partner-unavailable', parseRetryAfter(response.retryAfter, nowMs))
  // Whoever gave up waiting, the request may have been carried out.
  if (status === 408) return { kind: 'unknown', code: 'timeout' }
  if (status >= 400 && status < 500) return refusal(status, response.body)
  return { kind: 'unknown', code: 'server-error' }
}

function refusal(status: number, body: unknown): CallAnswer<never> {
  const error = errorSchema.safeParse(body)
  const partnerCode = error.success ? error.data.detail.error : null
  const balance = error.success ? error.data.detail.current_balance : undefined
  return {
    kind: 'refused',
    code: refusalCodes.get(`${status} ${partnerCode}`) ?? (status === 401 ? 'unauthorized' : 'partner-refused'),
    result: { partnerStatus: status, ...(balance !== undefined && { available: balance }) },
  }
}

/** 403 `unauthorized` is a transaction of another member: for the refund it names, it does not exist. */
const refusalCodes = new Map([
  ['400 insufficient_balance', 'insufficient-balance'],
  ['404 member_not_found', 'member-not-found'],
  ['404 transaction_not_found', 'transaction-not-found'],
  ['403 unauthorized', 'transaction-not-found'],
])
