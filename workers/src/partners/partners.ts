/** The adapter of each tenant's partner: chosen by the tenant's kind, configured by its settings, guarded by itself. */
import { createHash } from 'node:crypto'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { NotDone } from '../steps/call-answer.ts'
import { createGuard, type Entry, enterAll, type Guard, type GuardOptions } from '../steps/guard.ts'
import { callMetrics } from '../steps/guard-metrics.ts'
import { createCoffeeChain } from './coffeechain.ts'
import type { Partner } from './partner.ts'
import type { KnownTenant, TenantDirectory } from './tenants.ts'
import { createThrottle, type ScriptRunner } from './throttle.ts'

export interface PartnersDeps {
  tenants: TenantDirectory
  redis: ScriptRunner
  /** REDIS_KEY_PREFIX */
  keyPrefix: string
  metrics: Metrics
  /** The database's clock, UTC milliseconds. */
  now: () => number
  /** The clock of guards, milliseconds. */
  elapsed: () => number
}

export interface PartnerSettings extends GuardOptions {
  callTimeoutMs: number
  forwardsMockErrors: boolean
  /** The window that `requestsPerMinute` is kept in; a minute outside tests. */
  throttleWindowMs: number
}

export interface Partners {
  /** Rejects: not-found for an unknown tenant. Throws a ServiceFault while command-api cannot be asked. */
  of(tenantId: string): Promise<Partner>
}

/** Creates the partners of all tenants, each when it is first needed. */
export function createPartners(deps: PartnersDeps, settings: PartnerSettings): Partners {
  const built = new Map<string, { fingerprint: string; partner: Partner }>()

  function guardOf(tenantId: string, requestsPerMinute: number): Guard {
    const key = `${deps.keyPrefix}throttle:${tenantId}`
    const limits = { key, limit: requestsPerMinute, windowMs: settings.throttleWindowMs }
    const throttle = createThrottle(deps.redis, limits)
    return createGuard(settings, deps.elapsed, { throttle, ...callMetrics(deps.metrics, `partner:${tenantId}`) })
  }

  function build(tenantId: string, { settings: tenant, secrets }: KnownTenant): Partner {
    const account = {
      baseUrl: tenant.partner.baseUrl,
      apiKey: secrets.partnerApiKey,
      timeoutMs: settings.callTimeoutMs,
      forwardsMockErrors: settings.forwardsMockErrors,
    }
    const guard = guardOf(tenantId, tenant.partner.requestsPerMinute)
    switch (tenant.kind) {
      case 'coffeechain':
        return createCoffeeChain(account, guard, deps.now)
    }
  }

  return {
    of: async (tenantId) => {
      const tenant = await deps.tenants.find(tenantId)
      const fingerprint = fingerprintOf(tenant)
      const existing = built.get(tenantId)
      if (existing?.fingerprint === fingerprint) return existing.partner
      const partner = build(tenantId, tenant)
      built.set(tenantId, { fingerprint, partner })
      return partner
    },
  }
}

/** Enters the partner of a job's tenant for so many calls. */
export function enterPartner(partners: Partners, calls: number) {
  return async ({ tenantId }: { tenantId: string }): Promise<Entry[] | NotDone> => {
    const partner = await partners.of(tenantId)
    return enterAll(() => partner.enter(calls))
  }
}

/** Changes whenever the adapter has to be built anew; a hash, because the key is part of it. */
function fingerprintOf({ settings, secrets }: KnownTenant): string {
  return createHash('sha256')
    .update(JSON.stringify([settings.kind, settings.partner, secrets]))
    .digest('base64')
}
