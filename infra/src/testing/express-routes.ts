/** Which routes an Express 5 application really has, for the comparison with the routes that are described. */
import type { Express, Router } from 'express'

interface Layer {
  route?: { path: string | string[]; methods: Record<string, boolean | undefined> }
  handle: { stack?: Layer[] }
  /** The path a router was mounted at; `/` for the application's own. */
  rawPath: unknown
}

/** Method in upper case; the path as Express writes it, `/api/v1/bookings/:bookingId`. */
export interface ExistingRoute {
  method: string
  path: string
}

/**
 * Every route, nested routers included, in the order of their mounting. A route of a router's `all` counts as method `ALL`. Middleware is no
 * route. Throws for a path that is a regular expression: it could not be compared with a description.
 */
export function expressRoutes(app: Express | Router): ExistingRoute[] {
  // Neither express nor router types its layers; a change there makes the list empty or throws here.
  const router = ('router' in app ? app.router : app) as unknown as { stack: Layer[] }
  return routesIn(router.stack, '')
}

function routesIn(stack: readonly Layer[], prefix: string): ExistingRoute[] {
  return stack.flatMap((layer) => {
    if (layer.route) {
      const { path, methods } = layer.route
      const names = Object.keys(methods).map((method) => (method === '_all' ? 'ALL' : method.toUpperCase()))
      return pathsOf(path).flatMap((one) => names.map((method) => ({ method, path: join(prefix, one) })))
    }
    const nested = layer.handle.stack
    return nested ? pathsOf(layer.rawPath).flatMap((mount) => routesIn(nested, join(prefix, mount))) : []
  })
}

function pathsOf(path: unknown): string[] {
  return [path].flat().map((one) => {
    if (typeof one !== 'string') throw new Error(`the path ${String(one)} cannot be compared with a description`)
    return one
  })
}

function join(prefix: string, path: string): string {
  return path === '/' ? prefix || '/' : `${prefix === '/' ? '' : prefix}${path}`
}
