/**
 * The HTTP side every stand-in shares: routing, body reading, the fault script, counters, and the control surface below
 * `/_sandbox/`, which is no part of the partner's API and is never counted, delayed or faulted.
 *
 * A stand-in describes itself as a `SandboxService`; everything it knows lives in memory and dies with the process.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createFaultScript, type FaultRule, isRecord, readFaultRules, type ScriptedAnswer } from './faults.ts'

const BODY_BYTES_MAX = 1_000_000
/** A long fault run compares every call with what was claimed for it. */
const CALL_LOG_MAX = 50_000

export interface Call {
  method: string
  path: string
  /** Path parameters, percent-decoded. */
  params: Record<string, string>
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** Parsed JSON body; undefined when there was none or it could not be parsed (then `bodyError` says where). */
  body: unknown
  bodyText: string
  /** Character offset at which JSON parsing failed; absent when the body is fine or empty. */
  bodyError?: number
}

export interface Answer {
  status: number
  /** Sent as JSON; undefined sends no body. A string is sent as it is. */
  body?: unknown
  headers?: Record<string, string>
}

/** `hang` keeps the caller waiting up to the bound, `reset` destroys the socket. */
export type Outcome = Answer | 'hang' | 'reset'

export interface Route {
  /** Name in counters and fault rules; absent for control routes. */
  operation?: string
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Pattern with `:name` parameters, without trailing slash; a trailing slash in the request is accepted. */
  path: string
  handle(call: Call): Outcome | Promise<Outcome>
  /** What fault rules can match on: ids, metadata, amounts. */
  facts?(call: Call): Record<string, unknown>
}

export interface SandboxService {
  routes: Route[]
  /** Extra routes below `/_sandbox/`. */
  control: Route[]
  /** Runs before every partner call, for instance while the whole service is blocked. */
  before?(call: Call): Promise<void>
  /** Headers of every partner answer, errors included. */
  headers(call: Call): Record<string, string>
  /** Answer to a path nobody owns (`allowed` empty) or a wrong method. */
  noRoute(call: Call, allowed: string[]): Answer
  /** The service's own error body for a scripted answer that gives none. */
  faultBody(answer: ScriptedAnswer, call: Call): unknown
  state(query: URLSearchParams): unknown
  reset(): void
  /** Ends timers and waits. */
  stop?(): void
  /** Successful effects by operation name; the service counts them where they happen. */
  effects: Record<string, number>
}

export interface SandboxServerOptions {
  /** 0 takes any free port. */
  port?: number
  host?: string
  /** Upper bound of one hang in seconds; then the socket is closed. Default 60. */
  hangSecondsMax?: number
}

export interface RunningSandbox {
  url: string
  stop(): Promise<void>
}

interface CallRecord {
  operation: string
  at: string
  facts: Record<string, unknown>
  /** HTTP status, `hang` or `reset`. */
  answered: number | 'hang' | 'reset'
  /** Whether a fault rule was met. */
  faulted: boolean
}

/**
 * Starts a stand-in's server.
 *
 * Errors: rejects with the listen error (EADDRINUSE, EACCES). `stop` destroys open sockets, hanging ones included.
 */
