/** Free ports for a Portolan of a benchmark's own. */
import { neededPorts, type PortVariable } from '../launch/processes.ts'
import { Obstacle } from '../launch/say.ts'
import { isPortFree } from '../launch/wait.ts'

const FROM = 28_000
const TRIED_MAX = 200

/** One for every process that `npm start` runs, by variable. */
export async function choosePorts(): Promise<Record<PortVariable, string>> {
  const chosen: [string, string][] = []
  let from = FROM
  for (const { variable } of neededPorts({})) {
    const port = await freePort(from)
    chosen.push([variable, String(port)])
    from = port + 1
  }
  return Object.fromEntries(chosen) as Record<PortVariable, string>
}

/** The first free port at or above `from` with `span` - 1 free ones behind it. Rejects with an Obstacle. */
export async function freePort(from: number, span = 1): Promise<number> {
  for (let port = from; port < from + TRIED_MAX; port += span) {
    const areFree = await Promise.all(Array.from({ length: span }, (_, i) => isPortFree(port + i)))
    if (areFree.every(Boolean)) return port
  }
  throw new Obstacle(`No port between ${from} and ${from + TRIED_MAX} is free.`)
}
