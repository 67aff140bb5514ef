import { connect, createServer } from 'node:net'

/**
 * Calls `check` until it returns something other than undefined or false, at most `withinMs`.
 * Returns that value, or undefined when time ran out. `check` may throw: that counts as "not yet".
 */
export async function waitUntil<T>(
  check: () => Promise<T | undefined | false> | T | undefined | false,
  { withinMs, everyMs = 50 }: { withinMs: number; everyMs?: number },
): Promise<T | undefined> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const value = await Promise.resolve()
      .then(check)
      .catch(() => undefined)
    if (value !== undefined && value !== false) return value
    if (performance.now() >= deadline) return undefined
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

/** True when something accepts TCP connections at the address. */
export function isListening(host: string, port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const answer = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.setTimeout(timeoutMs, () => answer(false))
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}

/** True when we could listen on the port ourselves: catches listeners that accept nothing as well. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
