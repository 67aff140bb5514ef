/** The stand-ins for suppliers and partners, spawned as the processes they are, and their control surface. */
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'

export interface Sandbox {
  url: string
  /** Rules of the fault script: infra/sandbox/faults.ts. */
  fault(...rules: Record<string, unknown>[]): Promise<void>
  counters(): Promise<{ calls: Record<string, number>; effects: Record<string, number> }>
  state(query?: string): Promise<Record<string, unknown>>
  reset(): Promise<void>
  control(path: string, body?: unknown): Promise<unknown>
  process: StartedProcess
}

/** Starts one on a free port. env: its settings, see its entry file. */
export async function startSandbox(name: 'duffel' | 'coffeechain', env: Record<string, string> = {}): Promise<Sandbox> {
  const port = { [`SANDBOX_${name.toUpperCase()}_PORT`]: '0' }
  const process = await startProcess({ entry: `infra/sandbox/main-${name}.ts`, env: { ...port, ...env } })
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${process.url}/_sandbox/${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  return {
    url: process.url,
    process,
    fault: async (...rules) => void (await ask('POST', 'faults', { rules })),
    counters: async () => (await ask('GET', 'counters')) as Awaited<ReturnType<Sandbox['counters']>>,
    state: async (query = '') => (await ask('GET', `state${query}`)) as Record<string, unknown>,
    reset: async () => void (await ask('POST', 'reset', {})),
    control: (path, body = {}) => ask('POST', path, body),
  }
}
