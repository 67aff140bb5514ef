/** The rules of a tenant: registered once, then changed as a whole. */
import { Rejection } from '@portolan/schemas/errors.ts'
import { type TenantEvent, type TenantSettings, tenantEvents } from '@portolan/schemas/tenants/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type { StreamType } from '../event-store/stream-type.ts'
import { PLATFORM_TENANT } from '../platform-tenant.ts'

export type TenantState = { status: 'unknown' } | { status: 'registered'; settings: TenantSettings }

/** "These are the tenant's settings from now on." */
export interface SetTenant {
  settings: TenantSettings
  /** Its secrets are replaced with this command: that is a change worth an event, although no event carries them. */
  hasNewSecrets: boolean
}

export const tenantStreamType: StreamType<TenantState, TenantEvent> = {
  topic: topics.tenants,
  catalogue: tenantEvents,
  initialState: () => ({ status: 'unknown' }),
  evolve: (_state, { data }) => ({ status: 'registered', settings: data.settings }),
}

/**
 * Registers a tenant or changes its settings; [] when nothing differs. now: ISO 8601, UTC.
 * Rejects: validation-error for the platform's own name, a member id pattern that is no regular expression, or a limit towards the partner
 * below what one movement takes.
 */
export function decideTenant({ settings, hasNewSecrets }: SetTenant, state: TenantState, now: string): TenantEvent[] {
  if (settings.tenantId === PLATFORM_TENANT) refuse('tenantId', `Must not be "${PLATFORM_TENANT}"`)
  // A movement takes two requests, the balance and the call; with fewer turns than that none could ever begin.
  if (settings.partner.requestsPerMinute < 2) refuse('partner.requestsPerMinute', 'Must be 2 or more')
  if (!isAnchoredPattern(settings.memberIdPattern)) refuse('memberIdPattern', 'Must be a pattern from ^ to $')
  const data = { settings, at: now }
  if (state.status === 'unknown') return [{ type: 'TenantRegistered', data }]
  const isSame = canonical(state.settings) === canonical(settings)
  return isSame && !hasNewSecrets ? [] : [{ type: 'TenantSettingsChanged', data }]
}

/** An unanchored pattern would accept any member id that merely contains a good one. */
function isAnchoredPattern(pattern: string): boolean {
  try {
    new RegExp(pattern)
  } catch {
    return false
  }
  return pattern.startsWith('^') && pattern.endsWith('$')
}

/** JSON with sorted keys: settings that went through the database come back in another order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}

function refuse(field: string, message: string): never {
  throw new Rejection('validation-error', `${field}: ${message}`, { errors: [{ field, message }] })
}
