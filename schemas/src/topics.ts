/** Topic names, consumer group names, and which topic holds which stream. Names here are before the environment's prefix. */

export const topics = {
  bookings: 'bookings.events.v1',
  members: 'members.events.v1',
  tenants: 'tenants.events.v1',
  staff: 'staff.events.v1',
  stays: 'stays.events.v1',
} as const
export type TopicName = (typeof topics)[keyof typeof topics]

/** Consumer groups: `<process>.<consumer>`; projections append `.v<version>`. */
export const consumerGroups = {
  dispatch: 'workers.dispatch',
} as const

/** Projections; their consumer groups are `projections.<name>.v<version>`. */
export const projectionNames = ['booking_details', 'booking_list', 'ledger', 'stays', 'tenants'] as const
export type ProjectionName = (typeof projectionNames)[number]

/** Stream ids. The tenant is a column and part of every key, never only in this string. */
export const bookingStream = (bookingId: string): string => `booking-${bookingId}`
export const memberAccountStream = (memberId: string): string => `member-account-${memberId}`
export const propertyStream = (propertyId: string): string => `property-${propertyId}`
export const reservationStream = (reservationId: string): string => `reservation-${reservationId}`
export const tenantStream = (tenantId: string): string => `tenant-${tenantId}`
/** The log's own stream, of the platform. */
export const LOG_STREAM = 'log'
export const staffAccountStream = (accountId: string): string => `staff-account-${accountId}`
