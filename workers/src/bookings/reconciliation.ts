/**
 * Reads that establish what became of an attempt: the supplier's order, the member's balance. They change nothing, are
 * never claimed, and never carry X-Mock-Error.
 */
import type { Unseal } from '@portolan/infra/http/unseal-client.ts'
import type { StepJob } from '@portolan/schemas/steps.ts'
import type { Duffel } from '../flights/duffel.ts'
import { findOrder } from '../flights/duffel-lookup.ts'
import { enterPartner, type Partners } from '../partners/partners.ts'
import { enterAll } from '../steps/guard.ts'
import type { Execution, StepAnswer, StepHandler } from '../steps/run-step.ts'
import { movementLookupInput, orderLookupInput } from './inputs.ts'
import { openPassengers } from './passengers.ts'

export interface ReconciliationDeps {
  duffel: Duffel
  partners: Partners
  unseal: Unseal
  /** The database's clock, UTC milliseconds. */
  now: () => number
}

/** The handlers by step name. */
export function reconciliationSteps(
  { duffel, partners, unseal, now }: ReconciliationDeps,
  times: { readTimeoutMs: number },
): Record<string, StepHandler> {
  const lookUp = { kind: 'look-up', callTimeoutMs: times.readTimeoutMs } as const

  async function lookUpOrder(job: StepJob, execution: Execution): Promise<StepAnswer> {
    const input = orderLookupInput.parse(job.input)
    const owner = { bookingId: input.bookingId, tenantId: job.tenantId }
    const by = { orderId: input.orderId, familyName: '', passengers: input.passengers }
    if (input.orderId === null) {
      const first = { personId: input.personId, passengers: input.passengers.slice(0, 1) }
      const opened = await openPassengers(unseal, job.tenantId, first, job.correlationId)
      // Without a name nothing can be looked for; that is no proof of anything, so a person has to decide.
      if (!opened?.[0]) return { kind: 'not-done', code: 'passenger-gone', retryAfterMs: null }
      by.familyName = opened[0].details.lastName
    }
    const answer = await findOrder(duffel, owner, by, execution)
    return answer.kind === 'succeeded' ? { kind: 'succeeded', value: { ...answer.value } } : answer
  }

  async function readBalance(job: StepJob, { sendBeforeMs, entries }: Execution): Promise<StepAnswer> {
    const { memberId } = movementLookupInput.parse(job.input)
    const partner = await partners.of(job.tenantId)
    const answer = await partner.balance(memberId, { sendBeforeMs, entries })
    if (answer.kind !== 'succeeded') return answer
    return { kind: 'succeeded', value: { balance: answer.value.balance, readAt: new Date(now()).toISOString() } }
  }

  const orders = { ...lookUp, enter: () => enterAll(duffel.ordering.enter) }
  return {
    'poll-order': { ...orders, run: lookUpOrder },
    'reconcile-order': { ...orders, run: lookUpOrder },
    'reconcile-movement': { ...lookUp, enter: enterPartner(partners, 1), run: readBalance },
  }
}
