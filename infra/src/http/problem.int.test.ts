// Sabotage seen to fail: sending a fault's own message as detail.
import { type ProblemCode, problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { Router } from 'express'
import { z } from 'zod'
import { startTestApp, type TestApp } from '../testing/test-app.ts'
import { ServiceFault } from './client.ts'
import { parseInput, statusByKind } from './problem.ts'

const bodySchema = z.strictObject({ name: z.string(), seats: z.int().min(1) })

describe('what went wrong', () => {
  let app: TestApp

  before(async () => {
    app = await startTestApp(
      (routes) => {
        routes.get('/rejects/:code', (req) => {
          throw new Rejection(req.params.code as ProblemCode, 'A sentence', { balance: 7 })
        })
        routes.get('/limited', () => {
          throw new Rejection('rate-limit', 'Slow down', { retry_after: 12.2 })
        })
        routes.get('/breaks', async () => {
          throw new Error('password of database is hunter2')
        })
        routes.get('/our-own-zod-bug', () => void z.string().parse(7))
        routes.get('/other-process-away', () => {
          throw new ServiceFault('unreachable', 'POST http://10.0.0.1/internal: unreachable')
        })
        routes.get('/breaks-late', (_req, res) => {
          res.write('{')
          throw new Error('after the headers')
        })
        routes.post('/things', (req, res) => {
          res.json(parseInput(bodySchema, req.body))
        })
        routes.use(
          '/nested',
          Router().delete('/deep/:id', (_req, res) => void res.end()),
        )
        routes.get('/contract/own/thing', () => {
          throw new Rejection('not-found', 'Ours')
        })
        routes.get('/contract/thing', () => {
          throw new Rejection('not-found', 'Theirs')
        })
      },
      {
        bodyLimit: 1000,
        serializers: {
          '/contract/': ({ code, status }) => ({
            contentType: 'application/json',
            status: status === 404 ? 410 : status,
            headers: { 'X-Contract': '1' },
            body: { error: code },
          }),
          '/contract/own/': (problem) => ({ contentType: 'application/json', body: { own: problem.detail } }),
        },
      },
    )
  })
  after(() => app.stop())

  for (const code of Object.keys(problemCodes) as ProblemCode[]) {
    it(`is answered for ${code} by its kind, as a problem document`, async () => {
      const response = await app.fetch(`/rejects/${code}?x=1`)
      const status = statusByKind[problemCodes[code].kind]
      expect(response.status).to.equal(status)
      expect(response.headers.get('content-type')).to.match(/^application\/problem\+json/)
      expect(await response.json()).to.deep.include({
        type: `https://portolan.example/problems/${code}`,
        title: problemCodes[code].title,
        status,
        detail: 'A sentence',
        instance: `/rejects/${code}`,
        code,
        balance: 7,
      })
    })
  }

  it('says how to authenticate with a 401 and when to come back with a 429', async () => {
    expect((await app.fetch('/rejects/unauthorized')).headers.get('www-authenticate')).to.match(/^Bearer/)
    const limited = await app.fetch('/limited')
    expect(limited.status).to.equal(429)
    expect(limited.headers.get('retry-after')).to.equal('13')
  })

  for (const path of ['/breaks', '/our-own-zod-bug']) {
    it(`stays inside for a fault at ${path}, which is logged with its cause and found by its id`, async () => {
      const response = await app.fetch(path, { headers: { 'X-Correlation-Id': `fault${path}`.replaceAll('/', '.') } })
      const id = `fault${path}`.replaceAll('/', '.')
      expect(response.status).to.equal(500)
      expect(await response.json()).to.deep.include({
        code: 'internal-error',
        detail: 'An unexpected error occurred while processing your request',
        trace_id: id,
      })
      const line = app.lines.find(({ level, fields }) => level === 'error' && fields.correlationId === id)
      expect(line?.fields.error).to.be.instanceOf(Error)
    })
  }

  it('is a 503 without addresses when another of our processes is away', async () => {
    const response = await app.fetch('/other-process-away')
    expect(response.status).to.equal(503)
    expect(response.headers.get('retry-after')).to.equal('1')
    expect(await response.text()).to.not.include('10.0.0.1')
  })

  it('after the answer began cuts the connection instead of ending it well', async () => {
    const failure = await app
      .fetch('/breaks-late')
      .then((response) => response.text())
      .catch((error) => error)
    expect(failure).to.be.instanceOf(Error)
  })

  it('names every wrong field of a body', async () => {
    const response = await app.fetch('/things', { body: { seats: 0, extra: 1 } })
    expect(response.status).to.equal(400)
    const { errors } = (await response.json()) as { errors: { field: string }[] }
    expect(errors.map(({ field }) => field)).to.have.members(['name', 'seats', ''])
  })

  const bodies: [string, string, string, number][] = [
    ['is no JSON', 'application/json', '{"name":', 400],
    ['is not an object', 'application/json', '7', 400],
    ['is of another type', 'text/plain', 'hello', 400],
    ['is too large', 'application/json', JSON.stringify({ name: 'x'.repeat(2000) }), 413],
    ['comes in an unknown charset', 'application/json; charset=klingon', '{}', 400],
  ]
  for (const [title, type, body, status] of bodies) {
    it(`refuses a body that ${title}`, async () => {
      const response = await app.fetch('/things', { body, headers: { 'content-type': type } })
      expect(response.status).to.equal(status)
      expect(response.headers.get('content-type')).to.match(/^application\/problem\+json/)
    })
  }

  it('is a 404 for an unknown path and for a path that cannot be decoded a 400', async () => {
    expect((await app.fetch('/nowhere')).status).to.equal(404)
    expect((await app.fetch('/rejects/%E0%A4%A')).status).to.equal(400)
  })

  it('is a 405 for a known path with another method, which says what is allowed', async () => {
    const response = await app.fetch('/things', { method: 'PATCH' })
    expect(response.status).to.equal(405)
    expect(response.headers.get('allow')).to.equal('POST')
    const nested = await app.fetch('/nested/deep/7')
    expect(nested.status).to.equal(405)
    expect(nested.headers.get('allow')).to.equal('DELETE')
  })

  it('is written as the contract of the path wants it, the longest prefix winning', async () => {
    const theirs = await app.fetch('/contract/thing')
    expect(theirs.status).to.equal(410)
    expect(theirs.headers.get('x-contract')).to.equal('1')
    expect(await theirs.json()).to.deep.equal({ error: 'not-found' })
    expect(await (await app.fetch('/contract/own/thing')).json()).to.deep.equal({ own: 'Ours' })
    expect(await (await app.fetch('/contract/unrouted')).json()).to.deep.equal({ error: 'not-found' })
  })
})
