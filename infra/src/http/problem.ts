/**
 * The single mapping from what went wrong to an answer. Everything becomes a Problem by its code's kind; a serializer
 * chosen by path writes it: RFC 9457 by default, a contract's own envelope where the app registers one.
 */
import { type ProblemCode, type ProblemKind, problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import type { ErrorRequestHandler, Express, Request, RequestHandler } from 'express'
import type { z } from 'zod'
import type { Logger } from '../log.ts'
import { allowedMethods } from './allowed-methods.ts'
import { ServiceFault } from './client.ts'
import { contextOf } from './server.ts'
import { validationWording } from './validation-wording.ts'

export const statusByKind: Readonly<Record<ProblemKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  method: 405,
  conflict: 409,
  'too-large': 413,
  mismatch: 422,
  limited: 429,
  fault: 500,
  'bad-gateway': 502,
  unavailable: 503,
  'gateway-timeout': 504,
}

export interface Problem {
  code: ProblemCode
  title: string
  status: number
  detail: string
  /** Path of the request as the client sent it, without the query. */
  instance: string
  correlationId: string
  /** Extra members, as the Rejection gave them. */
  members: Readonly<Record<string, unknown>>
}

export interface SerializedProblem {
  contentType: string
  body: unknown
  /** Differs from problem.status only where a contract fixes another one. */
  status?: number
  headers?: Readonly<Record<string, string>>
}

/** Writes a problem the way one contract wants it. */
export type ProblemSerializer = (problem: Problem, req: Request) => SerializedProblem

const FAULT_DETAIL = 'An unexpected error occurred while processing your request'

/** Default serializer: RFC 9457, `application/problem+json`. A fault carries `trace_id`, the correlation id to quote. */
export const problemDocument: ProblemSerializer = (problem) => ({
  contentType: 'application/problem+json',
  body: {
    type: `https://portolan.example/problems/${problem.code}`,
    title: problem.title,
    status: problem.status,
    detail: problem.detail,
    instance: problem.instance,
    code: problem.code,
    ...problem.members,
    ...(problem.code === 'internal-error' ? { trace_id: problem.correlationId } : {}),
  },
  ...(problem.status === 401 ? { headers: { 'WWW-Authenticate': 'Bearer realm="portolan"' } } : {}),
})

/**
 * Checks a value from outside. Returns it parsed.
 * Rejects: validation-error with `errors: [{ field, message }]`; the first message is the detail.
 */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value, { error: validationWording })
  if (parsed.success) return parsed.data
  throw validationRejection(parsed.error)
}

/** The Rejection a failed validation stands for. field: dotted path, empty for the whole body. */
function validationRejection(error: z.ZodError): Rejection {
  const errors = error.issues
    .slice(0, 20)
    .map((issue) => ({ field: issue.path.map(String).join('.'), message: issue.message }))
  const [first] = errors
  const detail = first?.field ? `${first.field}: ${first.message}` : (first?.message ?? 'The request is not valid')
  return new Rejection('validation-error', detail, { errors })
}

/**
 * The last handlers of an app: unknown paths (404), known paths with another method (405 with Allow), and every error.
 * serializers: by path prefix, the longest that matches wins; none means `problemDocument`.
 * Rejections are logged at info, faults at error with their causes; an answer never shows a fault's message.
 */
export function problemHandler(deps: {
  logger: Logger
  serializers?: Readonly<Record<string, ProblemSerializer>>
}): [RequestHandler, ErrorRequestHandler] {
  const prefixes = Object.entries(deps.serializers ?? {}).sort(([a], [b]) => b.length - a.length)
  const refuseUnrouted: RequestHandler = (req, _res) => {
    const allow = allowedMethods(req.app as Express, req.path)
    if (allow.length === 0) throw new Rejection('not-found', `There is nothing at ${req.path}`)
    throw new Rejection('method-not-allowed', `${req.method} is not possible here`, { allow })
  }
  const answerProblem: ErrorRequestHandler = (error, req, res, _next) => {
    const rejection = asRejection(error)
    const { correlationId } = contextOf(res)
    const fields = { correlationId, tenantId: res.locals.tenantId, method: req.method, code: rejection.code }
    if (rejection.code === 'internal-error' || error instanceof ServiceFault) {
      deps.logger.error('request failed', { ...fields, error })
    } else {
      deps.logger.info('request refused', { ...fields, detail: rejection.detail })
    }
    // Too late for an answer: cut, so that the client does not take half of one for the whole.
    if (res.headersSent) return void res.destroy()
    const path = req.originalUrl.split('?', 1)[0] ?? req.path
    const serialize = prefixes.find(([prefix]) => path.startsWith(prefix))?.[1] ?? problemDocument
    const problem = problemOf(rejection, path, correlationId)
    const answer = serialize(problem, req)
    res.status(answer.status ?? problem.status)
    setHeaders(res, problem, answer)
    res.send(JSON.stringify(answer.body))
  }
  return [refuseUnrouted, answerProblem]
}

function setHeaders(
  res: Parameters<ErrorRequestHandler>[2],
  { members }: Problem,
  { headers, contentType }: SerializedProblem,
): void {
  res.set('Content-Type', contentType)
  const retryAfter = members.retry_after
  if (typeof retryAfter === 'number') res.set('Retry-After', String(Math.max(1, Math.ceil(retryAfter))))
  if (Array.isArray(members.allow)) res.set('Allow', members.allow.join(', '))
  if (headers) res.set({ ...headers })
}

function problemOf({ code, detail, members }: Rejection, instance: string, correlationId: string): Problem {
  const { kind, title } = problemCodes[code]
  return { code, title, status: statusByKind[kind], detail, instance, correlationId, members }
}

/**
 * What an error means to the client. Anything unknown is a fault, and a fault says nothing about itself.
 * That includes a bare ZodError: it may as well come from our own event or another process's answer, so input from
 * outside goes through `parseInput`.
 */
function asRejection(error: unknown): Rejection {
  if (error instanceof Rejection) return error
  if (error instanceof ServiceFault) {
    return new Rejection('unavailable', 'A part of this service is not available at the moment', { retry_after: 1 })
  }
  // body-parser and the router mark what the client did wrong with a status and, mostly, a type.
  const { status, type } = error as { status?: unknown; type?: unknown }
  if (type === 'entity.too.large') return new Rejection('payload-too-large', 'The request body is too large')
  if (type === 'entity.parse.failed') return invalidBody('The request body is not valid JSON')
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return type ? invalidBody('The request body cannot be read') : invalidBody('The request cannot be read')
  }
  return new Rejection('internal-error', FAULT_DETAIL)
}

const invalidBody = (detail: string) => new Rejection('validation-error', detail, { errors: [] })
