/** Registers a tenant or changes it, with its secrets: used by seeding, and by whatever administers tenants later. */
import type { TenantSettings } from '@portolan/schemas/tenants/messages.ts'
import { tenantStream } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { CommandContext, CommandHandler } from '../event-store/handle-command.ts'
import type { KeyRing } from '../personal-data/key-ring.ts'
import { decideTenant, tenantStreamType } from './decider.ts'
import { credentialHash, loadTenant, storeTenantEffect, type TenantSecrets } from './tenants.ts'

export interface SetTenantDeps {
  handle: CommandHandler
  pool: pg.Pool
  ring: KeyRing
}

/**
 * Makes settings and secrets the tenant's current ones, sealed with the current key of the environment: after a rotation
 * it is to be called again before the old key goes. Returns the types of the events appended: none when nothing differs.
 * Rejects: validation-error, version-conflict.
 */
export async function setTenant(
  { handle, pool, ring }: SetTenantDeps,
  context: Omit<CommandContext, 'tenantId'>,
  settings: TenantSettings,
  secrets: TenantSecrets,
): Promise<string[]> {
  const { tenantId } = settings
  const current = await loadTenant(pool, ring, tenantId)
  const hasNewSecrets =
    current?.partnerApiKey !== secrets.partnerApiKey ||
    !current.credentialSha256.equals(credentialHash(secrets.credential))
  const isSealedWithOldKey = current !== null && current.sealedWith !== ring.current.id
  const handled = await handle({
    context: { ...context, tenantId },
    streams: { tenant: { type: tenantStreamType, stream: tenantStream(tenantId) } },
    decide: ({ tenant }, now) => {
      const events = decideTenant({ settings, hasNewSecrets }, tenant, now)
      const effects = events.length > 0 || isSealedWithOldKey ? [storeTenantEffect(ring, settings, secrets)] : []
      return { events: { tenant: events }, effects }
    },
  })
  return handled.replayed ? [] : handled.appended.map(({ type }) => type)
}
