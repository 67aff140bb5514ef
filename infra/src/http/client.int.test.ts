// Sabotage seen to fail: not comparing the token in requireService.
import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { startTestApp, type TestApp } from '../testing/test-app.ts'
import { createServiceClient, ServiceFault } from './client.ts'
import { contextOf } from './server.ts'
import { requireService } from './service-auth.ts'

const TOKEN = 'a-service-token-of-tests'

describe('a call between our processes', () => {
  let app: TestApp
  const clientOf = (serviceToken = TOKEN, baseUrl = app.url) =>
    createServiceClient({ baseUrl, serviceToken, timeoutMs: 2000 })
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => {
        throw new Error('the call succeeded')
      },
      (error: unknown) => error,
    )

  before(async () => {
    app = await startTestApp(
      (routes) => {
        routes.use('/internal', requireService(TOKEN))
        routes.post('/internal/echo', (req, res) => {
          res.json({ got: req.body, correlationId: contextOf(res).correlationId })
        })
        routes.get('/internal/nothing', (_req, res) => void res.status(204).end())
        routes.get('/internal/rejects', () => {
          throw new Rejection('insufficient-balance', 'Too little', { balance: { required: 2 } })
        })
        routes.get('/internal/breaks', () => {
          throw new Error('inside')
        })
        routes.get('/internal/html', (_req, res) => void res.status(502).send('<html>'))
        routes.get('/internal/no-json', (_req, res) => void res.send('<html>'))
        routes.get('/internal/moved', (_req, res) => void res.redirect('/internal/nothing'))
        routes.get('/internal/hangs', () => {})
      },
      { stopWithinMs: 100 },
    )
  })
  after(() => app.stop())

  it('carries body and correlation id, and comes back as JSON', async () => {
    const answer = await clientOf().post('/internal/echo', { a: 1 }, { correlationId: 'c-9' })
    expect(answer).to.deep.equal({ got: { a: 1 }, correlationId: 'c-9' })
    expect(await clientOf().get('/internal/nothing')).to.equal(undefined)
  })

  for (const [title, token] of [
    ['another token', 'a-service-token-of-thieves'],
    ['a token that begins alike', `${TOKEN}x`],
  ]) {
    it(`with ${title} is refused, and that is our fault, not the caller's`, async () => {
      const failure = await failureOf(clientOf(token).get('/internal/nothing'))
      expect(failure).to.be.instanceOf(ServiceFault).that.includes({ kind: 'answer', status: 401 })
    })
  }

  it('is refused without a token, or with one of another scheme', async () => {
    expect((await app.fetch('/internal/nothing')).status).to.equal(401)
    const basic = await app.fetch('/internal/nothing', { headers: { authorization: `Basic ${TOKEN}` } })
    expect(basic.status).to.equal(401)
  })

  it('gives back the rejection that the other side made, with its members', async () => {
    const failure = await failureOf(clientOf().get('/internal/rejects'))
    expect(failure).to.be.instanceOf(Rejection)
    expect(failure).to.deep.include({
      code: 'insufficient-balance',
      detail: 'Too little',
      members: { balance: { required: 2 } },
    })
  })

  for (const [path, kind] of [
    ['/internal/breaks', 'answer'],
    ['/internal/html', 'answer'],
    ['/internal/no-json', 'answer'],
    ['/internal/moved', 'unreachable'],
  ] as const) {
    it(`is a fault when ${path} is answered with what no client should see`, async () => {
      const failure = await failureOf(clientOf().get(path))
      expect(failure).to.be.instanceOf(ServiceFault).with.property('kind', kind)
    })
  }

  it('ends at its deadline', async () => {
    const failure = await failureOf(clientOf().get('/internal/hangs', { timeoutMs: 50 }))
    expect(failure).to.be.instanceOf(ServiceFault).with.property('kind', 'timeout')
  })

  it('is a fault when nobody listens', async () => {
    const failure = await failureOf(clientOf(TOKEN, 'http://127.0.0.1:1').get('/internal/nothing'))
    expect(failure).to.be.instanceOf(ServiceFault).with.property('kind', 'unreachable')
  })
})
