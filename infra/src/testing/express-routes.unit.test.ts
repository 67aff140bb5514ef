import { expect } from 'chai'
import express, { Router } from 'express'
import { expressRoutes } from './express-routes.ts'

const answer: express.RequestHandler = (_req, res) => {
  res.end()
}

describe('the routes of an application', () => {
  it('are found however deep they are mounted, middleware is not', () => {
    const inner = Router()
    inner.get('/', answer)
    inner.post('/:bookingId/cancel', answer)
    const outer = Router()
    outer.use(answer)
    outer.use('/bookings', inner)
    const app = express()
    app.use(express.json())
    app.get('/health/live', answer)
    app.use('/api/v1', outer)
    app.use(Router().post('/hooks/duffel', answer))
    app.route('/both').get(answer).post(answer)
    app.use(Router().all('/any', answer))
    app.get(['/one', '/two'], answer)
    expect(expressRoutes(app).map(({ method, path }) => `${method} ${path}`)).to.have.members([
      'GET /health/live',
      'GET /api/v1/bookings',
      'POST /api/v1/bookings/:bookingId/cancel',
      'POST /hooks/duffel',
      'GET /both',
      'POST /both',
      'ALL /any',
      'GET /one',
      'GET /two',
    ])
  })

  it('are found in a router alone', () => {
    expect(expressRoutes(Router().get('/docs', answer))).to.deep.equal([{ method: 'GET', path: '/docs' }])
  })

  it('cannot be listed when a path is a regular expression', () => {
    expect(() => expressRoutes(Router().get(/^\/x/, answer))).to.throw('cannot be compared')
  })
})
