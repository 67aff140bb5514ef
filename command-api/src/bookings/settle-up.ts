/**
 * What must hold for a booking in its member's account once its facts were corrected:
 *   deducted − given back (by the partner or outside) − still owed to the member + recovered from them outside + still to be recovered
 *     = what is due,
 * and due is the price while the member has a ticket, or gave one up without asking for a refund, otherwise nothing.
 */
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import { type Booking, made } from './booking.ts'
import type { MemberAccount } from './member-account.ts'

/**
 * What the member has too much is first taken from what they are owed; the rest is to be recovered, or no longer when the ticket it stood
 * for is gone. What they have too little is given back by the booking, which is undone, for one deduction; of a second one it becomes owed
 * here.
 */
export function settleUp(
  account: MemberAccount,
  b: Booking,
  { by, reason }: { by: string; reason: string },
  at: string,
): MemberEvent[] {
  const { bookingId, memberId } = b
  const { loyaltyAmount: price, loyaltyCurrency: currency } = b.price
  const owed = account.owed[bookingId]?.amount ?? 0
  const recoverable = account.recoverable[bookingId]?.amount ?? 0
  const outside = (account.settled[bookingId]?.amount ?? 0) - (account.recovered[bookingId]?.amount ?? 0)
  const timesTooMuch = made(b, 'refund').length + (owesPrice(b) ? 1 : 0) - made(b, 'deduct').length
  const excess = timesTooMuch * price + outside + owed - recoverable
  const waived = Math.min(recoverable, Math.max(0, -excess))
  const cancelled = Math.min(owed, Math.max(0, excess))
  const due = Math.max(0, excess - cancelled)
  const toCome = b.deduction && !b.givenBack && !owesPrice(b) ? price : 0
  const missing = Math.max(0, -excess - waived - toCome)
  const claim = { bookingId, memberId, currency }
  const events: (MemberEvent | null)[] = [
    waived > 0 ? { type: 'RecoverySettled', data: { ...claim, amount: waived, how: 'waived', by, reason, at } } : null,
    cancelled > 0 ? { type: 'OwedRefundCancelled', data: { ...claim, amount: cancelled, by, reason, at } } : null,
    due > 0 ? { type: 'RecoveryDue', data: { ...claim, amount: due, at } } : null,
    missing > 0 ? { type: 'RefundOwed', data: { ...claim, amount: missing, at } } : null,
  ]
  return events.filter((event) => event !== null)
}

/** Whether the member has a ticket, or gave one up for nothing. */
function owesPrice(b: Booking): boolean {
  return b.confirmedAt !== null && (b.cancellation ? !b.cancellation.refundRequested : b.undo === null)
}
