import type { Invariant, StoredEvent, Violation } from '../evidence.ts'
import { bookings } from './world.ts'

/** P6, as far as bookings have holds: what is overdue expires in the command that meets it, whatever the timers do. */
export const overdueExpires: Invariant = {
  name: 'overdue-expires',
  promises: ['P6'],
  says: 'nothing was approved after its approval ran out, and nothing was deducted or paid for a hold that had run out',
  check: ({ store }) => ({ violations: [...bookings(store.events).values()].flatMap(lateDecisions), notes: [] }),
}

/** Steps for which an unpaid hold must still stand when they are claimed. */
const needingTheHold = new Set(['deduct', 'issue-tickets'])

function lateDecisions(events: readonly StoredEvent[]): Violation[] {
  let approvableUntil: string | null = null
  let heldUntil: string | null = null
  return events.flatMap(({ type, data, stream, tenantId }) => {
    const late = (what: string) => [{ what: `${tenantId} ${stream}: ${what} at ${data.at}` }]
    if (type === 'ApprovalRequested') approvableUntil = data.expiresAt
    if (type === 'HoldPlaced') heldUntil = data.payBy
    if (type === 'BookingConfirmed' || type === 'OrderCancelled') heldUntil = null
    if (type === 'BookingApproved' && approvableUntil && data.at >= approvableUntil)
      return late(`approval ran out at ${approvableUntil} and was given`)
    if (type === 'AttemptStarted' && needingTheHold.has(data.step) && heldUntil && data.at >= heldUntil)
      return late(`the hold ran out at ${heldUntil} and ${data.step} was claimed`)
    return []
  })
}
