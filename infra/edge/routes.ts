/**
 * The one routing table: which process answers which path and method. `npm start`'s edge reads it, and a cluster's
 * ingress is written from it. What is not in it is not reachable from outside: `/metrics` and `/internal/*` of the
 * processes above all.
 */

export type Owner = 'command-api' | 'query-api'
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export type Route = {
  /** Undefined: every method. */
  methods?: readonly Method[]
  /** Segments; `:name` stands for one, a closing `*` for the rest, which may be empty. */
  path: string
  owner: Owner
}

export const routes: readonly Route[] = [
  // Loyalty API
  { methods: ['POST'], path: '/api/v1/flights/search', owner: 'command-api' },
  { methods: ['POST'], path: '/api/v1/bookings', owner: 'command-api' },
  { methods: ['GET'], path: '/api/v1/bookings', owner: 'query-api' },
  { methods: ['GET'], path: '/api/v1/bookings/:id', owner: 'query-api' },
  { methods: ['POST'], path: '/api/v1/bookings/:id/cancel', owner: 'command-api' },
  { methods: ['GET'], path: '/api/v1/health', owner: 'query-api' },
  // Stays
  { methods: ['POST'], path: '/api/v1/reservations', owner: 'command-api' },
  { methods: ['POST'], path: '/api/v1/reservations/:id/:verb', owner: 'command-api' },
  { methods: ['GET'], path: '/api/v1/reservations/:id', owner: 'query-api' },
  { methods: ['GET'], path: '/api/v1/properties/available', owner: 'query-api' },
  { methods: ['GET'], path: '/api/v1/properties/:id/reservations', owner: 'query-api' },
  { methods: ['POST'], path: '/api/v1/properties', owner: 'command-api' },
  { methods: ['POST'], path: '/api/v1/properties/:id/:verb', owner: 'command-api' },
  // Staff and operators: what changes something, and what asks the log, is command-api's; lists are query-api's
  { methods: ['POST'], path: '/api/v1/staff/auth/:verb', owner: 'command-api' },
  { methods: ['POST'], path: '/ops/tenants/:tenantId/bookings/:bookingId/:verb', owner: 'command-api' },
  { methods: ['POST'], path: '/ops/tenants/:tenantId/members/:memberId/forget', owner: 'command-api' },
  { methods: ['POST'], path: '/ops/log/republish', owner: 'command-api' },
  { methods: ['GET'], path: '/ops/tenants/:tenantId/bookings/:bookingId', owner: 'query-api' },
  { methods: ['GET'], path: '/ops/staff', owner: 'command-api' },
  { methods: ['POST'], path: '/ops/staff/:accountId/:verb', owner: 'command-api' },
  { methods: ['GET'], path: '/ops/bookings', owner: 'query-api' },
  { methods: ['GET'], path: '/ops/approvals', owner: 'query-api' },
  { methods: ['GET'], path: '/ops/unknown-outcomes', owner: 'query-api' },
  { methods: ['GET'], path: '/ops/ledger', owner: 'query-api' },
  // Suppliers
  { methods: ['POST'], path: '/hooks/duffel', owner: 'command-api' },
  // Contracts, for people and machines
  { methods: ['GET'], path: '/openapi.json', owner: 'command-api' },
  { methods: ['GET'], path: '/asyncapi.json', owner: 'command-api' },
  { methods: ['GET'], path: '/docs/*', owner: 'command-api' },
]

export type RouteMatch = { owner: Owner } | { allow: string[] } | undefined

/**
 * Who answers a request. path: as sent, without the query. Returns the methods that are possible when only the method
 * is wrong, and undefined when nothing is there.
 */
export function findRoute(method: string, path: string, table: readonly Route[] = routes): RouteMatch {
  const here = table.filter((route) => matchesPath(route.path, path))
  const match = here.find(({ methods }) => !methods || methods.some((allowed) => isSameMethod(allowed, method)))
  if (match) return { owner: match.owner }
  if (here.length === 0) return undefined
  return { allow: [...new Set(here.flatMap(({ methods = [] }) => methods))].sort() }
}

/** HEAD is GET without the body; OPTIONS is answered by whoever owns the path. */
function isSameMethod(allowed: Method, method: string): boolean {
  return allowed === method || (method === 'HEAD' && allowed === 'GET') || method === 'OPTIONS'
}

function matchesPath(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  for (const [i, segment] of wanted.entries()) {
    if (segment === '*') return true
    if (segment.startsWith(':') ? !given[i] : segment !== given[i]) return false
  }
  return wanted.length === given.length
}

/** Pairs of entries that some request would match both of: there must be none. */
export function findDoubleClaims(table: readonly Route[]): [Route, Route][] {
  return table.flatMap((a, i) => table.slice(i + 1).flatMap((b) => (overlap(a, b) ? [[a, b] as [Route, Route]] : [])))
}

function overlap(a: Route, b: Route): boolean {
  const shareMethod = !a.methods || !b.methods || a.methods.some((method) => b.methods?.includes(method))
  return shareMethod && patternsOverlap(a.path.split('/'), b.path.split('/'))
}

function patternsOverlap([a, ...restA]: string[], [b, ...restB]: string[]): boolean {
  if (a === undefined && b === undefined) return true
  if (a === '*' || b === '*') return true
  if (a === undefined || b === undefined) return false
  const canBeEqual = a === b || a.startsWith(':') || b.startsWith(':')
  return canBeEqual && patternsOverlap(restA, restB)
}
