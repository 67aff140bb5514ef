/**
 * Finding a booking's order at Duffel. Orders cannot be searched by metadata, so one without a known id is looked for among
 * the orders under a passenger's name and recognised by the metadata that it carries.
 */
import type { LookedUpOrder } from '@portolan/schemas/bookings/results.ts'
import { z } from 'zod'
import { type CallAnswer, notDone } from '../steps/call-answer.ts'
import type { CallLimits } from '../steps/guard.ts'
import type { Duffel, OrderOwner, PassengerRef } from './duffel.ts'
import { lookedUpOrder } from './duffel-orders.ts'
import { type DuffelOrder, orderSchema } from './duffel-shapes.ts'

export type FoundOrder = { found: false } | { found: true; order: LookedUpOrder }

/** Pages of a name's orders that are looked through; more means that the name does not tell enough. */
const PAGES_MAX = 20
const PAGE_SIZE = 200

/** The booking's order by its id, or among the orders under `familyName`. A cancelled one counts only when there is no other. */
export async function findOrder(
  duffel: Duffel,
  owner: OrderOwner,
  by: { orderId: string | null; familyName: string; passengers: readonly PassengerRef[] },
  limits: CallLimits,
): Promise<CallAnswer<FoundOrder>> {
  const answer = by.orderId
    ? await getOrder(duffel, by.orderId, limits)
    : await searchOrders(duffel, owner, by.familyName, limits)
  if (answer.kind === 'refused' && answer.code === 'not-found') return { kind: 'succeeded', value: { found: false } }
  if (answer.kind !== 'succeeded') return answer
  const order = lookedUpOrder(
    answer.value,
    by.passengers.map(({ supplierPassengerId }) => supplierPassengerId),
  )
  return { kind: 'succeeded', value: { found: true, order } }
}

async function searchOrders(
  duffel: Duffel,
  { bookingId, tenantId }: OrderOwner,
  familyName: string,
  limits: CallLimits,
): Promise<CallAnswer<DuffelOrder>> {
  const ours: unknown[] = []
  let after: string | null = null
  for (let page = 0; page < PAGES_MAX; page++) {
    const cursor: string | null = after
    const answer: CallAnswer<z.infer<typeof pageSchema>> = await duffel.ordering.call({
      kind: 'read',
      timeoutMs: duffel.times.readTimeoutMs,
      limits,
      schema: pageSchema,
      send: async (api) => {
        const list = await api.orders.list({
          'passenger_name[]': [familyName],
          limit: PAGE_SIZE,
          ...(cursor !== null && { after: cursor }),
        })
        return { ...list, data: { orders: list.data, after: list.meta?.after ?? null } }
      },
    })
    if (answer.kind !== 'succeeded') return answer
    ours.push(...answer.value.orders.filter((order) => isOwned(order, bookingId, tenantId)))
    after = answer.value.after
    if (after === null) return chooseOrder(ours)
  }
  // Not all orders were seen, so "not found" would be a guess.
  return ours.length > 0 ? chooseOrder(ours) : notDone('too-many-orders')
}

/** An order by its id; refused `not-found` when there is none. */
export function getOrder(duffel: Duffel, orderId: string, limits: CallLimits): Promise<CallAnswer<DuffelOrder>> {
  return duffel.ordering.call({
    kind: 'read',
    timeoutMs: duffel.times.readTimeoutMs,
    limits,
    schema: orderSchema,
    send: (api) => api.orders.get(orderId),
  })
}

const pageSchema = z.object({ orders: z.array(z.unknown()).max(PAGE_SIZE), after: z.string().max(500).nullable() })
const ownerSchema = z.object({ metadata: z.object({ booking_id: z.string(), tenant_id: z.string() }) })

function isOwned(order: unknown, bookingId: string, tenantId: string): boolean {
  const owner = ownerSchema.safeParse(order)
  return owner.success && owner.data.metadata.booking_id === bookingId && owner.data.metadata.tenant_id === tenantId
}

/** The order that stands, else the newest cancelled one. One of ours that cannot be read is no proof that there is none. */
function chooseOrder(ours: readonly unknown[]): CallAnswer<DuffelOrder> {
  const parsed = ours.map((order) => orderSchema.safeParse(order))
  if (parsed.some(({ success }) => !success)) return notDone('supplier-unavailable')
  const orders = parsed.flatMap(({ data }) => data ?? []).sort((a, b) => (a.created_at < b.created_at ? 1 : -1))
  const chosen = orders.find((order) => !order.cancelled_at) ?? orders[0]
  return chosen ? { kind: 'succeeded', value: chosen } : { kind: 'refused', code: 'not-found' }
}
