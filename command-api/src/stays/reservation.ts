/** A reservation of a property for a period. */
import type { StayEvent } from '@portolan/schemas/stays/messages.ts'
import { stayEvents } from '@portolan/schemas/stays/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { StreamType } from '../event-store/stream-type.ts'

export interface Reservation {
  reservationId: string
  propertyId: string
  startDate: string
  nights: number
  /** Hash of the token that reserved; null for what was imported. */
  holder: string | null
  status: 'reserved' | 'cancelled'
}
export type ReservationState = Reservation | null

export const reservationType: StreamType<ReservationState, StayEvent> = {
  topic: topics.stays,
  catalogue: stayEvents,
  initialState: () => null,
  evolve: (state, { type, data }) => {
    switch (type) {
      case 'StayReserved': {
        const { reservationId, propertyId, startDate, nights, holder } = data
        return { reservationId, propertyId, startDate, nights, holder, status: 'reserved' }
      }
      case 'StayDatesChanged':
        return state && { ...state, startDate: data.startDate, nights: data.nights }
      case 'StayCancelled':
        return state && { ...state, status: 'cancelled' }
      default:
        return state
    }
  },
}
