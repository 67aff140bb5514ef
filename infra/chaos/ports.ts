import { isPortFree } from '../launch/wait.ts'

/** Below the range from which the kernel takes ports for outgoing connections, so that one of ours is still free after its server died. */
const FIRST = 20_000
const LAST = 25_000

/** A run of `count` ports that are free now; begins to look at a place of this process's own, since several laboratories may start at once. */
export async function freePorts(count: number): Promise<number[]> {
  const span = LAST - FIRST - count
  const start = (process.pid * 64) % span
  for (let tried = 0; tried < span; tried += count) {
    const first = FIRST + ((start + tried) % span)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const areFree = await Promise.all(ports.map((port) => isPortFree(port)))
    if (areFree.every(Boolean)) return ports
  }
  throw new Error(`no ${count} free ports between ${FIRST} and ${LAST}`)
}
