/** Cancelling an order at Duffel: a quote, which lapses by itself, and its confirmation, which is the call that matters. */
import { type CallAnswer, notDone } from '../steps/call-answer.ts'
import type { CallLimits } from '../steps/guard.ts'
import type { Duffel } from './duffel.ts'
import { getOrder } from './duffel-lookup.ts'
import { penaltyMinor } from './duffel-orders.ts'
import { cancellationSchema } from './duffel-shapes.ts'

/** Cancels an order: quote, then confirmation, which is the call that matters. */
export async function cancelOrder(
  duffel: Duffel,
  orderId: string,
  limits: CallLimits,
): Promise<CallAnswer<{ orderId: string; penaltyMinor: number; currency: string }>> {
  const { onSend: _, ...quietly } = limits
  const order = await getOrder(duffel, orderId, quietly)
  if (order.kind !== 'succeeded') return order
  const cancelled = (refund: Parameters<typeof penaltyMinor>[1]) => {
    const value = { orderId, penaltyMinor: penaltyMinor(order.value, refund), currency: order.value.total_currency }
    return { kind: 'succeeded', value } as const
  }
  const before = order.value.cancellation
  if (order.value.cancelled_at) return cancelled(before ?? { refund_amount: null, refund_currency: null })
  const quote = await duffel.ordering.call({
    kind: 'act',
    timeoutMs: duffel.times.orderTimeoutMs,
    limits: quietly,
    schema: cancellationSchema,
    send: (api) => api.orderCancellations.create({ order_id: orderId }),
  })
  // A quote that was lost has no effect and lapses by itself.
  if (quote.kind === 'unknown' || quote.kind === 'accepted') return notDone('supplier-unavailable')
  if (quote.kind !== 'succeeded') return quote
  if (quote.value.order_id !== orderId) return notDone('supplier-unavailable')
  const confirmed = await duffel.ordering.call({
    kind: 'act',
    timeoutMs: duffel.times.orderTimeoutMs,
    limits,
    schema: cancellationSchema,
    send: (api) => api.orderCancellations.confirm(quote.value.id),
  })
  return confirmed.kind === 'succeeded' ? cancelled(confirmed.value) : confirmed
}
