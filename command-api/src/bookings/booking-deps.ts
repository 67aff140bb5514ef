/** What the routes of bookings are given by `main.ts`. */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import type { BookedOffer, BookingEvent, BookingPrice } from '@portolan/schemas/bookings/messages.ts'
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'
import type { Effect } from '../event-store/append.ts'
import type { EventStore } from '../event-store/event-store.ts'
import type { StreamType } from '../event-store/stream-type.ts'
import type { NoteWritten } from '../note-written.ts'
import type { BookingState } from './booking.ts'
import type { ProcessTimes } from './process.ts'

/** Sealing for one person, with their key or a new one; `effects` must commit together with what was sealed. */
export interface SealingKey {
  seal(value: unknown): string
  effects: Effect[]
}

export interface PersonalData {
  /** Runs a command that seals; runs it once more when another command made or forgot the person's key at the same time. */
  withKey<T>(tenantId: string, personId: string, command: (key: SealingKey) => Promise<T>): Promise<T>
  /** In the order of `items`; `gone` when the person's key was deleted. */
  unsealAll(
    tenantId: string,
    items: readonly { personId: string; sealed: string }[],
  ): Promise<readonly ({ value: unknown } | { gone: true })[]>
}

export interface BookingDeps {
  store: Pick<EventStore, 'handle' | 'singleFlight' | 'findRecord' | 'recordRejection' | 'waitFor' | 'load' | 'clock'>
  bookingType: StreamType<BookingState, BookingEvent>
  times: ProcessTimes
  /** The lookup port of workers. */
  lookups: ServiceClient
  findOffer(
    tenantId: string,
    memberId: string,
    flightId: string,
  ): Promise<{ offer: BookedOffer; price: BookingPrice; bookedAs: string | null } | null>
  findTenant(tenantId: string): Promise<TenantSettings | null>
  personalData: PersonalData
  /** Sets the `Consistency-Token` of an answer and remembers the positions for the principal's next reads. */
  noteWritten: NoteWritten
  newId(prefix: string): string
  waitDefaultSeconds: number
}
