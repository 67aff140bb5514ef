/**
 * What both entries share: numbers from the environment, the ready line, and a clean end on SIGTERM and SIGINT.
 */
import type { RunningSandbox } from './sandbox-server.ts'

/**
 * Starts a stand-in as a process of its own: prints one JSON ready line, or one sentence when it cannot listen.
 *
 * processName: name in the ready line, e.g. `sandbox-duffel`. Exit code 0 after a signal, 1 when it could not start.
 */
export async function runSandbox(processName: string, start: () => Promise<RunningSandbox>): Promise<void> {
  try {
    const running = await start()
    console.log(JSON.stringify({ level: 'info', message: 'ready', process: processName, url: running.url }))
    let stopping = false
    const stop = () => {
      if (stopping) return
      stopping = true
      running.stop().then(() => process.exit(0))
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  } catch (error) {
    console.error(JSON.stringify({ level: 'error', message: reason(error), process: processName }))
    process.exitCode = 1
  }
}

/**
 * A number from the environment.
 *
 * Errors: throws one sentence naming the variable when it is set to something that is no number.
 */
export function numberFrom(env: NodeJS.ProcessEnv, name: string, otherwise: number): number {
  const text = env[name]
  if (text === undefined || text === '') return otherwise
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} must be a number, not "${text}"`)
  return value
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `Port ${port} is taken: stop what listens there or choose another port.`
  if (code === 'EACCES') return `Port ${port} needs more rights than this process has: choose a port above 1023.`
  return error.message
}
