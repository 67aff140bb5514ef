/**
 * Every public route that is described is reachable through the edge, at the process that the description names, and the edge leads to
 * nothing else. That the processes really serve them is each process's own test.
 *
 * Seen failing: with the cancel route given to query-api in the routing table, and with a route there that nobody describes.
 */
import { describedRoutes, isPublicPath, routeKey } from '@portolan/schemas/openapi/described-routes.ts'
import { expect } from 'chai'
import { findRoute, routes } from '../edge/routes.ts'

describe('the routing table and the described routes', () => {
  it('agree on the process of each route', () => {
    for (const { method, path, process } of describedRoutes()) {
      const example = path.replaceAll(/\{\w+\}/g, 'x')
      expect(findRoute(method.toUpperCase(), example), `${method} ${path}`).to.deep.equal({ owner: process })
    }
  })

  it('agree that nothing else is reachable, the documentation apart', () => {
    const ofMethod = (method: string) =>
      describedRoutes()
        .map(routeKey)
        .filter((key) => key.startsWith(`${method} `))
    for (const { methods = [], path, owner } of routes.filter((route) => isPublicPath(route.path))) {
      for (const method of methods) {
        // One entry may lead to several routes: `…/:verb`.
        const isLed = ofMethod(method).some(
          (key) => findRoute(...exampleOf(key), [{ methods, path, owner }]) !== undefined,
        )
        expect(isLed, `${method} ${path} is described`).to.equal(true)
      }
      expect(methods, `${path} names its methods`).not.to.deep.equal([])
    }
  })
})

/** Method and an example path of a route key such as `POST /api/v1/bookings/{}/cancel`. */
function exampleOf(key: string): [string, string] {
  const [method = '', path = ''] = key.replaceAll('{}', 'x').split(' ')
  return [method, path]
}
