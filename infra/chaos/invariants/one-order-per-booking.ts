import type { Invariant, StoredEvent, Violation } from '../evidence.ts'
import { type BookingHistory, readHistory } from './booking-history.ts'
import { bookingKey, bookings } from './world.ts'

/** P7 and P8 at the supplier: by the metadata that every order carries. */
export const oneOrderPerBooking: Invariant = {
  name: 'one-order-per-booking',
  promises: ['P7', 'P8', 'P9'],
  says: 'the supplier has exactly one live, paid order for each confirmed booking and none for any other that is settled, and never ordered twice for one',
  check: ({ store, supplier, evidence }) => {
    const violations: Violation[] = []
    const notes: string[] = []
    const histories = new Map([...bookings(store.events)].map(([key, events]) => [key, readHistory(events)]))
    const lost = bookings(evidence.lostEvents)
    const orders = Map.groupBy(supplier.orders, ({ metadata }) =>
      bookingKey(metadata.tenant_id ?? '', metadata.booking_id ?? ''),
    )
    for (const key of new Set([...orders.keys(), ...histories.keys()])) {
      const own = orders.get(key) ?? []
      const live = own.filter(({ cancelled }) => !cancelled)
      const ids = own.map(({ id }) => id).join(', ')
      if (own.length > 1) violations.push({ what: `${key} was ordered ${own.length} times: ${ids}` })
      const booking = histories.get(key)
      if (!booking) {
        if (lost.has(key)) notes.push(`${key} was lost by a restore; the supplier has ${ids}`)
        else violations.push({ what: `the supplier has ${ids} for ${key}, which does not exist` })
      } else if (live.length === 0 && lost.get(key)?.some(gaveUpTheOrder))
        notes.push(`${key} is ${booking.status}; its order was cancelled in what a restore took away`)
      else violations.push(...judge(key, booking, live, notes))
    }
    return { violations, notes }
  },
}

/** What a restored store no longer knows: the order was cancelled, or was about to be. */
const gaveUpTheOrder = ({ type, data }: StoredEvent) =>
  type === 'OrderCancelled' || (type === 'AttemptStarted' && data.step === 'cancel-order')

function judge(
  key: string,
  booking: BookingHistory,
  live: readonly { id: string; paid: boolean; type: string }[],
  notes: string[],
): Violation[] {
  const [order] = live
  if (booking.status === 'confirmed') {
    if (!order) return [{ what: `${key} is confirmed and the supplier has no live order` }]
    return order.paid ? [] : [{ what: `${key} is confirmed and order ${order.id} is not paid` }]
  }
  if (!order || booking.operator || booking.status === 'pending' || booking.status === 'pending_approval') return []
  if (!order.paid && booking.isOrderCancelled) {
    notes.push(`${key} is ${booking.status}; its unpaid order ${order.id} lapses by itself`)
    return []
  }
  return [{ what: `${key} is ${booking.status} and the supplier still has ${order.id}` }]
}
