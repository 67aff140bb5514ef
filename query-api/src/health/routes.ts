/**
 * `GET /api/v1/health` (contract 3.6): no authentication, not wrapped. Every probe has a short deadline of its own and the
 * answer is kept for a few seconds, so that a hanging partner cannot hang it and a crowd of monitors costs nothing.
 */
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import type { Health } from '@portolan/schemas/bookings/views.ts'
import { supplierHealthSchema } from '@portolan/schemas/flights/lookups.ts'
import { Router } from 'express'

const version = '1.0.0'
type ComponentHealth = Health['services'][string]
type Services = Health['services']

/** Named as unhealthy while workers, who probe them, cannot be asked. */
const probedByWorkers = ['duffel_api', 'coffeechain_api'] as const

export interface HealthDeps {
  readDatabaseIsUp(): Promise<boolean>
  commandApi: ServiceClient
  workers: ServiceClient
  probeTimeoutMs: number
  cacheMs: number
}

/** Answers 200 when healthy or degraded, 503 when a database is down. */
export function createHealthRoutes(deps: HealthDeps): Router {
  let kept: { services: Promise<Services>; askedAt: number } | null = null
  const routes = Router()
  routes.get('/api/v1/health', async (_req, res) => {
    const now = performance.now() // the wall clock may be set back, and the answer would be kept that much longer
    if (!kept || now - kept.askedAt > deps.cacheMs) kept = { services: probeAll(deps), askedAt: now }
    const services = await kept.services
    const status = overall(services)
    const body: Health = { status, timestamp: new Date().toISOString(), version, services }
    res.status(status === 'unhealthy' ? 503 : 200).json(body)
  })
  return routes
}

/** The database decides between up and down, everything else only degrades. Pure. */
export function overall({ database, ...others }: Services): Health['status'] {
  if (database === 'unhealthy') return 'unhealthy'
  return Object.values(others).includes('unhealthy') ? 'degraded' : 'healthy'
}

async function probeAll(deps: HealthDeps): Promise<Services> {
  const [read, write, suppliers] = await Promise.all([
    within(deps.probeTimeoutMs, deps.readDatabaseIsUp()),
    within(deps.probeTimeoutMs, writeDatabaseIsUp(deps)),
    probeSuppliers(deps),
  ])
  return { database: read && write ? 'healthy' : 'unhealthy', ...suppliers }
}

/** query-api never touches the write database: command-api says whether it reaches it. */
async function writeDatabaseIsUp({ commandApi, probeTimeoutMs }: HealthDeps): Promise<boolean> {
  await commandApi.get('/health/ready', { timeoutMs: probeTimeoutMs })
  return true
}

async function probeSuppliers({ workers, probeTimeoutMs }: HealthDeps): Promise<Record<string, ComponentHealth>> {
  try {
    return supplierHealthSchema.parse(await workers.get('/internal/lookups/health', { timeoutMs: probeTimeoutMs }))
  } catch {
    return Object.fromEntries(probedByWorkers.map((name) => [name, 'unhealthy' as const]))
  }
}

/** A probe that fails or takes too long says no. */
async function within(timeoutMs: number, probe: Promise<boolean>): Promise<boolean> {
  const { promise: expired, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), timeoutMs)
  try {
    return await Promise.race([probe.catch(() => false), expired])
  } finally {
    clearTimeout(timer)
  }
}
