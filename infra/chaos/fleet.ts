/**
 * Our processes under a supervisor that does what a container platform does: whatever dies is started again, unless a fault holds it
 * down. Each life of a process is an incarnation with a log file of its own.
 *
 *   held ──release──► running ──dies──► (pause) ──► running …
 *     ▲                  │
 *     └──────hold────────┘      killed or asked to end, and left down until released
 *
 * A process that is started takes the next kill point that its kind still has to reach; one that dies before it got there leaves it to
 * the next start.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import type { KillPoint } from '@portolan/infra/kill-points.ts'
import { DATA } from '../launch/paths.ts'
import { waitUntil } from '../launch/wait.ts'
import type { ArmedPoint, ProcessKind } from './plan.ts'

const COMPILE_CACHE = `${DATA}/compile-cache`
const RESTART_AFTER_MS = 300
const STOP_WITHIN_MS = 25_000

export interface ProcessSpec {
  /** `workers-2` */
  name: string
  kind: ProcessKind | 'stand-in'
  /** Relative to the root of the product. */
  entry: string
  port: number
  env: Record<string, string>
}

export interface Incarnation {
  process: string
  /** From 1. */
  number: number
  startedAt: string
  endedAt: string | null
  /** `SIGKILL`, `exit code 1`; null while it lives. */
  ending: string | null
  armed: KillPoint | null
  /** Whether it died at its kill point. */
  reached: boolean
  /** Whether a fault or the laboratory ended it; one that neither did this nor reached its point ended by itself. */
  wasEnded: boolean
}

interface Member {
  spec: ProcessSpec
  child: ChildProcess | null
  incarnation: Incarnation | null
  isHeld: boolean
  armed: ArmedPoint | null
  restart: NodeJS.Timeout | undefined
  /** Added to the environment and arguments of the next starts. */
  extra: { env: Record<string, string>; imports: string[] }
}

export interface Fleet {
  start(spec: ProcessSpec): void
  names(kind?: ProcessKind): string[]
  url(name: string): string
  isRunning(name: string): boolean
  /** Ends it at once; the supervisor starts it again. Resolves when it is gone; false when it was not running. */
  kill(name: string): Promise<boolean>
  /** Holds it still. Returns its process id once the kernel says so; null when it does not. */
  pause(name: string): Promise<number | null>
  /** Whether the process of this id still is `name`'s, and still. */
  isHeldStill(name: string, pid: number): boolean
  resume(name: string): void
  /** Ends it and leaves it down. */
  hold(name: string, signal?: NodeJS.Signals): Promise<void>
  release(name: string): void
  /** For the next starts of this process. */
  setExtra(name: string, extra: { env?: Record<string, string>; imports?: string[] }): void
  /** Resolves when every process that is not held answers that it is ready; rejects with the names of those that do not. */
  allReady(withinMs: number): Promise<void>
  /** No start from now on is armed, and nobody is restarted with a point any more. */
  disarm(): void
  /** How many kill points are armed or wait for a start. */
  unreached(): number
  /** Kills whoever does the work in which a neighbour of its kind, armed and idle, is to die: the relay that leads. */
  killBesideArmed(): Promise<void>
  incarnations(): readonly Incarnation[]
  logOf(incarnation: Incarnation): string
  dispose(): Promise<void>
}

export interface FleetOptions {
  /** Root of the product that is run. */
  root: string
  logFolder: string
  /** Kill points still to be reached, by kind of process, in the order in which starts take them. */
  arms: Partial<Record<ProcessKind, ArmedPoint[]>>
}

