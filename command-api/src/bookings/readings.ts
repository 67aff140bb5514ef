/** What a reading of a balance or an order proves about the call whose outcome is unknown, or whose order the supplier has accepted. */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import { type LookedUpOrder, stepResults } from '@portolan/schemas/bookings/results.ts'
import type { Decision } from './decider.ts'
import { judgeBalance } from './member-account.ts'
import {
  type At,
  deducted,
  didNotHappen,
  ended,
  facts,
  notDone,
  operatorNeeded,
  refunded,
  supplierAccepted,
} from './outcomes.ts'
import { later } from './process.ts'
import { costsWhatWasOffered } from './supplier-prices.ts'

/** What a reconciling or polling read says about the step in question. */
export function resolve(at: At, result: unknown): Decision {
  const { b, open } = at
  if (open.step === 'reconcile-movement') return movementRead(at, stepResults['reconcile-movement'].parse(result))
  const lookup = stepResults['reconcile-order'].parse(result)
  const step = b.unknown?.step ?? b.awaiting?.step
  if (!step) return facts(ended(at, 'succeeded', null, null))
  if (
    lookup.found &&
    step !== 'cancel-order' &&
    !lookup.order.cancelled &&
    !costsWhatWasOffered(lookup.order, b.offer)
  ) {
    return facts(ended(at, 'succeeded', 'price-mismatch', null), operatorNeeded(at, 'price-mismatch'))
  }
  const happened = lookup.found ? orderSays(at, step, lookup.order) : []
  if (happened.length > 0) return established(at, step, true, facts(...happened))
  const isCalledOff = lookup.found && lookup.order.cancelled
  if (!isCalledOff && (b.awaiting || !isSettled(at))) return notDone(at, 'not-found-yet', 0)
  const reason = isCalledOff ? 'supplier-refused' : 'supplier-unavailable'
  return established(at, step, false, didNotHappen({ ...at, open: { ...open, step } }, reason))
}

function movementRead(at: At, read: { balance: number; readAt: string }): Decision {
  const { b, account, open, settings } = at
  const { unknown } = b
  if (!unknown) return facts(ended(at, 'succeeded', null, null))
  const subject = { ...at, open: { ...open, step: unknown.step, attempt: unknown.attempt } }
  const inconclusive = facts(ended(at, 'succeeded', 'inconclusive', null), operatorNeeded(at, 'inconclusive-balance'))
  const mayHaveReset = settings.resetBalance !== undefined && read.readAt > unknown.reconcileUntil
  if (!account.open || mayHaveReset) return inconclusive
  switch (judgeBalance(account.open, read.balance, settings.resetBalance, isSettled(at))) {
    case 'happened':
      return established(
        at,
        unknown.step,
        true,
        unknown.step === 'deduct' ? deducted(subject, null) : refunded(subject, null),
      )
    case 'did-not-happen': {
      const reason =
        unknown.code === 'server-error' || unknown.code === 'connection-cut' ? 'partner-unavailable' : 'partner-timeout'
      return established(at, unknown.step, false, didNotHappen(subject, reason))
    }
    case 'early':
      return notDone(at, 'balance-unchanged', 0)
    case 'inconclusive':
      return inconclusive
  }
}

/** What an order found at the supplier proves about the step that asked for it; [] when it proves nothing. */
function orderSays(at: At, step: string, order: LookedUpOrder): BookingEvent[] {
  const { b, now } = at
  const { orderId, bookingReference, tickets, payBy, penaltyMinor, currency } = order
  if (step === 'cancel-order') {
    return order.cancelled ? [{ type: 'OrderCancelled', data: { orderId, penaltyMinor, currency, at: now } }] : []
  }
  if (order.cancelled) return []
  if (step === 'place-hold') {
    return [{ type: 'HoldPlaced', data: { orderId, bookingReference, payBy: payBy ?? now, at: now } }]
  }
  if (order.awaitingPayment) return []
  if (tickets.length < b.passengers.length) return b.awaiting ? [] : [supplierAccepted(at, step, orderId)]
  return [{ type: 'BookingConfirmed', data: { orderId, bookingReference, tickets, at: now } }]
}

function established(at: At, step: string, happened: boolean, follow: Decision): Decision {
  const { b, now } = at
  const attempt = b.unknown?.attempt ?? b.attempts[step] ?? 1
  return {
    booking: [
      ended(at, 'succeeded', null, null),
      { type: 'OutcomeEstablished', data: { step, attempt, happened, by: 'reconciliation', at: now } },
      ...follow.booking,
    ],
    account: follow.account,
  }
}

/**
 * Judged by when the read was due, not by when it was reported: a reading from before says nothing, however late its report. A call that
 * a restored store has forgotten, or whose claim it took back, may be under way for a while yet.
 */
function isSettled({ b: { unknown }, open, settings: { times } }: At): boolean {
  if (!unknown) return false
  const underWayMs = unknown.code === 'history-lost' ? times.forgottenCallMs : 0
  return open.dueAt >= later(unknown.since, underWayMs + times.settleMs)
}
