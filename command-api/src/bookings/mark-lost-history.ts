/** Marking bookings and members of a restored store, for the republication of the log. The rules are in lost-history.ts. */
import { memberAccountStream } from '@portolan/schemas/topics.ts'
import type { CommandContext } from '../event-store/handle-command.ts'
import type { BookingDeps } from './booking-deps.ts'
import { conclude } from './decider.ts'
import { type LostHistory, markLostHistory } from './lost-history.ts'
import { memberAccountStreamType } from './member-account.ts'

/** Both may be repeated: what is marked for a generation is not marked again. */
export function createLostHistoryMarks({
  store,
  bookingType,
  times,
}: Pick<BookingDeps, 'store' | 'bookingType' | 'times'>) {
  /** Whether the booking could still move anything, or be corrected again, and so is marked now. */
  async function markBooking(context: CommandContext, stream: string, lost: LostHistory): Promise<boolean> {
    const { state } = await store.load(context.tenantId, bookingType, stream)
    if (!state) return false
    const handled = await store.handle({
      context,
      streams: {
        booking: { type: bookingType, stream },
        account: { type: memberAccountStreamType, stream: memberAccountStream(state.memberId) },
      },
      decide: (states, now) => {
        const mark = markLostHistory(states, lost, now, { times })
        return { events: { ...(mark.booking.length > 0 ? conclude(states, mark, now, times) : mark) } }
      },
    })
    return !handled.replayed && handled.appended.length > 0
  }

  async function markMember(context: CommandContext, memberId: string, lost: LostHistory): Promise<void> {
    await store.handle({
      context,
      streams: { account: { type: memberAccountStreamType, stream: memberAccountStream(memberId) } },
      decide: ({ account }, now) => {
        const mark = { type: 'AccountHistoryLost' as const, data: { ...lost, at: now } }
        return { events: { account: account.lostBefore === lost.generation ? [] : [mark] } }
      },
    })
  }

  return { markBooking, markMember }
}
