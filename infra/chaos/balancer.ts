/**
 * One address for several processes, as an ingress gives it: each connection goes to the next of them that accepts it. What happens on a
 * connection is nobody's business here: when its process dies, the caller sees it break.
 */
import { connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  close(): Promise<void>
}

/** Listens on `port` of 127.0.0.1 and hands connections on to `ports` in turn; a caller is refused when none of them accepts. */
export async function startBalancer(port: number, ports: readonly number[]): Promise<Balancer> {
  let turn = 0
  const open = new Set<Socket>()
  const server = createServer((caller) => {
    open.add(caller)
    caller.once('close', () => open.delete(caller))
    caller.on('error', () => undefined)
    turn += 1
    forward(caller, turn, ports.length)
  })

  function forward(caller: Socket, next: number, left: number): void {
    const target = ports[next % ports.length]
    if (left === 0 || target === undefined) return void caller.resetAndDestroy()
    const process = connect(target, '127.0.0.1')
    let isConnected = false
    process.once('connect', () => {
      isConnected = true
      caller.pipe(process)
      process.pipe(caller)
    })
    process.on('error', () => {
      if (isConnected) caller.resetAndDestroy()
      else forward(caller, next + 1, left - 1)
    })
    process.once('close', () => {
      if (isConnected) caller.destroy()
    })
    caller.once('close', () => process.destroy())
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
