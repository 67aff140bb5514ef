/**
 * One HTTP request to a partner, whose answer tells the one thing that fetch hides: whether the request can have
 * reached the other side. Until the connection stands nothing was sent; from then on a missing answer is unknown.
 * Connections are not reused: a request written into a connection that the server is just closing would be
 * indistinguishable from one that it received, and every such deduction would have to be reconciled.
 */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

export interface PartnerRequest {
  method: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  body?: unknown
  timeoutMs: number
}

export type PartnerResponse =
  | { kind: 'answered'; status: number; body: unknown; retryAfter: string | null }
  | { kind: 'not-sent' }
  | { kind: 'timeout' }
  | { kind: 'cut' }

/** An answer longer than this is cut off and counts as unreadable; real ones have a few hundred bytes. */
const BODY_BYTES_MAX = 64 * 1024

/**
 * Sends one request and never throws for what the network or the other side does.
 *
 * timeoutMs covers everything from connecting to the last byte.
 * `answered.body` is the parsed JSON, undefined when there was none, when it was not JSON or too long.
 */
export function requestPartner(options: PartnerRequest): Promise<PartnerResponse> {
  const url = new URL(options.url)
  const payload = options.body === undefined ? undefined : JSON.stringify(options.body)
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve) => {
    let isConnected = false
    let isTimedOut = false
    const request = send(url, {
      method: options.method,
      agent: false,
      headers: {
        accept: 'application/json',
        ...options.headers,
        ...(payload !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(payload),
        }),
      },
    })
    const settle = (response: PartnerResponse): void => {
      clearTimeout(timer)
      resolve(response)
      request.destroy()
    }
    const lost = (): void => {
      if (!isConnected) settle({ kind: 'not-sent' })
      else settle({ kind: isTimedOut ? 'timeout' : 'cut' })
    }
    const timer = setTimeout(() => {
      isTimedOut = true
      lost()
    }, options.timeoutMs)
    request.on('socket', (socket) =>
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        isConnected = true
      }),
    )
    request.on('error', lost)
    request.on('close', lost)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= BODY_BYTES_MAX) chunks.push(chunk)
      })
      response.on('error', lost)
      response.on('end', () => {
        if (!response.complete) return lost()
        settle({
          kind: 'answered',
          status: response.statusCode ?? 0,
          body: bytes <= BODY_BYTES_MAX ? parseJson(Buffer.concat(chunks).toString('utf8')) : undefined,
          retryAfter: response.headers['retry-after'] ?? null,
        })
      })
    })
    request.end(payload)
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
