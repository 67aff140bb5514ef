// Sabotage seen to fail: closing all connections at once in `stop` (the request in flight was cut).
import { expect } from 'chai'
import express from 'express'
import { eventually } from '../testing/eventually.ts'
import { startTestApp, type TestApp } from '../testing/test-app.ts'
import { contextOf, listen } from './server.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('an HTTP process', () => {
  let app: TestApp
  let isDatabaseUp = true

  before(async () => {
    app = await startTestApp(
      (routes) => {
        routes.get('/things/:id', (_req, res) => {
          res.json(contextOf(res))
        })
        routes.post('/things', (req, res) => {
          res.json({ got: req.body })
        })
        routes.get('/address', (req, res) => {
          res.json(req.ip)
        })
      },
      {
        ready: async () => {
          if (!isDatabaseUp) throw new Error('away')
          return { database: true }
        },
      },
    )
  })
  after(() => app.stop())

  it('keeps the correlation id and trace context it was sent', async () => {
    const response = await app.fetch('/things/1', {
      headers: { 'X-Correlation-Id': 'abc-1', traceparent: TRACEPARENT },
    })
    expect(response.headers.get('x-correlation-id')).to.equal('abc-1')
    expect(await response.json()).to.deep.equal({ correlationId: 'abc-1', traceparent: TRACEPARENT })
  })

  it('makes a correlation id where none, or a useless one, was sent', async () => {
    for (const headers of [{}, { 'X-Correlation-Id': 'a b' }, { 'X-Correlation-Id': 'x'.repeat(101) }]) {
      const id = (await app.fetch('/things/1', { headers })).headers.get('x-correlation-id')
      expect(id).to.match(/^[0-9a-f-]{36}$/)
    }
  })

  it('ignores a malformed trace context', async () => {
    const response = await app.fetch('/things/1', { headers: { traceparent: 'nonsense' } })
    expect(await response.json()).to.not.have.property('traceparent')
  })

  it('lets nobody on the way keep an answer', async () => {
    expect((await app.fetch('/things/1')).headers.get('cache-control')).to.equal('no-store')
  })

  it('says nothing about what it is built with and sends no etag', async () => {
    const { headers } = await app.fetch('/things/1')
    expect(headers.has('x-powered-by')).to.equal(false)
    expect(headers.has('etag')).to.equal(false)
  })

  it('takes the client address from our edge', async () => {
    const response = await app.fetch('/address', { headers: { 'X-Forwarded-For': '203.0.113.9' } })
    expect(await response.json()).to.equal('203.0.113.9')
  })

  it('refuses an address with a zero character, which no text in a database can hold', async () => {
    for (const path of ['/things/%00', '/things/1?cursor=a%00b', '/nowhere/%00']) {
      const response = await app.fetch(path)
      expect(response.status, path).to.equal(400)
      expect(await response.json()).to.deep.include({ detail: 'The address is not valid' })
    }
  })

  it('answers probes', async () => {
    expect((await app.fetch('/health/live')).status).to.equal(200)
    const ready = await app.fetch('/health/ready')
    expect(ready.status).to.equal(200)
    expect(await ready.json()).to.deep.include({ status: 'ready', parts: { database: true } })
    isDatabaseUp = false
    expect((await app.fetch('/health/ready')).status).to.equal(503)
    isDatabaseUp = true
  })

  it('measures requests by route template and status class', async () => {
    await app.fetch('/things/77')
    await app.fetch('/nowhere/77')
    const text = await eventually(async () => {
      const page = await (await app.fetch('/metrics')).text()
      return page.includes('route="unmatched",status="4xx"') && page
    })
    expect(text).to.include(
      'portolan_http_request_duration_seconds_count{process="test",method="GET",route="/things/:id",status="2xx"',
    )
    expect(text).to.not.include('/things/77')
  })

  it('logs one line per request without its path parameters or body', async () => {
    await app.fetch('/things?secret=1', { body: { name: 'Jane' }, headers: { 'X-Correlation-Id': 'log-1' } })
    const find = () => app.lines.find(({ fields }) => fields.correlationId === 'log-1')
    await eventually(() => find() !== undefined)
    const line = find()
    expect(line?.fields).to.include({ method: 'POST', route: '/things', status: 200 })
    expect(JSON.stringify(line)).to.not.match(/Jane|secret/)
  })
})

describe('stopping an HTTP process', () => {
  it('finishes the request in flight, takes no new one, and ends', async () => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>()
    const app = await startTestApp((routes) => {
      routes.get('/slow', async (_req, res) => {
        ask()
        await mayAnswer
        res.json('finished')
      })
    })
    const inFlight = app.fetch('/slow')
    await asked
    const stopped = app.stop()
    await eventually(() =>
      app.fetch('/health/live').then(
        () => false,
        () => true,
      ),
    )
    answer()
    expect(await (await inFlight).json()).to.equal('finished')
    await stopped
  })

  it('cuts what is still open after its deadline', async () => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const app = await startTestApp((routes) => void routes.get('/never', () => ask()), { stopWithinMs: 50 })
    const inFlight = app.fetch('/never').then(
      () => 'answered',
      () => 'cut',
    )
    await asked
    await app.stop()
    expect(await inFlight).to.equal('cut')
  })

  it('cannot start on a taken port', async () => {
    const app = await startTestApp(() => {})
    const failure = await listen(express(), Number(new URL(app.url).port)).catch((error) => error)
    expect(failure).to.have.property('code', 'EADDRINUSE')
    await app.stop()
  })
})
