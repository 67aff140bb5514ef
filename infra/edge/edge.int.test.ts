/**
 * The edge between real clients and real servers.
 *
 * Sabotage this was shown to catch: forwarding without the check for plain paths, and keeping the client's
 * X-Forwarded-For.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect } from 'chai'
import { eventually } from '../src/testing/eventually.ts'
import { type Edge, startEdge } from './edge.ts'

type Handler = (req: IncomingMessage, res: ServerResponse) => void

describe('the edge', () => {
  const open: Server[] = []
  let edge: Edge
  let away: Edge | undefined
  let commandApi: Handler
  let queryApi: Handler

  beforeEach(async () => {
    commandApi = (_req, res) => res.end('command-api')
    queryApi = (_req, res) => res.end('query-api')
    const upstreams = {
      'command-api': await serve((req, res) => commandApi(req, res)),
      'query-api': await serve((req, res) => queryApi(req, res)),
    }
    edge = await startEdge({ port: 0, upstreams, answerWithinMs: 300 })
  })

  afterEach(async () => {
    await edge.close()
    await away?.close()
    away = undefined
    for (const server of open.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  async function serve(handler: Handler): Promise<string> {
    const server = createServer(handler)
    open.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  it('passes reads and writes on to the process that owns them', async () => {
    expect(await textOf(fetch(`${edge.url}/api/v1/bookings?limit=1`))).to.equal('query-api')
    expect(await textOf(fetch(`${edge.url}/api/v1/bookings`, { method: 'POST', body: '{}' }))).to.equal('command-api')
  })

  it('passes path, query, body and headers through unchanged', async () => {
    commandApi = async (req, res) => {
      let body = ''
      for await (const chunk of req) body += chunk
      res.writeHead(201, { Location: '/api/v1/bookings/bkg_1', 'X-RateLimit-Limit': '100' })
      res.end(JSON.stringify({ url: req.url, tenant: req.headers['x-tenant-id'], body }))
    }
    const answer = await fetch(`${edge.url}/api/v1/bookings?a=%20b`, {
      method: 'POST',
      body: 'höhö',
      headers: { 'X-Tenant-ID': 'coffeechain' },
    })
    expect(answer.status).to.equal(201)
    expect(answer.headers.get('location')).to.equal('/api/v1/bookings/bkg_1')
    expect(answer.headers.get('x-ratelimit-limit')).to.equal('100')
    expect(await answer.json()).to.deep.equal({ url: '/api/v1/bookings?a=%20b', tenant: 'coffeechain', body: 'höhö' })
  })

  it('streams an answer: its beginning arrives before its end exists', async () => {
    let finish = () => {}
    queryApi = (_req, res) => {
      res.write('first')
      finish = () => res.end('last')
    }
    const answer = await fetch(`${edge.url}/api/v1/bookings`)
    const reader = answer.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).to.equal('first')
    finish()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).to.equal('last')
  })

  it('streams a request: its beginning arrives before its end is sent', async () => {
    const arrived = Promise.withResolvers<string>()
    commandApi = (req, res) => {
      req.once('data', (chunk: Buffer) => arrived.resolve(chunk.toString()))
      req.once('end', () => res.end('done'))
    }
    const outgoing = request(`${edge.url}/api/v1/bookings`, { method: 'POST' })
    const answered = new Promise<IncomingMessage>((resolve) => outgoing.once('response', resolve))
    outgoing.write('first')
    expect(await arrived.promise).to.equal('first')
    outgoing.end('last')
    expect((await answered).statusCode).to.equal(200)
    ;(await answered).resume()
  })

  it('tells the process when the client has gone', async () => {
    const gone = Promise.withResolvers<boolean>()
    const reached = Promise.withResolvers<void>()
    queryApi = (_req, res) => {
      res.once('close', () => gone.resolve(res.writableFinished))
      reached.resolve()
    }
    const abort = new AbortController()
    const asked = fetch(`${edge.url}/api/v1/bookings`, { signal: abort.signal }).catch(() => 'aborted')
    await reached.promise
    abort.abort()
    expect(await asked).to.equal('aborted')
    expect(await gone.promise).to.equal(false)
  })

  it('replaces what the client says about its address', async () => {
    queryApi = (req, res) => res.end(`${req.headers['x-forwarded-for']} ${req.headers.forwarded}`)
    const lie = { 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9' }
    expect(await textOf(fetch(`${edge.url}/api/v1/bookings`, { headers: lie }))).to.equal('127.0.0.1 undefined')
  })

  it('does not pass on what a client means for this hop only', async () => {
    queryApi = (req, res) =>
      res.end(`${req.headers['x-mine']} ${req.headers['x-yours']} ${req.headers.host !== undefined}`)
    const headers = { Connection: 'close, X-Mine, Host', 'X-Mine': '1', 'X-Yours': '2' }
    const text = await new Promise((resolve, reject) => {
      request(`${edge.url}/api/v1/bookings`, { headers }, (answer) => {
        answer.setEncoding('utf8').once('data', resolve)
      })
        .on('error', reject)
        .end()
    })
    expect(text).to.equal('undefined 2 true')
  })

  it('passes on every header that says who is calling, for the process to judge', async () => {
    commandApi = (req, res) => {
      const { authorization, 'x-access-token': token } = req.headersDistinct
      res.end(JSON.stringify([authorization, token]))
    }
    const lines = [
      'Authorization',
      'Bearer a',
      'Authorization',
      'Bearer b',
      'X-Access-Token',
      'c',
      'X-Access-Token',
      'c',
    ]
    const text = await new Promise((resolve, reject) => {
      const headers = ['Host', new URL(edge.url).host, 'Connection', 'close', ...lines]
      request(`${edge.url}/api/v1/bookings`, { method: 'POST', headers }, (answer) => {
        answer.setEncoding('utf8').once('data', resolve)
      })
        .on('error', reject)
        .end()
    })
    expect(JSON.parse(String(text))).to.deep.equal([
      ['Bearer a', 'Bearer b'],
      ['c', 'c'],
    ])
  })

  it('keeps a well-formed correlation id and gives one to everybody else', async () => {
    queryApi = (req, res) => res.end(req.headers['x-correlation-id'])
    const url = `${edge.url}/api/v1/bookings`
    expect(await textOf(fetch(url, { headers: { 'X-Correlation-ID': 'trip-1' } }))).to.equal('trip-1')
    const answer = await fetch(url, { headers: { 'X-Correlation-ID': 'no good' } })
    expect(await answer.text())
      .to.match(/^[0-9a-f-]{36}$/)
      .and.equal(answer.headers.get('x-correlation-id'))
  })

  it('answers 503 in the contract’s envelope when the process is away', async () => {
    away = await startEdge({
      port: 0,
      upstreams: { 'command-api': 'http://127.0.0.1:1', 'query-api': 'http://127.0.0.1:1' },
    })
    const answer = await fetch(`${away.url}/api/v1/bookings`)
    expect(answer.status).to.equal(503)
    expect(answer.headers.get('retry-after')).to.equal('1')
    const body = (await answer.json()) as { error: object }
    expect(body.error).to.include({ status: 503, instance: '/api/v1/bookings' })
    const stay = await fetch(`${away.url}/api/v1/reservations`, { method: 'POST' })
    expect(await stay.json()).to.deep.include({
      error: { code: 'unavailable', message: 'The process that answers this is not running at the moment' },
    })
    const bare = await fetch(`${away.url}/ops/bookings`)
    expect(bare.headers.get('content-type')).to.equal('application/problem+json')
    expect(await bare.json()).to.include({ status: 503, code: 'unavailable' })
    expect((await fetch(`${away.url}/health/ready`)).status).to.equal(503)
  })

  it('answers 502 when the process breaks off and 504 when it stays silent', async () => {
    queryApi = (req) => req.socket.destroy()
    expect((await fetch(`${edge.url}/api/v1/bookings`)).status).to.equal(502)
    queryApi = () => {}
    expect((await fetch(`${edge.url}/api/v1/bookings`)).status).to.equal(504)
  })

  it('cuts the client off when the process breaks off in the middle of its answer', async () => {
    queryApi = (req, res) => {
      res.write('half')
      setImmediate(() => req.socket.destroy())
    }
    const outcome = await fetch(`${edge.url}/api/v1/bookings`)
      .then(
        (answer) => answer.text(),
        () => 'cut',
      )
      .catch(() => 'cut')
    expect(outcome).to.equal('cut')
  })

  it('lets no unusual spelling reach what it does not expose', async () => {
    let reached = 0
    commandApi = (_req, res) => {
      reached += 1
      res.end()
    }
    for (const path of [
      '/ops/../internal/introspect',
      '/ops/%2e%2e/metrics',
      '//internal/x',
      '/ops/..%2finternal',
      '/docs/..\\metrics',
      '/metrics',
    ]) {
      expect(await rawStatus(edge.url, path), path).to.be.oneOf([400, 404])
    }
    expect(reached).to.equal(0)
  })

  it('finishes a request that is under way when it is told to close', async () => {
    const reached = Promise.withResolvers<() => void>()
    queryApi = (_req, res) => reached.resolve(() => res.end('in time'))
    const asked = textOf(fetch(`${edge.url}/api/v1/bookings`))
    const finish = await reached.promise
    const closed = edge.close()
    finish()
    expect(await asked).to.equal('in time')
    await closed
  })

  it('measures what it passed on and what it refused, and shows that on a port of its own', async () => {
    queryApi = (req) => req.socket.destroy()
    for (const path of ['/api/v1/bookings', '/nowhere', '/docs']) await textOf(fetch(`${edge.url}${path}`))
    const url = await edge.serveMetricsOn(0)
    const counted = await eventually(async () => {
      const lines = (await textOf(fetch(url))).split('\n')
      const counts = lines.filter((line) => line.startsWith('portolan_edge_request_duration_seconds_count'))
      return counts.length === 3 && counts.join('\n')
    })
    for (const labels of ['upstream="query-api",status="502"', 'upstream="command-api",status="200"'])
      expect(counted).to.include(labels)
    expect(counted).to.include('upstream="none",status="404"')
    expect((await fetch(url.replace('/metrics', '/docs'))).status).to.equal(404)
  })

  it('says that it is ready when both processes are', async () => {
    for (const path of ['/health/ready', '/healthcheck', '/healthz'])
      expect(await (await fetch(`${edge.url}${path}`)).json()).to.deep.equal({
        status: 'ready',
        process: 'edge',
        parts: { 'command-api': true, 'query-api': true },
      })
  })
})

const textOf = (answer: Promise<Response>) => answer.then((response) => response.text())

/** Sends a path exactly as written, which fetch would tidy up. Returns the status. */
function rawStatus(url: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    )
    socket.once('data', (chunk: Buffer) => {
      resolve(Number(chunk.toString().split(' ')[1]))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