export async function startSandboxServer(
  service: SandboxService,
  options: SandboxServerOptions = {},
): Promise<RunningSandbox> {
  const faults = createFaultScript()
  const counters = createCounters(service)
  const waits = createWaits((options.hangSecondsMax ?? 60) * 1000)
  const control = controlRoutes(service, counters, faults)

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      console.error(JSON.stringify({ level: 'error', message: 'sandbox fault', error: String(error) }))
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'application/json' })
      response.end('{"sandbox":"internal fault"}')
    })
  })
  server.keepAliveTimeout = 30_000

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request)
    if (call === undefined) return send(response, { status: 413 }, {})
    if (call.path.startsWith('/_sandbox/')) return serveControl(call, response)
    await service.before?.(call)
    const route = findRoute(service.routes, call)
    if (!route)
      return send(response, service.noRoute(call, allowedMethods(service.routes, call)), service.headers(call))
    const operation = route.operation ?? 'unnamed'
    const facts = route.facts?.(call) ?? {}
    const record = counters.begin(operation, facts)
    const rule = faults.take(operation, facts)
    record.faulted = rule !== undefined
    const outcome = rule ? await underRule(rule, route, call) : await route.handle(call)
    record.answered = typeof outcome === 'string' ? outcome : outcome.status
    await answer(response, outcome, call)
  }

  async function underRule(rule: FaultRule, route: Route, call: Call): Promise<Outcome> {
    await waits.sleep(rule.effectDelayMs)
    const real = rule.effect === 'perform' ? await route.handle(call) : undefined
    await waits.sleep(rule.delayMs)
    if (rule.answer === undefined) return real ?? { status: 500 }
    if (typeof rule.answer === 'string') return rule.answer
    const { status, headers, body = service.faultBody(rule.answer, call) } = rule.answer
    return { status, headers, body }
  }

  async function answer(response: ServerResponse, outcome: Outcome, call: Call): Promise<void> {
    if (outcome === 'hang') await waits.hang(response)
    if (outcome === 'hang') response.destroy()
    else if (outcome === 'reset') response.socket?.resetAndDestroy()
    else send(response, outcome, service.headers(call))
  }

  async function serveControl(call: Call, response: ServerResponse): Promise<void> {
    const route = findRoute(control, call)
    const outcome = route ? await route.handle(call) : { status: 404, body: { error: 'no such control route' } }
    await answer(response, outcome, call)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve)
  })
  const { address, port } = server.address() as AddressInfo
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    stop: async () => {
      waits.release()
      service.stop?.()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function controlRoutes(
  service: SandboxService,
  counters: ReturnType<typeof createCounters>,
  faults: ReturnType<typeof createFaultScript>,
): Route[] {
  const operations = [...new Set(service.routes.flatMap((route) => route.operation ?? []))]
  return [
    { method: 'GET', path: '/_sandbox/counters', handle: () => ({ status: 200, body: counters.read() }) },
    { method: 'GET', path: '/_sandbox/calls', handle: () => ({ status: 200, body: counters.log() }) },
    { method: 'GET', path: '/_sandbox/state', handle: (call) => ({ status: 200, body: service.state(call.query) }) },
    { method: 'GET', path: '/_sandbox/faults', handle: () => ({ status: 200, body: { rules: faults.list() } }) },
    {
      method: 'POST',
      path: '/_sandbox/faults',
      handle: (call) => {
        const rules = readFaultRules(call.body, operations)
        if (typeof rules === 'string') return { status: 400, body: { error: rules } }
        faults.add(rules)
        return { status: 201, body: { rules: faults.list() } }
      },
    },
    {
      method: 'DELETE',
      path: '/_sandbox/faults',
      handle: () => {
        faults.clear()
        return { status: 204 }
      },
    },
    {
      method: 'POST',
      path: '/_sandbox/reset',
      handle: () => {
        faults.clear()
        counters.clear()
        service.reset()
        return { status: 204 }
      },
    },
    ...service.control,
  ]
}

function createCounters(service: SandboxService) {
  const calls: Record<string, number> = {}
  let log: CallRecord[] = []
  return {
    begin: (operation: string, facts: Record<string, unknown>): CallRecord => {
      calls[operation] = (calls[operation] ?? 0) + 1
      // `hang` until answered: a call that never got an answer is logged as what its caller saw.
      const record: CallRecord = { operation, at: new Date().toISOString(), facts, answered: 'hang', faulted: false }
      log.push(record)
      if (log.length > 2 * CALL_LOG_MAX) log = log.slice(-CALL_LOG_MAX)
      return record
    },
    read: () => ({ calls, effects: service.effects }),
    log: () => ({ calls: log.slice(-CALL_LOG_MAX) }),
    clear: () => {
      for (const counter of [calls, service.effects]) for (const name of Object.keys(counter)) delete counter[name]
      log = []
    },
  }
}

/** Delays and hangs, all of which end when the server stops. */
function createWaits(hangMsMax: number) {
  const pending = new Set<() => void>()
  const wait = (ms: number, alsoEnd?: (end: () => void) => void): Promise<void> =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        pending.delete(end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      pending.add(end)
      alsoEnd?.(end)
    })
  return {
    sleep: async (ms: number | undefined) => {
      if (ms !== undefined && ms > 0) await wait(ms)
    },
    /** Waits until the bound, or until the caller gives up. */
    hang: (response: ServerResponse) => wait(hangMsMax, (end) => response.once('close', end)),
    release: () => {
      for (const end of [...pending]) end()
    },
  }
}

async function readCall(request: IncomingMessage): Promise<Call | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  const url = new URL(request.url ?? '/', 'http://sandbox')
  const bodyText = Buffer.concat(chunks).toString('utf8')
  const call: Call = {
    method: request.method ?? 'GET',
    path: url.pathname,
    params: {},
    query: url.searchParams,
    headers: request.headers,
    body: undefined,
    bodyText,
  }
  if (bodyText === '') return call
  try {
    call.body = JSON.parse(bodyText)
  } catch (error) {
    call.bodyError = Number(/position (\d+)/.exec(String(error))?.[1] ?? bodyText.length)
  }
  return call
}

function findRoute(routes: Route[], call: Call): Route | undefined {
  for (const route of routes) {
    if (route.method !== call.method) continue
    const params = matchPath(route.path, call.path)
    if (!params) continue
    call.params = params
    return route
  }
  return undefined
}

function allowedMethods(routes: Route[], call: Call): string[] {
  return routes.filter((route) => matchPath(route.path, call.path) !== undefined).map((route) => route.method)
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.replace(/(.)\/$/, '$1').split('/')
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (part.startsWith(':') && value !== '') params[part.slice(1)] = decode(value)
    else if (part !== value) return undefined
  }
  return params
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function send(response: ServerResponse, answer: Answer, headers: Record<string, string>): void {
  if (response.destroyed) return
  const body =
    answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  const type: Record<string, string> = body === '' ? {} : { 'content-type': 'application/json' }
  // Repeated header names would be sent twice, so the scripted ones replace the service's own, whatever their case.
  const merged: Record<string, string> = {}
  for (const source of [type, headers, answer.headers ?? {}])
    for (const [name, value] of Object.entries(source)) merged[name.toLowerCase()] = String(value)
  if (body === '' && answer.status !== 204) merged['content-length'] = '0'
  response.writeHead(answer.status, merged)
  response.end(body)
}

/** Adds one to a counter. */
export function count(counters: Record<string, number>, name: string): void {
  counters[name] = (counters[name] ?? 0) + 1
}

/** The member of a JSON object, or undefined when it is no object. */
export function member(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined
}
