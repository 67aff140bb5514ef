/** A tenant is data: what it may do, in which currency, within which limits, through which partner. */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { type EventOf, event } from '../event-catalogue.ts'

export const tenantSettingsSchema = z.object({
  tenantId: z.string().regex(/^[a-z0-9-]{2,40}$/),
  name: z.string(),
  /** How members' requests are authenticated and which partner adapter serves them. Only CoffeeChain's kind is built. */
  kind: z.enum(['coffeechain']),
  currency: z.object({
    name: z.string(),
    /** Exact rational rate: loyalty units = US cents × numerator / denominator. */
    perCentNumerator: z.int().positive(),
    perCentDenominator: z.int().positive(),
  }),
  memberIdPattern: z.string(),
  rules: z.object({
    /** Loyalty units; strictly more needs an operator's approval. Null: never. */
    approvalThreshold: z.int().nullable(),
    /** The documented text a member is shown. */
    approvalReason: z.string(),
    allowedCabins: z.array(z.string()).min(1),
  }),
  limits: z.object({ requestsPerMinute: z.int().positive() }),
  partner: z.object({
    baseUrl: z.url(),
    /** Requests per minute the adapter allows itself towards the partner. */
    requestsPerMinute: z.int().positive(),
    /** Balances a partner's reset returns to; a reading equal to one of them proves nothing. */
    resetBalances: z.record(z.string(), z.int()),
  }),
})
export type TenantSettings = z.infer<typeof tenantSettingsSchema>

export const tenantEvents = {
  /** Secrets are not part of the event: they are encrypted rows of the write database. */
  TenantRegistered: event(z.object({ settings: tenantSettingsSchema, at: instantSchema })),
  TenantSettingsChanged: event(z.object({ settings: tenantSettingsSchema, at: instantSchema })),
} as const

export type TenantEvent = EventOf<typeof tenantEvents>
