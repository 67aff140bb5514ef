/**
 * Starts one of our processes for a test, the way a machine does: by spawning Node with its entry file and reading the
 * address from its ready line. Whatever a test leaves running ends with the test process, even when that is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const WATCH_PARENT = new URL('../../launch/watch-parent.ts', import.meta.url).href
const LOG_LINES_MAX = 5000

export type StartProcessOptions = {
  /** Entry file, relative to the root of the repository: `command-api/src/main.ts`. */
  entry: string
  /** Added to the test's own environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>
  /** For messages; the entry by default. */
  name?: string
  args?: string[]
  /** For what a test must see before it: rejects when the ready line takes longer. */
  readyWithinMs?: number
}

export type StartedProcess = {
  name: string
  /** From the ready line, e.g. `http://127.0.0.1:41234`. */
  url: string
  pid: number
  /** Every field of the ready line. */
  ready: Readonly<Record<string, unknown>>
  /** Every line of its output so far, standard error included (the newest 5000). */
  logs: string[]
  /** Asks it to end (SIGTERM) and waits. Resolves with the exit code; null when a signal ended it. */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>
  /** Ends it at once (SIGKILL), as a crash would, and waits. */
  kill: () => Promise<void>
  /** Holds it still (SIGSTOP) and lets it go on (SIGCONT). */
  pause: () => void
  resume: () => void
  /** Resolves with the exit code when it ends, whoever ended it. */
  exited: Promise<number | null>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Spawns the process and waits for its ready line. Rejects with its last lines when it ends or stays silent before that. */
export async function startProcess(options: StartProcessOptions): Promise<StartedProcess> {
  const { entry, env = {}, name = entry, args = [], readyWithinMs = 20_000 } = options
  const child = spawn(
    process.execPath,
    ['--disable-warning=TimeoutNegativeWarning', '--import', WATCH_PARENT, entry, ...args],
    {
      cwd: ROOT,
      env: mergeEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'], // the channel tells it when we are gone
    },
  )
  running.add(child)
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  const logs: string[] = []
  const ready = await waitForReadyLine(child, { logs, name, readyWithinMs })
  const end = async (signal: NodeJS.Signals) => {
    child.kill('SIGCONT') // one that is held still would never notice
    child.kill(signal)
    return exited
  }
  return {
    name,
    url: String(ready.url),
    pid: child.pid ?? 0,
    ready,
    logs,
    stop: (signal = 'SIGTERM') => end(signal),
    kill: async () => {
      await end('SIGKILL')
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    exited,
  }
}

function mergeEnvironment(changes: Record<string, string | undefined>): NodeJS.ProcessEnv {
  const merged = { ...process.env, ...changes }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined))
}

type Waiting = { logs: string[]; name: string; readyWithinMs: number }

function waitForReadyLine(
  child: ChildProcess,
  { logs, name, readyWithinMs }: Waiting,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`${name} ${what}:\n${logs.slice(-20).join('\n')}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`was not ready after ${readyWithinMs} ms`)
    }, readyWithinMs)
    child.once('error', (error) => fail(`cannot be started (${error.message})`))
    // `close` comes after the last line of output, `exit` may not.
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      fail(`ended (${signal ?? `exit code ${code}`}) before it was ready`)
    })
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue
      createInterface({ input: stream }).on('line', (line) => {
        logs.push(line)
        if (logs.length > LOG_LINES_MAX) logs.shift()
        const ready = readyFields(line)
        if (!ready) return
        clearTimeout(timer)
        resolve(ready)
      })
    }
  })
}

function readyFields(line: string): Record<string, unknown> | undefined {
  if (!line.includes('"ready"')) return undefined
  try {
    const fields = JSON.parse(line) as Record<string, unknown>
    return fields.message === 'ready' ? fields : undefined
  } catch {
    return undefined
  }
}
