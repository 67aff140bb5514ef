/** Tenants' settings and partner secrets, asked of command-api and kept in memory for a short while; never stored or logged. */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { tenantSettingsSchema } from '@portolan/schemas/tenants/messages.ts'
import { z } from 'zod'

const tenantAnswerSchema = z.object({
  settings: tenantSettingsSchema,
  secrets: z.object({ partnerApiKey: z.string().min(1) }),
})
export type KnownTenant = z.infer<typeof tenantAnswerSchema>

export interface TenantDirectory {
  /** Rejects: not-found. Throws a ServiceFault while command-api cannot be asked. */
  find(tenantId: string): Promise<KnownTenant>
}

const TENANTS_MAX = 1_000

/** Creates the directory. ttlMs: how long an answer is used, at most 60 s. now: milliseconds. */
export function createTenantDirectory(
  commandApi: ServiceClient,
  { ttlMs, now }: { ttlMs: number; now: () => number },
): TenantDirectory {
  const known = new Map<string, { tenant: Promise<KnownTenant>; untilMs: number }>()
  const ask = async (tenantId: string): Promise<KnownTenant> =>
    tenantAnswerSchema.parse(await commandApi.get(`/internal/tenants/${encodeURIComponent(tenantId)}`))

  return {
    find: (tenantId) => {
      const entry = known.get(tenantId)
      if (entry && entry.untilMs > now()) return entry.tenant
      if (known.size >= TENANTS_MAX) known.clear()
      // The promise itself is kept, so that callers who come together ask once; a failure is forgotten at once.
      const tenant = ask(tenantId)
      known.set(tenantId, { tenant, untilMs: now() + ttlMs })
      tenant.catch(() => known.delete(tenantId))
      return tenant
    },
  }
}
