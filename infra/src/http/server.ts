/**
 * What every HTTP process has in common: correlation id in and out, one log line and one measurement per request,
 * probes, metrics, bounded JSON bodies, and a stop that finishes what is in flight.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Rejection } from '@portolan/schemas/errors.ts'
import express, { type Express, type RequestHandler, type Response } from 'express'
import type { Logger } from '../log.ts'
import { httpMetrics, type Metrics, routeTemplate } from '../telemetry.ts'

export const BODY_LIMIT_BYTES = 100_000
const CORRELATION_ID = /^[A-Za-z0-9._:-]{1,100}$/
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

export interface AppDeps {
  process: string
  logger: Logger
  metrics: Metrics
  /** The parts this process needs, each true when usable; all true means ready. A throw means not ready. */
  ready: () => Promise<Record<string, boolean>>
  /** Largest JSON body in bytes (default 100 kB). Null: bodies are not parsed here, the app mounts `jsonBody` after its authentication. */
  bodyLimit?: number | null
  /** Sees requests whose address cannot be read before they are refused: for contracts whose 401 comes before any 400. */
  onUnreadableAddress?: RequestHandler
}

/** What a request carries through everything it sets in motion. */
export interface RequestContext {
  correlationId: string
  /** W3C trace context, when the caller sent a well-formed one. */
  traceparent: string | undefined
}

/** The context that `createApp` gave this request. */
export function contextOf(res: Response): RequestContext {
  return { correlationId: res.locals.correlationId, traceparent: res.locals.traceparent }
}

/**
 * Creates the application with everything common mounted. The caller adds routes and, last, `problemHandler`.
 * Client addresses are taken from X-Forwarded-For when a loopback or private peer (our edge, an ingress) sent it.
 */
export function createApp(deps: AppDeps): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('trust proxy', 'loopback, linklocal, uniquelocal')
  app.use(giveContext)
  app.use(logRequests(deps.logger))
  app.use(httpMetrics(deps.metrics))
  app.get('/health/live', (_req, res) => {
    res.json({ status: 'live', process: deps.process })
  })
  app.get('/health/ready', async (_req, res) => {
    const parts = await deps.ready().catch((): Record<string, boolean> => ({ check: false }))
    const isReady = !app.locals.isStopping && Object.values(parts).every(Boolean)
    const status = app.locals.isStopping ? 'stopping' : isReady ? 'ready' : 'not-ready'
    res.status(isReady ? 200 : 503).json({ status, process: deps.process, parts })
  })
  app.get('/metrics', async (_req, res) => {
    res.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics())
  })
  app.use(refuseUnreadableAddresses(deps.onUnreadableAddress ?? ((_req, _res, next) => next())))
  if (deps.bodyLimit !== null) app.use(jsonBody(deps.bodyLimit))
  return app
}

/** Parses JSON bodies of at most `limitBytes`; other content types leave the body undefined. */
export function jsonBody(limitBytes = BODY_LIMIT_BYTES): RequestHandler {
  return express.json({ limit: limitBytes, type: ['application/json', 'application/*+json'] })
}

/**
 * Listens; port 0 takes any free one. Rejects when the port is taken.
 * stop: readiness off, no new connections, requests in flight finish, at most `stopWithinMs`, then everything is cut.
 */
export async function listen(
  app: Express,
  port: number,
  host = '127.0.0.1',
  { stopWithinMs = 10_000 }: { stopWithinMs?: number } = {},
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer(app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { port: actualPort } = server.address() as AddressInfo
  const shownHost = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return {
    url: `http://${shownHost}:${actualPort}`,
    stop: () =>
      new Promise((resolve) => {
        app.locals.isStopping = true
        const cut = setTimeout(() => server.closeAllConnections(), stopWithinMs)
        server.close(() => {
          clearTimeout(cut)
          resolve()
        })
      }),
  }
}

const giveContext: RequestHandler = (req, res, next) => {
  const asked = req.get('X-Correlation-Id')
  const traceparent = req.get('traceparent')
  res.locals.correlationId = asked && CORRELATION_ID.test(asked) ? asked : randomUUID()
  res.locals.traceparent = traceparent && TRACEPARENT.test(traceparent) ? traceparent : undefined
  res.set('X-Correlation-Id', res.locals.correlationId)
  // A copy of an answer on its way would outlive a forget; a route whose answer may be kept says so itself.
  res.set('Cache-Control', 'no-store')
  // While stopping, a kept-alive connection would hold the server open until its client goes away.
  if (req.app.locals.isStopping) res.set('Connection', 'close')
  next()
}

/**
 * Postgres' text knows no zero character, so no id and no filter holds one; here it is a bad request instead of a fault there. A path that is not
 * well encoded would be refused by the router, before any route's authentication.
 */
function refuseUnreadableAddresses(look: RequestHandler): RequestHandler {
  return (req, res, next) => {
    if (isReadable(req.originalUrl)) return next()
    return look(req, res, (error?: unknown) =>
      next(error ?? new Rejection('validation-error', 'The address is not valid', { errors: [] })),
    )
  }
}

function isReadable(url: string): boolean {
  if (!url.includes('%')) return true
  try {
    decodeURIComponent(url.split('?', 1)[0] ?? '')
    return !url.includes('%00')
  } catch {
    return false
  }
}

function logRequests(logger: Logger): RequestHandler {
  return (req, res, next) => {
    const startedAt = performance.now()
    res.once('close', () => {
      const isProbe = req.path.startsWith('/health/') || req.path === '/metrics'
      logger[isProbe ? 'debug' : 'info']('request', {
        correlationId: res.locals.correlationId,
        tenantId: res.locals.tenantId,
        method: req.method,
        route: routeTemplate(req),
        status: res.writableFinished ? res.statusCode : 'aborted',
        durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
      })
    })
    next()
  }
}
