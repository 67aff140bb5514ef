/**
 * Sabotage this was shown to catch: a second entry `{ methods: ['GET'], path: '/api/v1/bookings/:reference', … }` for
 * another process, and `/api/v1/*` beside the loyalty routes.
 */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { findDoubleClaims, findRoute, type Route, routes } from './routes.ts'

describe('the routing table', () => {
  it('claims no route twice', () => {
    expect(findDoubleClaims(routes)).to.deep.equal([])
  })

  it('would notice a second claim, also through a parameter or a wildcard', () => {
    const claims = (path: string, methods?: Route['methods']) =>
      findDoubleClaims([...routes, { path, owner: 'query-api', ...(methods && { methods }) }]).length
    expect(claims('/api/v1/bookings/:reference', ['GET'])).to.equal(1)
    expect(claims('/api/v1/bookings/latest', ['GET'])).to.equal(1)
    expect(claims('/docs', ['GET'])).to.equal(1)
    const below = routes.filter(({ path }) => path.startsWith('/ops/'))
    expect(claims('/ops/*', ['GET'])).to.equal(below.filter(({ methods }) => methods?.includes('GET')).length)
    expect(claims('/ops/*')).to.equal(below.length).and.be.greaterThan(5)
    expect(claims('/operators', ['GET'])).to.equal(0)
    expect(claims('/api/v1/bookings/:id', ['DELETE'])).to.equal(0)
  })

  it('reaches every route that openapi.json describes', () => {
    const { paths } = JSON.parse(readFileSync(new URL('../../schemas/json/openapi.json', import.meta.url), 'utf8')) as {
      paths: Record<string, Record<string, unknown>>
    }
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods).filter((name) => name !== 'parameters')) {
        const example = path.replaceAll(/\{\w+\}/g, 'x')
        expect(findRoute(method.toUpperCase(), example), `${method} ${path}`).to.have.property('owner')
      }
    }
  })

  it('sends writes and reads of bookings to different processes', () => {
    expect(findRoute('POST', '/api/v1/bookings')).to.deep.equal({ owner: 'command-api' })
    expect(findRoute('GET', '/api/v1/bookings')).to.deep.equal({ owner: 'query-api' })
    expect(findRoute('HEAD', '/api/v1/bookings/bkg_1')).to.deep.equal({ owner: 'query-api' })
    expect(findRoute('POST', '/api/v1/bookings/bkg_1/cancel')).to.deep.equal({ owner: 'command-api' })
    expect(findRoute('GET', '/docs')).to.deep.equal({ owner: 'command-api' })
    expect(findRoute('GET', '/docs/swagger-ui.css')).to.deep.equal({ owner: 'command-api' })
  })

  it('names the possible methods when only the method is wrong', () => {
    expect(findRoute('DELETE', '/api/v1/bookings')).to.deep.equal({ allow: ['GET', 'POST'] })
  })

  it('exposes no internal address', () => {
    for (const path of ['/metrics', '/internal/introspect', '/internal', '/health/ready', '/api/v1/bookings/', '/']) {
      expect(findRoute('GET', path), path).to.equal(undefined)
    }
  })
})