export function createFleet({ root, logFolder, arms }: FleetOptions): Fleet {
  mkdirSync(logFolder, { recursive: true })
  const members = new Map<string, Member>()
  const incarnations: Incarnation[] = []
  let isStopping = false
  let isArming = true
  const killAll = () => {
    for (const { child } of members.values()) child?.kill('SIGKILL')
  }
  process.once('exit', killAll)

  const memberOf = (name: string): Member => {
    const member = members.get(name)
    if (!member) throw new Error(`no process is called ${name}`)
    return member
  }

  function run(member: Member): void {
    const { spec } = member
    const number = incarnations.filter((one) => one.process === spec.name).length + 1
    const armed = isArming && spec.kind !== 'stand-in' ? (arms[spec.kind]?.shift() ?? null) : null
    const incarnation: Incarnation = {
      process: spec.name,
      number,
      startedAt: new Date().toISOString(),
      endedAt: null,
      ending: null,
      armed: armed?.point ?? null,
      reached: false,
      wasEnded: false,
    }
    incarnations.push(incarnation)
    member.incarnation = incarnation
    member.armed = armed
    member.child = spawnInto(root, logFile(incarnation), spec, {
      env: { ...member.extra.env, ...(armed ? armEnvironment(armed, markerFile(incarnation)) : {}) },
      imports: member.extra.imports,
    })
    member.child.once('exit', (code, signal) => ended(member, signal ?? `exit code ${code}`))
  }

  function ended(member: Member, ending: string): void {
    const { incarnation, armed, spec } = member
    member.child = null
    if (!incarnation) return
    incarnation.endedAt = new Date().toISOString()
    incarnation.ending = ending
    incarnation.reached = existsSync(markerFile(incarnation))
    if (armed && !incarnation.reached && spec.kind !== 'stand-in') arms[spec.kind]?.unshift(armed)
    if (isStopping || member.isHeld) return
    member.restart = setTimeout(() => run(member), RESTART_AFTER_MS)
  }

  async function end(member: Member, signal: NodeJS.Signals): Promise<boolean> {
    const { child, incarnation } = member
    if (!child || !incarnation) return false
    incarnation.wasEnded = true
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGCONT') // one that is held still would never notice
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    await exited
    clearTimeout(timer)
    return true
  }

  const logFile = ({ process: name, number }: Incarnation) => `${logFolder}/${name}.${number}.log`
  const markerFile = ({ process: name, number }: Incarnation) => `${logFolder}/${name}.${number}.reached`
  const urlOf = ({ spec }: Member) => `http://127.0.0.1:${spec.port}`

  return {
    start: (spec) => {
      const member: Member = {
        spec,
        child: null,
        incarnation: null,
        isHeld: false,
        armed: null,
        restart: undefined,
        extra: { env: {}, imports: [] },
      }
      members.set(spec.name, member)
      run(member)
    },
    names: (kind) =>
      [...members.values()].filter(({ spec }) => !kind || spec.kind === kind).map(({ spec }) => spec.name),
    url: (name) => urlOf(memberOf(name)),
    isRunning: (name) => memberOf(name).child !== null,
    kill: (name) => end(memberOf(name), 'SIGKILL'),
    pause: async (name) => {
      const { child } = memberOf(name)
      if (!child?.pid) return null
      child.kill('SIGSTOP')
      const isStill = await waitUntil(() => stateOf(child.pid) === 'T', { withinMs: 1000, everyMs: 10 })
      return isStill ? child.pid : null
    },
    isHeldStill: (name, pid) => memberOf(name).child?.pid === pid && stateOf(pid) === 'T',
    resume: (name) => void memberOf(name).child?.kill('SIGCONT'),
    hold: async (name, signal = 'SIGTERM') => {
      const member = memberOf(name)
      member.isHeld = true
      clearTimeout(member.restart)
      await end(member, signal)
    },
    release: (name) => {
      const member = memberOf(name)
      if (!member.isHeld) return
      member.isHeld = false
      if (!member.child) run(member)
    },
    setExtra: (name, { env = {}, imports = [] }) => {
      memberOf(name).extra = { env, imports }
    },
    allReady: async (withinMs) => {
      const waiting = [...members.values()].filter(({ isHeld }) => !isHeld)
      const isReady = (member: Member) =>
        waitUntil(
          () => answers(`${urlOf(member)}${member.spec.kind === 'stand-in' ? '/_sandbox/counters' : '/health/ready'}`),
          {
            withinMs,
            everyMs: 100,
          },
        )
      const late = (
        await Promise.all(waiting.map(async (member) => ((await isReady(member)) ? [] : [member.spec.name])))
      ).flat()
      if (late.length > 0) throw new Error(`not ready after ${withinMs} ms: ${late.join(', ')}; logs in ${logFolder}`)
    },
    disarm: () => {
      isArming = false
    },
    unreached: () => {
      const armed = [...members.values()].filter((member) => member.armed && !member.incarnation?.endedAt)
      return armed.length + Object.values(arms).flat().length
    },
    killBesideArmed: async () => {
      const running = [...members.values()].filter(({ incarnation }) => incarnation && !incarnation.endedAt)
      const armed = new Set(running.filter((member) => member.armed).map(({ spec }) => spec.kind))
      const beside = running.filter((member) => !member.armed && armed.has(member.spec.kind))
      await Promise.all(beside.map((member) => end(member, 'SIGKILL')))
    },
    incarnations: () => incarnations,
    logOf: logFile,
    dispose: async () => {
      isStopping = true
      for (const { restart } of members.values()) clearTimeout(restart)
      await Promise.all([...members.values()].map((member) => end(member, 'SIGKILL')))
      process.off('exit', killAll)
    },
  }
}

const armEnvironment = ({ point, count, afterMs }: ArmedPoint, marker: string) => ({
  KILL_POINT: `${point}:${count}`,
  KILL_POINT_AFTER_MS: String(afterMs),
  KILL_POINT_FILE: marker,
})

function spawnInto(
  root: string,
  log: string,
  { entry, env }: ProcessSpec,
  extra: { env: Record<string, string>; imports: string[] },
): ChildProcess {
  // The administrator's address, which the laboratory knows, is nobody else's business; coverage of killed processes is none.
  const { DATABASE_URL: _, NODE_V8_COVERAGE: __, NODE_DISABLE_COMPILE_CACHE: ___, ...inherited } = process.env
  const imports = [`${root}/infra/launch/watch-parent.ts`, ...extra.imports].flatMap((file) => ['--import', file])
  const file = openSync(log, 'a')
  try {
    const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', ...imports, entry], {
      cwd: root,
      // A run starts dozens of them.
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...inherited, ...env, ...extra.env },
      stdio: ['ignore', file, file, 'ipc'], // the channel tells it when we are gone
    })
    child.on('error', () => undefined) // of a signal to one that has just ended
    return child
  } finally {
    closeSync(file)
  }
}

/** The kernel's letter for what a process does: `T` while it is held still. */
function stateOf(pid: number | undefined): string | undefined {
  try {
    return / ([A-Z]) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/, ''))?.[1]
  } catch {
    return undefined
  }
}

const answers = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(async (response) => {
    await response.body?.cancel()
    return response.ok
  })
