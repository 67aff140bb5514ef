/** CoffeeChain, and tenants of its kind, as data. Source: the loyalty API contract, sections 1 to 4, and the partner's table of members. */
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'

export interface CoffeechainTenant {
  partnerBaseUrl: string
  /** Default: CoffeeChain itself. */
  tenantId?: string
  name?: string
  /** Default: CoffeeChain's `CC` and seven digits. */
  memberIdPattern?: string
  /** Towards us. */
  requestsPerMinute: number
  /** What the adapter allows itself towards the partner. Default: what CoffeeChain documents. */
  partnerRequestsPerMinute?: number
  /** Null: nothing needs approval. */
  approvalThreshold?: number | null
}

/** CoffeeChain's own limit towards us (contract section 1), whatever the default of other tenants is. */
export const coffeechainRequestsPerMinute = 100

/** Balances the partner's hourly reset returns its members to. */
const RESET_BALANCES = { CC1234567: 150_000, CC2222222: 45_000, CC3333333: 500_000, CC0000000: 1000 }

/** Settings of a tenant of CoffeeChain's kind. partnerBaseUrl: COFFEECHAIN_API_URL, without a trailing slash. */
export function coffeechainSettings(tenant: CoffeechainTenant): TenantSettings {
  const { approvalThreshold = 50_000 } = tenant
  return {
    tenantId: tenant.tenantId ?? 'coffeechain',
    name: tenant.name ?? 'CoffeeChain',
    kind: 'coffeechain',
    currency: { name: 'stars', perCentNumerator: 1, perCentDenominator: 1 },
    memberIdPattern: tenant.memberIdPattern ?? '^CC\\d{7}$',
    rules: {
      approvalThreshold,
      // Not asked for where nothing needs approval.
      approvalReason: `Booking exceeds ${(approvalThreshold ?? 0).toLocaleString('en-US')} stars limit`,
      allowedCabins: ['economy', 'premium_economy', 'business', 'first'],
    },
    limits: { requestsPerMinute: tenant.requestsPerMinute },
    partner: {
      baseUrl: tenant.partnerBaseUrl,
      // What the partner documents; it does not enforce it, so the adapter must.
      requestsPerMinute: tenant.partnerRequestsPerMinute ?? 100,
      resetBalances: RESET_BALANCES,
    },
  }
}
