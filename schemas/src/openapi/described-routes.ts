/** Every public route that the OpenAPI document describes, and how to compare it with the routes that exist. */
import { loyaltyRoutes } from './loyalty-routes.ts'
import type { DescribedRoute } from './operation.ts'
import { operatorRoutes } from './operator-routes.ts'
import { staffRoutes } from './staff-routes.ts'
import { staysRoutes } from './stays-routes.ts'

/** All described routes, in the order of the document. */
export function describedRoutes(): DescribedRoute[] {
  return [...loyaltyRoutes, ...staysRoutes, ...staffRoutes, ...operatorRoutes]
}

/** `POST /api/v1/bookings/{}/cancel`: the same for OpenAPI's and Express's way of writing a path, whatever parameters are called. */
export function routeKey({ method, path }: { method: string; path: string }): string {
  return `${method.toUpperCase()} ${path.replace(/\{[^}]+\}|:[A-Za-z0-9_]+/g, '{}')}`
}

/** Whether a route belongs in the document: not the internal protocol, probes, metrics, or the documentation itself. */
export function isPublicPath(path: string): boolean {
  return !/^\/(internal|health|metrics|docs|openapi\.json|asyncapi\.json)(\/|$)/.test(path)
}
