/** The outside world as this process sees it: suppliers, partners, and whether they are healthy. Part of the composition root. */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { createUnseal } from '@portolan/infra/http/unseal-client.ts'
import type { Logger } from '@portolan/infra/log.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import type { Config } from './config.ts'
import type { Duffel } from './flights/duffel.ts'
import { createDuffelApi, createDuffelClient, type DuffelApi, duffelIsHealthy } from './flights/duffel-client.ts'
import { createHealth } from './lookups/health.ts'
import { coffeeChainIsHealthy } from './partners/coffeechain.ts'
import { createPartners } from './partners/partners.ts'
import { createTenantDirectory } from './partners/tenants.ts'
import type { ScriptRunner } from './partners/throttle.ts'
import { createGuard } from './steps/guard.ts'
import { callMetrics } from './steps/guard-metrics.ts'

export interface OutsideDeps {
  commandApi: ServiceClient
  redis: ScriptRunner
  /** Calls what it is given whenever a person was forgotten. */
  onForget: (drop: () => void) => void
  logger: Logger
  metrics: Metrics
  /** The database's clock, UTC milliseconds. */
  now: () => number
  /** A clock that nobody sets, milliseconds; see elapsed-clock.ts. */
  elapsed: () => number
}

/** Calls waiting for a place at a supplier or partner; more are turned away at once. */
const WAITING_MAX = 200

export type Outside = ReturnType<typeof createOutside>

/** Connects every adapter. Nothing is called yet. */
export function createOutside(config: Config, deps: OutsideDeps) {
  const { commandApi, redis, metrics, now, elapsed } = deps
  const duffelApi = createDuffelApi({ token: config.duffelToken, baseUrl: config.duffelUrl })
  const tenants = createTenantDirectory(commandApi, { ttlMs: config.tenantKeptMs, now: elapsed })
  const probes = {
    duffel_api: () => duffelIsHealthy(duffelApi, config.probeTimeoutMs),
    coffeechain_api: () => coffeeChainIsHealthy(config.coffeeChainUrl, config.probeTimeoutMs),
  }
  return {
    duffel: createDuffel(config, duffelApi, deps),
    partners: createPartners(
      { tenants, redis, keyPrefix: config.redisKeyPrefix, metrics, now, elapsed },
      {
        ...guardOptions(config, config.partnerConcurrency),
        callTimeoutMs: config.partnerCallTimeoutMs,
        forwardsMockErrors: config.testMode,
        throttleWindowMs: config.throttleWindowMs,
      },
    ),
    unseal: createUnseal({ client: commandApi, onForget: deps.onForget }),
    health: createHealth(probes, { keptMs: config.probeKeptMs, timeoutMs: config.probeTimeoutMs, now: elapsed }),
    now,
    elapsed,
  }
}

function createDuffel(config: Config, api: DuffelApi, { logger, metrics, now, elapsed }: OutsideDeps): Duffel {
  const clientOf = (party: string) => {
    const guard = createGuard(guardOptions(config, config.supplierConcurrency), elapsed, callMetrics(metrics, party))
    return createDuffelClient(api, guard, { now, logger: logger.child({ party }) })
  }
  return {
    searching: clientOf('duffel:search'),
    ordering: clientOf('duffel:orders'),
    times: { orderTimeoutMs: config.supplierCallTimeoutMs, readTimeoutMs: config.supplierReadTimeoutMs },
  }
}

function guardOptions(config: Config, concurrency: number) {
  const { breakerFailures: failuresToOpen, breakerHalfOpenMs: halfOpenAfterMs } = config
  return { concurrency, queueMax: WAITING_MAX, failuresToOpen, halfOpenAfterMs }
}
