/** What the stand-ins know: the truth about calls, orders and movements. */
import type { Evidence, PartnerPeriod } from '../evidence.ts'
import type { Partner, SandboxCall, Supplier, SupplierOrder } from './world.ts'

/** The partner's movements: of the periods that ended, and of the current one. */
export async function readPartner({ partnerUrl, partnerPeriods }: Evidence): Promise<Partner> {
  const current = await ask<Omit<PartnerPeriod, 'endedAt'>>(partnerUrl, 'state')
  return { periods: [...partnerPeriods, current], calls: await callsOf(partnerUrl) }
}

/** The supplier's orders. */
export async function readSupplier(duffelUrl: string): Promise<Supplier> {
  const { orders } = await ask<{ orders: SupplierOrder[] }>(duffelUrl, 'state')
  return { orders, calls: await callsOf(duffelUrl) }
}

/** How often each operation was called so far. */
export async function callCounts(url: string): Promise<Record<string, number>> {
  return (await ask<{ calls: Record<string, number> }>(url, 'counters')).calls
}

async function callsOf(url: string): Promise<SandboxCall[]> {
  return (await ask<{ calls: SandboxCall[] }>(url, 'calls')).calls
}

async function ask<T>(url: string, what: string): Promise<T> {
  const response = await fetch(`${url}/_sandbox/${what}`)
  if (!response.ok) throw new Error(`${url}/_sandbox/${what} answered ${response.status}`)
  return (await response.json()) as T
}
