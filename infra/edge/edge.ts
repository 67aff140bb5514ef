/**
 * One address for everything: looks every request up in the routing table and passes it on to the process that answers
 * it. The edge itself answers `/` and its own health, gives every request a correlation id and lets nothing through
 * that the table does not name. What it measures it shows elsewhere (metrics.ts).
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEdgeMetrics, type EdgeMetrics } from './metrics.ts'
import { sendProblem } from './problem.ts'
import { createProxy, type EdgeProxy } from './proxy.ts'
import { findRoute, type Owner } from './routes.ts'

const CORRELATION_ID = /^[A-Za-z0-9._:-]{1,100}$/
const STOP_WITHIN_MS = 10_000
const PROBE_WITHIN_MS = 2000
/** Ours, and those of the contract of stays. */
const READY_PATHS: readonly string[] = ['/health/ready', '/healthcheck', '/healthz']

/** Where each process listens, e.g. `http://127.0.0.1:3001`. */
export type Upstreams = Readonly<Record<Owner, string>>

export type Edge = {
  url: string
  /** Listens on a further port, for clients that know us by another address. Rejects with the listen error. */
  alsoListenOn: (port: number) => Promise<void>
  /** Shows the edge's own metrics on a further port, to this machine only; 0 takes any free one. Returns their address. */
  serveMetricsOn: (port: number) => Promise<string>
  /** Accepts nothing new, finishes what is under way, at most ten seconds. */
  close: () => Promise<void>
}

/** Starts the edge; port 0 takes any free one. Rejects with the listen error (EADDRINUSE, EACCES). */
export async function startEdge({
  port,
  host = '127.0.0.1',
  upstreams,
  answerWithinMs,
}: {
  port: number
  host?: string
  upstreams: Upstreams
  answerWithinMs?: number
}): Promise<Edge> {
  const proxy = createProxy({ answerWithinMs })
  const metrics = createEdgeMetrics()
  const state = { isStopping: false }
  const handle: RequestListener = (req, res) => answer(req, res, { proxy, metrics, upstreams, state })
  const servers: Server[] = []
  const open = async (wanted: number, listener = handle, address = host) => {
    const server = await listen(listener, wanted, address)
    servers.push(server)
    return (server.address() as AddressInfo).port
  }
  const shownHost = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return {
    url: `http://${shownHost}:${await open(port)}`,
    alsoListenOn: async (wanted) => {
      await open(wanted)
    },
    serveMetricsOn: async (wanted) => `http://127.0.0.1:${await open(wanted, metrics.page, '127.0.0.1')}/metrics`,
    close: async () => {
      state.isStopping = true
      await Promise.all(servers.map(closeGracefully))
      proxy.close()
    },
  }
}

function listen(handle: RequestListener, port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(handle)
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })
}

function closeGracefully(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A connection that was busy when close() looked falls idle later, and its client would keep it open.
    const tidy = setInterval(() => server.closeIdleConnections(), 50)
    const cut = setTimeout(() => server.closeAllConnections(), STOP_WITHIN_MS)
    server.close(() => {
      clearInterval(tidy)
      clearTimeout(cut)
      resolve()
    })
  })
}

type Parts = { proxy: EdgeProxy; metrics: EdgeMetrics; upstreams: Upstreams; state: { isStopping: boolean } }

function answer(req: IncomingMessage, res: ServerResponse, { state, ...parts }: Parts): void {
  giveCorrelationId(req, res)
  if (state.isStopping) res.setHeader('Connection', 'close')
  const path = (req.url ?? '/').split('?', 1)[0] ?? '/'
  if (path === '/health/live') sendJson(res, 200, { status: 'live', process: 'edge' })
  else if (READY_PATHS.includes(path)) answerReady(res, parts.upstreams, state.isStopping)
  else if (path === '/') res.writeHead(302, { Location: '/docs' }).end()
  else passOn(req, res, path, parts)
}

function passOn(
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  { proxy, metrics, upstreams }: Omit<Parts, 'state'>,
): void {
  // The table is compared with the path as sent; one that a process would read differently must not slip past it.
  const route = isPlain(path) ? findRoute(req.method ?? 'GET', path) : 'ambiguous'
  metrics.measure(res, route && route !== 'ambiguous' && 'owner' in route ? route.owner : 'none')
  if (route === 'ambiguous')
    sendProblem(req, res, 'validation-error', 'The path has segments that cannot be read one way only')
  else if (!route) sendProblem(req, res, 'not-found', `There is nothing at ${path}`)
  else if ('allow' in route) sendProblem(req, res, 'method-not-allowed', `${req.method} is not possible here`, route)
  else proxy.forward(req, res, upstreams[route.owner])
}

/** No dot segments, backslashes, empty segments or encoded slashes and dots. */
function isPlain(path: string): boolean {
  return path.startsWith('/') && !/\\|\/\/|%2f|%5c|(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(path)
}

/** The id that a request keeps through every process, event and job it sets in motion; a well-formed one of the client's stays. */
function giveCorrelationId(req: IncomingMessage, res: ServerResponse): void {
  const asked = req.headers['x-correlation-id']
  const id = typeof asked === 'string' && CORRELATION_ID.test(asked) ? asked : randomUUID()
  req.headers['x-correlation-id'] = id
  res.setHeader('X-Correlation-ID', id)
}

async function answerReady(res: ServerResponse, upstreams: Upstreams, isStopping: boolean): Promise<void> {
  const probe = (url: string) =>
    fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(PROBE_WITHIN_MS) }).then(
      (response) => response.ok,
      () => false,
    )
  const parts = Object.fromEntries(
    await Promise.all(Object.entries(upstreams).map(async ([name, url]) => [name, await probe(url)] as const)),
  )
  const isReady = !isStopping && Object.values(parts).every(Boolean)
  sendJson(res, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not-ready', process: 'edge', parts })
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
