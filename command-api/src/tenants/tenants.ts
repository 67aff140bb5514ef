/** Tenants as the request path needs them: settings, how to check a credential, and what to present to the partner. */
import { createHash } from 'node:crypto'
import { withTenant } from '@portolan/infra/postgres.ts'
import { type TenantSettings, tenantSettingsSchema } from '@portolan/schemas/tenants/messages.ts'
import type pg from 'pg'
import type { KeyRing } from '../personal-data/key-ring.ts'
import { keyIdOfSecret, sealSecret, unsealSecret } from '../personal-data/sealing.ts'

/** Longer would let a revoked credential live on: a change of a tenant holds everywhere within a second. */
const FRESH_MS = 1000
const ENTRIES_MAX = 1000
const TENANT_ID = tenantSettingsSchema.shape.tenantId

export interface Tenant {
  settings: TenantSettings
  /** SHA-256 of the credential that members' requests carry. */
  credentialSha256: Buffer
  /** The key we present to the partner. */
  partnerApiKey: string
  /** Id of the environment's key that seals it. */
  sealedWith: string
}

/** Finds a tenant by the id a client sent; null for anything that is no tenant's id. */
export type FindTenant = (tenantId: string) => Promise<Tenant | null>

export interface TenantSecrets {
  credential: string
  partnerApiKey: string
}

/** SHA-256 of a credential: the only form in which it is stored and compared. */
export function credentialHash(credential: string): Buffer {
  return createHash('sha256').update(credential).digest()
}

/** Creates the lookup with a cache of at most one second, also of absence, so that guessing costs the database little. */
export function createTenantLookup(deps: { pool: pg.Pool; ring: KeyRing; now?: () => number }): FindTenant {
  const now = deps.now ?? performance.now.bind(performance)
  const known = new Map<string, { tenant: Promise<Tenant | null>; askedAt: number }>()
  return (tenantId) => {
    if (!TENANT_ID.safeParse(tenantId).success) return Promise.resolve(null)
    const entry = known.get(tenantId)
    if (entry && now() - entry.askedAt < FRESH_MS) return entry.tenant
    if (known.size >= ENTRIES_MAX) known.clear()
    const tenant = loadTenant(deps.pool, deps.ring, tenantId)
    known.set(tenantId, { tenant, askedAt: now() })
    // A fault is not remembered: the next request asks again.
    tenant.catch(() => known.delete(tenantId))
    return tenant
  }
}

/** Reads one tenant, uncached. Null when there is none. */
export async function loadTenant(pool: pg.Pool, ring: KeyRing, tenantId: string): Promise<Tenant | null> {
  const [result] = await withTenant(pool, tenantId, [
    {
      name: 'load-tenant',
      text: `select t.settings, s.credential_sha256, s.partner_api_key_sealed
             from tenants t join tenant_secrets s on s.tenant_id = t.tenant_id
             where t.tenant_id = $1`,
      values: [tenantId],
    },
  ])
  const row = result?.rows[0]
  if (!row) return null
  return {
    settings: tenantSettingsSchema.parse(row.settings),
    credentialSha256: row.credential_sha256,
    partnerApiKey: unsealSecret(ring, partnerKeyPurpose(tenantId), row.partner_api_key_sealed),
    sealedWith: keyIdOfSecret(row.partner_api_key_sealed),
  }
}

/** The arguments of `effects.store_tenant`, which keeps the current settings and secrets beside the tenant's stream. */
export function storeTenantEffect(ring: KeyRing, settings: TenantSettings, secrets: TenantSecrets) {
  return {
    name: 'store_tenant',
    args: {
      settings,
      credentialSha256: credentialHash(secrets.credential).toString('hex'),
      partnerApiKeySealed: sealSecret(ring, partnerKeyPurpose(settings.tenantId), secrets.partnerApiKey),
    },
  }
}

const partnerKeyPurpose = (tenantId: string) => `partner api key of tenant ${tenantId}`
