/**
 * CoffeeChain, as its contract describes it: no idempotency, no look-up, no sign check, no enforced limit. This adapter
 * supplies what it lacks towards us: amounts it must never see, a limit we keep ourselves, and answers read into classes.
 * Any programme of this kind is served by it; its address, key and limit are the tenant's settings.
 */
import type { z } from 'zod'
import { asRead, type CallAnswer } from '../steps/call-answer.ts'
import type { Guard } from '../steps/guard.ts'
import {
  approvalAnswerSchema,
  balanceAnswerSchema,
  deductAnswerSchema,
  readAnswer,
  refundAnswerSchema,
} from './coffeechain-answers.ts'
import { mockErrorFor, type PartnerCallKind } from './mock-error.ts'
import type { Partner, PartnerCall } from './partner.ts'
import { requestPartner } from './partner-request.ts'

export interface CoffeeChainAccount {
  baseUrl: string
  apiKey: string
  /** From connecting to the last byte; below the 35 s for which the partner is known to block. */
  timeoutMs: number
  /** Whether X-Mock-Error is forwarded at all: TEST_MODE. */
  forwardsMockErrors: boolean
}

/** Creates the adapter of one programme. now: UTC milliseconds. */
export function createCoffeeChain(account: CoffeeChainAccount, guard: Guard, now: () => number): Partner {
  const api = `${account.baseUrl.replace(/\/$/, '')}/api/v1`

  function send<T>(
    kind: PartnerCallKind,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    { mockError, ...limits }: PartnerCall,
  ): Promise<CallAnswer<T>> {
    const mocked = account.forwardsMockErrors ? mockErrorFor(kind, mockError) : undefined
    return guard.run({ ...limits, isMocked: mocked !== undefined }, async () => {
      const response = await requestPartner({
        method: body === undefined ? 'GET' : 'POST',
        url: `${api}${path}`,
        headers: { 'x-cc-api-key': account.apiKey, ...(mocked !== undefined && { 'x-mock-error': mocked }) },
        body,
        timeoutMs: account.timeoutMs,
      })
      const answer = readAnswer(response, schema, now())
      return kind === 'deduct' || kind === 'refund' ? answer : asRead(answer, 'partner')
    })
  }

  return {
    enter: (calls) => guard.enter(calls),

    balance: (memberId, call) =>
      send('balance', `/members/${encode(memberId)}/balance`, undefined, balanceAnswerSchema, call),

    checkApproval: async ({ memberId, amount, bookingReference }, call) => {
      if (!isAmount(amount)) return invalidAmount
      const body = { member_id: memberId, amount, booking_reference: bookingReference }
      const answer = await send('approval', '/approvals/check', body, approvalAnswerSchema, call)
      return mapValue(answer, (value) => ({ approvalRequired: value.approval_required }))
    },

    deduct: async ({ memberId, amount, referenceId, description }, call) => {
      // The partner would take a negative amount and credit it.
      if (!isAmount(amount)) return invalidAmount
      const body = { amount, reference_id: referenceId, description }
      const answer = await send('deduct', `/members/${encode(memberId)}/deduct`, body, deductAnswerSchema, call)
      if (answer.kind === 'succeeded' && answer.value.amount_deducted !== amount) return implausible
      return mapValue(answer, (value) => ({
        transactionId: value.transaction_id,
        balanceAfter: value.remaining_balance,
      }))
    },

    refund: async ({ memberId, transactionId, amount, reason }, call) => {
      const body = { transaction_id: transactionId, reason }
      const answer = await send('refund', `/members/${encode(memberId)}/refund`, body, refundAnswerSchema, call)
      const isOurs = (value: z.infer<typeof refundAnswerSchema>) =>
        value.transaction_id === transactionId && value.amount_refunded === amount
      if (answer.kind === 'succeeded' && !isOurs(answer.value)) return implausible
      return mapValue(answer, (value) => ({ refundId: value.refund_id }))
    },
  }
}

/**
 * Whether the partner's own health check answers. Neither throttled nor guarded: a probe must not use up, nor wait for,
 * the budget of members' calls.
 */
export async function coffeeChainIsHealthy(baseUrl: string, timeoutMs: number): Promise<boolean> {
  const url = `${baseUrl.replace(/\/$/, '')}/health`
  const response = await requestPartner({ method: 'GET', url, headers: {}, timeoutMs })
  return response.kind === 'answered' && response.status === 200
}

const encode = encodeURIComponent
const isAmount = (amount: number): boolean => Number.isSafeInteger(amount) && amount > 0
const invalidAmount: CallAnswer<never> = { kind: 'refused', code: 'invalid-amount' }
/** The partner says that it moved something, but not what we asked for: nobody knows what happened. */
const implausible: CallAnswer<never> = { kind: 'unknown', code: 'server-error' }

function mapValue<T, U>(answer: CallAnswer<T>, map: (value: T) => U): CallAnswer<U> {
  return answer.kind === 'succeeded' ? { kind: 'succeeded', value: map(answer.value) } : answer
}
