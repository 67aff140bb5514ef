/** The ports that the contracts document: the edge serves the same there. One that is taken is no reason not to start. */
import type { Edge } from '../edge/edge.ts'
import { say } from './say.ts'

const CONTRACT_PORTS = [
  { port: 8000, api: 'the loyalty API' },
  { port: 5000, api: 'the API of stays' },
] as const

/** Returns the further addresses, e.g. `http://127.0.0.1:5000`; says a sentence for each port that is taken. */
export async function listenOnContractPorts(
  edge: Pick<Edge, 'url' | 'alsoListenOn'>,
  { ports = CONTRACT_PORTS as readonly { port: number; api: string }[], tell = say } = {},
): Promise<string[]> {
  const addresses: string[] = []
  for (const { port, api } of ports) {
    if (new URL(edge.url).port === String(port)) continue
    try {
      await edge.alsoListenOn(port)
      addresses.push(`http://127.0.0.1:${port}`)
    } catch {
      tell(
        `! Port ${port}, the documented address of ${api}, is taken by another program: it is served on ${edge.url}.`,
      )
    }
  }
  return addresses
}
