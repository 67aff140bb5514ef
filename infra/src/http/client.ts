/**
 * Calls between our own processes: JSON over HTTP with the service token, a deadline on each, no retries (the caller
 * knows what may be repeated).
 */
import { type ProblemCode, problemCodes, Rejection } from '@portolan/schemas/errors.ts'
import { SERVICE_REALM } from './service-auth.ts'

/** Another of our processes could not be asked, or answered with something that is not ours to explain to a client. */
export class ServiceFault extends Error {
  /** unreachable: nothing was sent or nothing came back. timeout: the deadline passed. answer: an unexpected answer. */
  readonly kind: 'unreachable' | 'timeout' | 'answer'
  readonly status: number | null

  constructor(kind: ServiceFault['kind'], message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'ServiceFault'
    this.kind = kind
    this.status = options.status ?? null
  }
}

export interface CallOptions {
  correlationId?: string
  /** Deadline of this call; default the client's. */
  timeoutMs?: number
}

export interface ServiceClient {
  /** Answers are unparsed JSON, `undefined` for an empty one; the caller's schema decides what it is. */
  get(path: string, options?: CallOptions): Promise<unknown>
  post(path: string, body: unknown, options?: CallOptions): Promise<unknown>
}

/**
 * Creates a client of one process. baseUrl without a trailing slash; paths begin with `/`.
 * Throws: the Rejection that a problem document with a known code stands for, otherwise a ServiceFault.
 */
export function createServiceClient(deps: {
  baseUrl: string
  serviceToken: string
  timeoutMs: number
  fetch?: typeof fetch
}): ServiceClient {
  const send = deps.fetch ?? fetch
  async function call(method: string, path: string, body: unknown, options: CallOptions): Promise<unknown> {
    let response: Response
    let text: string
    try {
      response = await send(`${deps.baseUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${deps.serviceToken}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(options.correlationId ? { 'x-correlation-id': options.correlationId } : {}),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(options.timeoutMs ?? deps.timeoutMs),
        redirect: 'error',
      })
      text = await response.text()
    } catch (cause) {
      const kind = (cause as Error).name === 'TimeoutError' ? 'timeout' : 'unreachable'
      throw new ServiceFault(kind, `${method} ${path}: ${kind}`, { cause })
    }
    const answer = parseJson(text)
    if (response.ok && answer !== NOT_JSON) return answer
    throw asRejection(response.status, answer) ?? unexpected(method, path, response.status)
  }
  return {
    get: (path, options = {}) => call('GET', path, undefined, options),
    post: (path, body, options = {}) => call('POST', path, body, options),
  }
}

/** For `catch` on a question that is never refused: a Rejection there is a mistake of ours, and not the client's to read. */
export function throwAsFault(error: unknown): never {
  if (!(error instanceof Rejection)) throw error
  throw new ServiceFault('answer', 'another process refused what it should have answered', { cause: error })
}

const NOT_JSON = Symbol('not JSON')

function parseJson(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return NOT_JSON
  }
}

const unexpected = (method: string, path: string, status: number) =>
  new ServiceFault('answer', `${method} ${path}: unexpected answer ${status}`, { status })

/**
 * A problem document of ours, back as the Rejection it was made from. A fault (500) of the other side stays a fault, and
 * so does the refusal of our own service token: it says nothing about the caller we asked for.
 */
function asRejection(status: number, answer: unknown): Rejection | null {
  if (status === 500 || typeof answer !== 'object' || answer === null) return null
  const {
    code,
    detail,
    type: _type,
    title: _title,
    status: _status,
    instance: _instance,
    ...members
  } = answer as Record<string, unknown>
  if (typeof code !== 'string' || !Object.hasOwn(problemCodes, code) || typeof detail !== 'string') return null
  if (members.realm === SERVICE_REALM) return null
  return new Rejection(code as ProblemCode, detail, members)
}
