/**
 * JSON over HTTP for load: Node's own client with connections kept open. Cheaper than `fetch`, so that the load takes less of the
 * processor that it shares with what it measures.
 */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

const DEADLINE_MS = 60_000

export interface HttpAnswer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export type SendHttp = (
  url: string,
  options?: { method?: string; headers?: Record<string, string>; body?: unknown },
) => Promise<HttpAnswer>

/** Creates a client with at most `connectionsMax` connections per address. Rejects only when nothing was answered. */
export function createHttpClient(connectionsMax: number): { send: SendHttp; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax })
  const send: SendHttp = (url, { method, headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const req = request(
        url,
        {
          agent,
          method: method ?? (payload === undefined ? 'GET' : 'POST'),
          headers: {
            ...headers,
            ...(payload !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
          },
          timeout: DEADLINE_MS,
        },
        (res) => {
          let text = ''
          res.setEncoding('utf8')
          res.on('data', (chunk) => {
            text += chunk
          })
          res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text }))
          res.on('error', reject)
        },
      )
      req.on('timeout', () => req.destroy(new Error(`${url}: no answer within ${DEADLINE_MS / 1000} s`)))
      req.on('error', reject)
      req.end(payload)
    })
  return { send, close: () => agent.destroy() }
}
