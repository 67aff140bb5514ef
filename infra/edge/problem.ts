/**
 * The few problems that the edge itself answers with: nothing there, wrong method, process away. Processes write their
 * own. Kept apart from theirs so that the launcher, which runs the edge, loads no validator and no web framework.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

const PROBLEMS = {
  'validation-error': { status: 400, title: 'Validation Error' },
  'not-found': { status: 404, title: 'Not Found' },
  'method-not-allowed': { status: 405, title: 'Method Not Allowed' },
  'bad-gateway': { status: 502, title: 'Bad Gateway' },
  unavailable: { status: 503, title: 'Service Unavailable' },
  'gateway-timeout': { status: 504, title: 'Gateway Timeout' },
} as const

export type EdgeProblem = keyof typeof PROBLEMS

/**
 * Answers with a problem document (RFC 9457); below /api/v1, staff excepted, in the envelope of the contract: of stays, or of loyalty unless
 * the client asks for the bare document. detail: a sentence for the client.
 */
export function sendProblem(
  req: IncomingMessage,
  res: ServerResponse,
  code: EdgeProblem,
  detail: string,
  members: { retry_after?: number; allow?: string[] } = {},
): void {
  const { status, title } = PROBLEMS[code]
  const instance = (req.url ?? '/').split('?', 1)[0] ?? '/'
  const isStays = /^\/api\/v1\/(properties|reservations)(\/|$)/.test(instance)
  const isLoyalty = !isStays && /^\/api\/v1\/(?!staff\/)/.test(instance)
  const base = isLoyalty ? 'https://api.loyalty-middleware.com/errors' : 'https://portolan.example/problems'
  const problem = {
    type: `${base}/${code}`,
    title,
    status,
    detail,
    instance,
    ...(isLoyalty ? {} : { code }),
    ...members,
  }
  const stays = { error: { code: code.replaceAll('-', '_'), message: detail } }
  const isWrapped = isLoyalty && !req.headers.accept?.includes('application/problem+json')
  if (members.retry_after) res.setHeader('Retry-After', members.retry_after)
  if (members.allow) res.setHeader('Allow', members.allow.join(', '))
  // The rest of a body that nobody will read must not be taken for the next request.
  if (!req.complete) res.setHeader('Connection', 'close')
  res.writeHead(status, { 'Content-Type': isWrapped || isStays ? 'application/json' : 'application/problem+json' })
  const body = isStays ? stays : isWrapped ? { error: problem } : problem
  res.end(req.method === 'HEAD' ? undefined : JSON.stringify(body))
}
