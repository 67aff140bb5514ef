/** Staff accounts as events: who was allowed in, never a secret, an e-mail or a name. */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { type EventOf, event } from '../event-catalogue.ts'

export const staffRoleSchema = z.enum(['operator', 'tenant-admin', 'viewer'])
export type StaffRole = z.infer<typeof staffRoleSchema>

export const staffEvents = {
  StaffAccountCreated: event(
    z.object({ accountId: z.string(), role: staffRoleSchema, tenantScope: z.string().nullable(), at: instantSchema }),
  ),
  /** By the account itself; every session of it ended. */
  StaffPasswordChanged: event(z.object({ accountId: z.string(), at: instantSchema })),
  /** May not sign in any more, and every session of it ended. */
  StaffAccountDisabled: event(z.object({ accountId: z.string(), reason: z.string(), at: instantSchema })),
  StaffAccountEnabled: event(z.object({ accountId: z.string(), reason: z.string(), at: instantSchema })),
} as const

export type StaffEvent = EventOf<typeof staffEvents>
