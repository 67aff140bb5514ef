/** A property: what its host says of it, and whether it still takes reservations. */
import type { PropertyFacts, StayEvent } from '@portolan/schemas/stays/messages.ts'
import { stayEvents } from '@portolan/schemas/stays/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { StreamType } from '../event-store/stream-type.ts'

export type PropertyState = { propertyId: string; facts: PropertyFacts; isRetired: boolean } | null

export const propertyType: StreamType<PropertyState, StayEvent> = {
  topic: topics.stays,
  catalogue: stayEvents,
  initialState: () => null,
  evolve: (state, { type, data }) => {
    switch (type) {
      case 'PropertyRegistered':
      case 'PropertyDescribed': {
        const { propertyId, description, capacity, nightlyPrice, location } = data
        return {
          propertyId,
          facts: { description, capacity, nightlyPrice, location },
          isRetired: state?.isRetired ?? false,
        }
      }
      case 'PropertyRetired':
        return state && { ...state, isRetired: true }
      default:
        return state
    }
  },
}
