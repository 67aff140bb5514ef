/** The booking as a kind of stream: its fold and its process manager with the configured durations. */
import { type BookingEvent, bookingEvents } from '@portolan/schemas/bookings/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { StreamType } from '../event-store/stream-type.ts'
import { type BookingState, evolveBooking } from './booking.ts'
import { nextSteps, type ProcessTimes } from './process.ts'

/** times: durations of the process manager, in milliseconds. */
export function createBookingStreamType(times: ProcessTimes): StreamType<BookingState, BookingEvent> {
  return {
    topic: topics.bookings,
    catalogue: bookingEvents,
    initialState: () => null,
    evolve: evolveBooking,
    next: (state) => nextSteps(state, times),
    openSteps: (state) => Object.values(state?.open ?? {}),
  }
}
