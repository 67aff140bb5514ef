/** `GET /internal/tenants/:tenantId`: what workers need to serve a tenant, the partner's key included. Behind the service token. */
import { Rejection } from '@portolan/schemas/errors.ts'
import { Router } from 'express'
import type { FindTenant } from './tenants.ts'

/** Answers `{ settings, secrets: { partnerApiKey } }`. Rejects: not-found. */
export function createTenantRoutes({ findTenant }: { findTenant: FindTenant }): Router {
  const routes = Router()
  routes.get('/internal/tenants/:tenantId', async (req, res) => {
    const tenant = await findTenant(req.params.tenantId)
    if (!tenant) throw new Rejection('not-found', 'There is no such tenant')
    res.set('Cache-Control', 'no-store')
    res.json({ settings: tenant.settings, secrets: { partnerApiKey: tenant.partnerApiKey } })
  })
  return routes
}
