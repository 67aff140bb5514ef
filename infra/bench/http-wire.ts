/**
 * Requests over one kept connection, written as bytes: a load generator that takes as little of the processor as it can, since it shares
 * it with what it measures. Understands only answers with a Content-Length, which ours have.
 */
import { connect } from 'node:net'

export interface WireAnswer {
  status: number
  body: string
}

export interface Wire {
  /** One at a time. head: further header lines, each with its line break. Rejects when the connection ends before the answer. */
  post(path: string, head: string, body: string): Promise<WireAnswer>
  get(path: string, head: string): Promise<WireAnswer>
  close(): void
}

const HEAD_END = '\r\n\r\n'

/** Connects to the host of `url`. */
export async function openWire(url: string): Promise<Wire> {
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  let waiting: { resolve(answer: WireAnswer): void; reject(error: Error): void } | undefined
  let received = ''
  socket.setEncoding('latin1')
  socket.on('error', () => {}) // `close` follows
  socket.on('close', () => waiting?.reject(new Error('the connection ended before the answer')))
  socket.on('data', (chunk: string) => {
    received += chunk
    const headEnd = received.indexOf(HEAD_END)
    if (headEnd < 0) return
    const end = headEnd + HEAD_END.length + contentLength(received.slice(0, headEnd))
    if (received.length < end) return
    const answer = { status: Number(received.slice(9, 12)), body: received.slice(headEnd + HEAD_END.length, end) }
    received = received.slice(end)
    const { resolve } = waiting ?? {}
    waiting = undefined
    resolve?.(answer)
  })
  const send = (request: string) =>
    new Promise<WireAnswer>((resolve, reject) => {
      if (socket.destroyed) return reject(new Error('the connection has ended'))
      waiting = { resolve, reject }
      socket.write(request)
    })
  return {
    post: (path, head, body) =>
      send(
        `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}${HEAD_END}${body}`,
      ),
    get: (path, head) => send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${head}\r\n`),
    close: () => socket.destroy(),
  }
}

function contentLength(head: string): number {
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined) throw new Error('an answer without Content-Length')
  return Number(length)
}
