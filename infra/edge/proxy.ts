/**
 * Passes one request on to a process and its answer back, both as streams: nothing is collected in memory. What a
 * client says about itself and other hops (X-Forwarded-*) is replaced by what we see.
 */
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import { createProxyServer } from 'httpxy'
import { sendProblem } from './problem.ts'

/** Longer than the longest wait a client may ask for (30 s) and a partner's worst answer (35 s) together with some work. */
const ANSWER_WITHIN_MS = 75_000
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'upgrade']

/** Connection may name further headers of one hop, but not those by which a message is delimited and addressed. */
const NEVER_DROPPED = ['content-length', 'host', 'transfer-encoding']

const CREDENTIALS = ['authorization', 'x-access-token']

export type EdgeProxy = {
  /** Passes the request on to the process at `target`, e.g. `http://127.0.0.1:3001`. Never rejects. */
  forward: (req: IncomingMessage, res: ServerResponse, target: string) => void
  /** Closes the idle connections to the processes. */
  close: () => void
}

/** answerWithinMs: how long a process may stay silent before the client gets 504. */
export function createProxy({ answerWithinMs = ANSWER_WITHIN_MS } = {}): EdgeProxy {
  const agent = new Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 64 })
  const proxy = createProxyServer({ agent, proxyTimeout: answerWithinMs })

  // What concerns one connection is not passed on, in either direction.
  proxy.on('proxyReq', (request) => {
    for (const name of HOP_BY_HOP) request.removeHeader(name)
  })
  proxy.on('proxyRes', (answer) => {
    delete answer.headers['keep-alive']
    delete answer.headers.connection // httpxy then answers as the client asked
  })

  function forward(req: IncomingMessage, res: ServerResponse, target: string): void {
    const startedAt = performance.now()
    for (const name of req.headers.connection?.toLowerCase().split(',') ?? [])
      if (!NEVER_DROPPED.includes(name.trim())) delete req.headers[name.trim()]
    // Node keeps one of several, or joins them: whether they agree is for the process to judge.
    for (const name of CREDENTIALS) {
      const sent = req.headersDistinct[name] ?? []
      if (sent.length > 1 && req.headers[name] !== undefined) (req.headers as Record<string, string[]>)[name] = sent
    }
    delete req.headers.expect // our own server has said 100 Continue already
    delete req.headers.forwarded
    req.headers['x-forwarded-for'] = req.socket.remoteAddress ?? ''
    req.headers['x-forwarded-proto'] = 'http'
    req.headers['x-forwarded-host'] = req.headers.host ?? ''
    proxy.web(req, res, { target }).catch((error: NodeJS.ErrnoException) => {
      answerFault(req, res, error, performance.now() - startedAt >= answerWithinMs)
    })
  }

  return { forward, close: () => agent.destroy() }
}

/** What the client learns when its request could not be passed on or was not answered. */
function answerFault(req: IncomingMessage, res: ServerResponse, error: NodeJS.ErrnoException, isLate: boolean): void {
  if (res.destroyed) return // the client has gone
  if (res.headersSent) {
    res.destroy() // half an answer must not look like a whole one
    return
  }
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOTFOUND') {
    sendProblem(req, res, 'unavailable', 'The process that answers this is not running at the moment', {
      retry_after: 1,
    })
  } else if (isLate) {
    sendProblem(
      req,
      res,
      'gateway-timeout',
      'The process that answers this did not do so in time; the request may have been carried out',
    )
  } else {
    sendProblem(
      req,
      res,
      'bad-gateway',
      'The process that answers this broke off; the request may have been carried out',
    )
  }
}
