/**
 * The steps that arrange and undo a booking: fare, hold, deduction, tickets, cancellation, refund. All but the fare move
 * money or orders, so their one call is claimed (steps/run-step.ts).
 */
import type { Unseal } from '@portolan/infra/http/unseal-client.ts'
import type { StepJob } from '@portolan/schemas/steps.ts'
import type { Duffel } from '../flights/duffel.ts'
import { orderInstantly, payHeldOrder, placeHold } from '../flights/duffel-booking.ts'
import { cancelOrder } from '../flights/duffel-cancel.ts'
import { currentOffer, sameFlightsAgain } from '../flights/duffel-search.ts'
import type { PartnerCall } from '../partners/partner.ts'
import { enterPartner, type Partners } from '../partners/partners.ts'
import type { CallAnswer } from '../steps/call-answer.ts'
import { enterAll } from '../steps/guard.ts'
import type { Execution, StepAnswer, StepHandler } from '../steps/run-step.ts'
import {
  cancelOrderInput,
  deductInput,
  issueTicketsInput,
  placeHoldInput,
  recheckFareInput,
  refundInput,
} from './inputs.ts'
import { openPassengers } from './passengers.ts'

export interface FulfilmentDeps {
  duffel: Duffel
  partners: Partners
  unseal: Unseal
  /** The database's clock, UTC milliseconds. */
  now: () => number
}

export interface FulfilmentTimes {
  partnerCallTimeoutMs: number
  orderCallTimeoutMs: number
  searchTimeoutMs: number
}

const passengerGone: StepAnswer = { kind: 'refused', code: 'passenger-gone' }

/** The handlers by step name. */
export function fulfilmentSteps(deps: FulfilmentDeps, times: FulfilmentTimes): Record<string, StepHandler> {
  const { duffel, partners, unseal, now } = deps
  const enterOrdering = () => enterAll(duffel.ordering.enter)
  const order = { kind: 'claimed', callTimeoutMs: times.orderCallTimeoutMs, enter: enterOrdering } as const
  /** The balance and the movement. */
  const enterForMovement = enterPartner(partners, 2)
  const movement = { kind: 'claimed', callTimeoutMs: times.partnerCallTimeoutMs, enter: enterForMovement } as const

  async function enterForFare({ tenantId }: StepJob) {
    const partner = await partners.of(tenantId)
    return enterAll(() => partner.enter(1), duffel.searching.enter)
  }

  /** The same offer when it still stands, otherwise the cheapest for the same flights; and what the member has. */
  async function recheckFare(job: StepJob, execution: Execution): Promise<StepAnswer> {
    const { memberId, offer } = recheckFareInput.parse(job.input)
    const partner = await partners.of(job.tenantId)
    const balance = await partner.balance(memberId, readCall(job, execution))
    if (balance.kind !== 'succeeded') return balance
    const fit = { passengers: offer.passengerCounts, slices: offer.inbound ? 2 : 1 }
    const journey = { ...offer, passengers: offer.passengerCounts }
    let fare = await currentOffer(duffel, offer.supplierOfferId, fit, now(), execution)
    if (fare.kind === 'refused' && fare.code === 'offer-unavailable') {
      fare = await sameFlightsAgain(duffel, journey, times.searchTimeoutMs, execution)
    }
    if (fare.kind !== 'succeeded') return fare
    const { supplierOfferId, supplierPassengerIds, holdable, expiresAt, supplierAmount, supplierCurrency } = fare.value
    const found = { supplierOfferId, supplierPassengerIds, holdable, expiresAt, supplierAmount, supplierCurrency }
    return { kind: 'succeeded', value: { ...found, balance: balance.value.balance } }
  }

  async function hold(job: StepJob, execution: Execution): Promise<StepAnswer> {
    const input = placeHoldInput.parse(job.input)
    const passengers = await openPassengers(unseal, job.tenantId, input, job.correlationId)
    if (!passengers) return passengerGone
    return asResult(await placeHold(duffel, { ...input, ...ownerOf(job), passengers }, execution))
  }

  /** Pays the held order, or orders at once where the fare could not be held. */
  async function issueTickets(job: StepJob, execution: Execution): Promise<StepAnswer> {
    const input = issueTicketsInput.parse(job.input)
    const { orderId } = input
    if (orderId !== null) return asResult(await payHeldOrder(duffel, { ...input, orderId }, execution))
    const passengers = await openPassengers(unseal, job.tenantId, input, job.correlationId)
    if (!passengers) return passengerGone
    return asResult(await orderInstantly(duffel, { ...input, ...ownerOf(job), passengers }, execution))
  }

  async function cancel(job: StepJob, execution: Execution): Promise<StepAnswer> {
    return asResult(await cancelOrder(duffel, cancelOrderInput.parse(job.input).orderId, execution))
  }

  /**
   * Reads the balance and has it recorded before the partner is asked to move anything: should the outcome be lost, the
   * difference to a later reading says what happened. Returns null when the claim was lost meanwhile.
   */
  async function move<T extends object>(
    job: StepJob,
    execution: Execution,
    memberId: string,
    call: (partner: Awaited<ReturnType<Partners['of']>>, limits: PartnerCall) => Promise<CallAnswer<T>>,
  ): Promise<StepAnswer | null> {
    const partner = await partners.of(job.tenantId)
    const before = await partner.balance(memberId, readCall(job, execution))
    if (before.kind !== 'succeeded') return before
    const isRecorded = await execution.recordBalance(before.value.balance, new Date(now()).toISOString())
    return isRecorded ? asResult(await call(partner, { ...execution, mockError: job.mockError })) : null
  }

  async function deduct(job: StepJob, execution: Execution): Promise<StepAnswer | null> {
    const { bookingId, memberId, amount, description } = deductInput.parse(job.input)
    const referenceId = `${bookingId}:${job.step}:${job.attempt}`
    return move(job, execution, memberId, (partner, limits) =>
      partner.deduct({ memberId, amount, referenceId, description }, limits),
    )
  }

  async function refund(job: StepJob, execution: Execution): Promise<StepAnswer | null> {
    const { memberId, transactionId, amount, reason } = refundInput.parse(job.input)
    return move(job, execution, memberId, (partner, limits) =>
      partner.refund({ memberId, transactionId, amount, reason }, limits),
    )
  }

  return {
    'recheck-fare': { kind: 'read', callTimeoutMs: times.searchTimeoutMs, enter: enterForFare, run: recheckFare },
    'place-hold': { ...order, run: hold },
    deduct: { ...movement, run: deduct },
    'issue-tickets': { ...order, run: issueTickets },
    'cancel-order': { ...order, run: cancel },
    refund: { ...movement, run: refund },
  }
}

/** A read of a booking's own: the request's X-Mock-Error goes with it, but it is not the call that is announced. */
function readCall(job: StepJob, { sendBeforeMs, entries }: Execution): PartnerCall {
  return { sendBeforeMs, entries, mockError: job.mockError }
}

function ownerOf(job: StepJob): { tenantId: string; attempt: number } {
  return { tenantId: job.tenantId, attempt: job.attempt }
}

/** Results are plain JSON objects by construction; the decider checks them against the step's schema. */
function asResult<T extends object>(answer: CallAnswer<T>): StepAnswer {
  return answer.kind === 'succeeded'
    ? { kind: 'succeeded', value: Object.fromEntries(Object.entries(answer.value)) }
    : answer
}
