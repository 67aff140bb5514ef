/** The OpenAPI document against the official 3.1 schema, and against itself. */
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect } from 'chai'
import { describedRoutes, isPublicPath, routeKey } from './described-routes.ts'
import { openApiDocument } from './document.ts'

// As clients get it: createDocument leaves members with the value undefined.
const document = JSON.parse(JSON.stringify(openApiDocument()))

interface Operation {
  operationId: string
  parameters?: { name: string }[]
  responses: { '200': { headers?: object } }
}

describe('the OpenAPI document', () => {
  it('is valid by the OpenAPI 3.1 schema and all its references resolve', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(document))
    expect(valid, JSON.stringify(errors)).to.equal(true)
    expect(validator.version).to.equal('3.1')
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
    for (const [, name] of refs) expect(document.components.schemas).to.have.property(name ?? '')
  }).timeout(20_000)

  it('describes every route of the list once', () => {
    const routes = describedRoutes()
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => routeKey({ method, path })),
    )
    expect(described).to.have.members(routes.map(routeKey))
    const ids = routes.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).to.equal(ids.length)
    expect(routes.every(({ path }) => isPublicPath(path))).to.equal(true)
  })

  it('shows both forms of a loyalty error, and only the bare one on our own routes', () => {
    const { '409': loyalty } = document.paths['/api/v1/bookings/{booking_id}/cancel'].post.responses
    expect(Object.keys(loyalty.content)).to.have.members(['application/json', 'application/problem+json'])
    expect(loyalty.content['application/json'].examples['not-cancellable'].value.error.type).to.equal(
      'https://api.loyalty-middleware.com/errors/not-cancellable',
    )
    const { '409': own } = document.paths['/ops/tenants/{tenantId}/bookings/{bookingId}/approve'].post.responses
    expect(Object.keys(own.content)).to.deep.equal(['application/problem+json'])
  })

  it('names the headers that clients send and get', () => {
    const { parameters, responses } = document.paths['/api/v1/bookings'].post
    const names = parameters.map((parameter: { name: string }) => parameter.name)
    expect(names).to.include.members(['X-Tenant-ID', 'X-CC-Member-ID', 'Idempotency-Key', 'Prefer', 'X-Mock-Error'])
    expect(Object.keys(responses['201'].headers)).to.include.members([
      'X-RateLimit-Limit',
      'X-RateLimit-Remaining',
      'X-RateLimit-Reset',
      'Consistency-Token',
      'Location',
    ])
    expect(Object.keys(responses['429'].headers)).to.include('Retry-After')
  })

  it('says of every answer that is made of read models that it tells how fresh they are', () => {
    const tells = (response: { headers?: object }) => 'X-Read-Model-Age' in (response.headers ?? {})
    const waits = (parameter: { name: string }) => parameter.name === 'Consistency-Token'
    for (const { get } of Object.values<{ get?: Operation }>(document.paths)) {
      if (get) expect(tells(get.responses['200']), get.operationId).to.equal((get.parameters ?? []).some(waits))
    }
  })
})

describe('a route key', () => {
  it('is the same for the path as OpenAPI and as Express write it', () => {
    const key = 'POST /api/v1/bookings/{}/cancel'
    expect(routeKey({ method: 'post', path: '/api/v1/bookings/{booking_id}/cancel' })).to.equal(key)
    expect(routeKey({ method: 'POST', path: '/api/v1/bookings/:bookingId/cancel' })).to.equal(key)
  })
})
