/**
 * What is refused as `unavailable` until the relay has compared the log with Kafka, and while it is being republished (decision 0014).
 * A store that was restored to an earlier point has forgotten what it granted: it must grant nothing, and, because a booking that ended
 * is not marked any more, it must not end or undo any either. It may have forgotten too that an amount was settled: it must not be settled
 * twice. Who holds a claim that the store knows may still report.
 */
import type { BookingEvent } from '@portolan/schemas/bookings/messages.ts'
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import type { Effect } from '../event-store/append.ts'
import type { Decision } from './decider.ts'

export const requireLogVerified: Effect = { name: 'require_log_verified', args: {} }

const concluding: readonly (BookingEvent | MemberEvent)['type'][] = [
  'CompensationStarted',
  'CancellationRequested',
  'RefundOwed',
  'OutcomeCorrected',
  'BookingRejected',
  'BookingFailed',
  'BookingExpired',
  'BookingCancelled',
  'OwedRefundSettled',
  'RecoverySettled',
]

/** The effects of a decision that no claim's holder caused. */
export function endsNeedVerifiedLog({ booking, account }: Decision): Effect[] {
  return [...booking, ...account].some(({ type }) => concluding.includes(type)) ? [requireLogVerified] : []
}
