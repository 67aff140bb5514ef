/**
 * Runs one of our processes: starts it, waits until it is ready, starts it again when it dies, stops it.
 *
 * States: starting → ready → (died → starting, at most RESTARTS_MAX times in RESTART_WINDOW_MS, else given up) and
 * from each of them → stopping → stopped. A process that is stopping is never started again.
 *
 * Its output goes straight into its log file, not through us; the ready line is read from there.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { startRegularly } from '../src/regularly.ts'
import { LOGS, ROOT } from './paths.ts'
import { beginLog, boundLog, lastError, readyUrl } from './process-log.ts'
import type { ProcessPlan } from './processes.ts'
import { Obstacle, say } from './say.ts'
import { waitUntil } from './wait.ts'

const WATCH_PARENT = new URL('watch-parent.ts', import.meta.url).href
const RESTARTS_MAX = 5
/** Of a process that has never been ready: that one will hardly mend itself. */
const FIRST_RESTARTS_MAX = 2
const RESTART_WINDOW_MS = 120_000
const FIRST_PAUSE_MS = 250
const READY_WITHIN_MS = 60_000
/** A little longer than a process takes to finish what is in flight. */
const STOP_GRACE_MS = 17_000
const LOG_BYTES_MAX = 64 << 20
const LOG_CHECK_MS = 10_000

export type Supervised = {
  name: string
  /** Resolves with the address when the process answers /health/ready; rejects with an Obstacle when it never does. */
  ready: Promise<string>
  pid: () => number | undefined
  /** Starts it anew, because its code changed. */
  reload: () => void
  /** Asks the process to end and waits; one that does not is ended. */
  stop: () => Promise<void>
}

/**
 * Starts a process and keeps it running until `stop`. logs: folder of its log file, which never grows far beyond logBytesMax.
 * firstPauseMs: before its first restart, then doubled.
 */
export function supervise(
  plan: ProcessPlan,
  { logs = LOGS, firstPauseMs = FIRST_PAUSE_MS, logBytesMax = LOG_BYTES_MAX, logCheckMs = LOG_CHECK_MS } = {},
): Supervised {
  const log = `${logs}/${plan.name}.log`
  mkdirSync(logs, { recursive: true })
  beginLog(log)
  let isLogRefused = false
  const bounding = startRegularly(() => boundLog(log, logBytesMax), {
    everyMs: logCheckMs,
    onError: (error) => {
      if (!isLogRefused)
        say(`! the log ${log} cannot be kept small (${(error as Error).message}); it grows until it can`)
      isLogRefused = true
    },
  })
  const deaths: number[] = []
  let child: ChildProcess | undefined
  let restartTimer: NodeJS.Timeout | undefined
  let isStopping = false
  let isReloading = false
  let hasBeenReady = false
  let hasGivenUp = false

  function start(): void {
    isReloading = false
    child = spawnInto(log, plan)
    child.once('exit', (code, signal) => {
      child = undefined
      if (isStopping) return
      if (isReloading) start()
      else restart(signal ?? `exit code ${code}`)
    })
  }

  function reload(): void {
    if (isStopping || isReloading) return
    hasGivenUp = false
    deaths.length = 0
    clearTimeout(restartTimer)
    if (!child) start()
    else {
      isReloading = true
      endWithin(child, STOP_GRACE_MS)
    }
  }

  function restart(ending: string): void {
    const now = Date.now()
    deaths.push(now)
    const recent = deaths.filter((at) => now - at < RESTART_WINDOW_MS).length
    const reason = withColon(lastError(log))
    if (recent > (hasBeenReady ? RESTARTS_MAX : FIRST_RESTARTS_MAX)) {
      hasGivenUp = true
      say(`! ${plan.name} ended again (${ending})${reason}; having died ${recent} times it is left alone. Log: ${log}`)
      return
    }
    const pauseMs = firstPauseMs * 2 ** (recent - 1)
    say(`! ${plan.name} ended (${ending})${reason}; starting it again in ${pauseMs / 1000} s`)
    restartTimer = setTimeout(start, pauseMs)
  }

  async function waitForReady(): Promise<string> {
    const url = await waitUntil(() => (isStopping || hasGivenUp ? 'over' : readyUrl(log)), {
      withinMs: READY_WITHIN_MS,
    })
    if (url && url !== 'over') {
      if (!plan.isOurs) return url
      const answers = () => fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) }).then(({ ok }) => ok)
      if (await waitUntil(() => isStopping || answers(), { withinMs: READY_WITHIN_MS, everyMs: 100 })) return url
    }
    const manner = url && url !== 'over' ? 'started but does not become ready' : 'does not start'
    throw new Obstacle(`${plan.name} ${manner}${withColon(lastError(log))}: its log ${log} says more.`)
  }

  async function stop(): Promise<void> {
    isStopping = true
    clearTimeout(restartTimer)
    await bounding.stop()
    if (!child) return
    const stopping = child
    const ended = new Promise<void>((resolve) => stopping.once('exit', () => resolve()))
    endWithin(stopping, STOP_GRACE_MS)
    await ended
  }

  start()
  const ready = waitForReady()
  ready.then(
    () => {
      hasBeenReady = true
    },
    () => {}, // reported by whoever awaits it; a stop before that is no fault
  )
  return { name: plan.name, ready, pid: () => child?.pid, reload, stop }
}

function endWithin(child: ChildProcess, graceMs: number): void {
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  child.once('exit', () => clearTimeout(timer))
}

function spawnInto(log: string, plan: ProcessPlan): ChildProcess {
  const file = openSync(log, 'a')
  try {
    return spawn(process.execPath, [...nodeFlags(plan), plan.entry], {
      cwd: ROOT,
      env: environmentFor(plan),
      stdio: ['ignore', file, file, 'ipc'], // the channel tells the child when we are gone
      detached: true, // Ctrl-C is for the launcher, which stops its processes in order
    })
  } finally {
    closeSync(file)
  }
}

/** Ours without the server's address: that one carries the right to drop databases. */
function environmentFor({ env }: ProcessPlan): NodeJS.ProcessEnv {
  const { DATABASE_URL: _, ...inherited } = process.env
  return { ...inherited, ...env }
}

const nodeFlags = ({ heapMb }: ProcessPlan) => [
  `--max-old-space-size=${heapMb}`,
  '--max-semi-space-size=4',
  '--disable-warning=TimeoutNegativeWarning', // kafkajs, once per process and harmless
  '--import',
  WATCH_PARENT,
]

const withColon = (reason: string) => (reason ? `: ${reason}` : '')
