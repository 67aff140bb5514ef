/**
 * The internal lookup port of workers: questions to the outside world that change nothing.
 * POST /internal/lookups/<name> with a service token; each answers within its deadline or with a problem document whose code is
 * one of: partner-unavailable (502), partner-timeout (504), member-not-found (404), unauthorized (401), not-found (404),
 * validation-error (400, a search that no supplier will ever answer).
 */
import { z } from 'zod'
import { flightSearchSchema, supplierOfferSchema } from './offers.ts'

const caller = {
  tenantId: z.string(),
  correlationId: z.string(),
  /** Forwarded to the partner under TEST_MODE. */
  mockError: z.string().optional(),
}

/** `flight-search`: offers sorted by price; offers in a currency without a configured rate are still returned, the caller leaves them out. */
export const flightSearchLookupSchema = z.object({
  ...caller,
  search: flightSearchSchema,
  deadlineMs: z.int().max(30_000),
})
export const flightSearchAnswerSchema = z.object({ offers: z.array(supplierOfferSchema).max(500) })

/** `member-balance` */
export const memberBalanceLookupSchema = z.object({ ...caller, memberId: z.string() })
export const memberBalanceAnswerSchema = z.object({ balance: z.int(), currency: z.string(), status: z.string() })

/** `approval-check` */
export const approvalCheckLookupSchema = z.object({
  ...caller,
  memberId: z.string(),
  amount: z.int().positive(),
  bookingReference: z.string(),
})
export const approvalCheckAnswerSchema = z.object({ approvalRequired: z.boolean() })

/** `GET /internal/lookups/health`: one probe per built partner and supplier, cached a few seconds, each with its own short timeout. */
export const supplierHealthSchema = z.record(z.string(), z.enum(['healthy', 'unhealthy']))
