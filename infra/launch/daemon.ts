/**
 * Background servers that we start ourselves (Kafka, Postgres, Redis): each has a pid file, a log file and a list of
 * who uses it. They run in a session of their own, so that Ctrl-C in a terminal reaches the launcher only, which then
 * stops them in order; after a `kill -9` of the launcher they go on and the next start finds and uses them again.
 */
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { waitUntil } from './wait.ts'

/** Opens a log file for a new run; the previous run's becomes `<path>.1`. Returns the file descriptor. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true })
  if (existsSync(path)) renameSync(path, `${path}.1`)
  return openSync(path, 'w')
}

/** Command line of a running process, or undefined when there is none. */
function commandLine(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM means that it lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined
  }
  try {
    if (existsSync('/proc/self')) {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return line === '' ? undefined : line // a zombie has none
    }
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return undefined // it ended between the two questions
  }
}

/** True when the process lives. A zombie does not count as alive. */
export function isAlive(pid: number): boolean {
  return commandLine(pid) !== undefined
}

/**
 * Process id from a pid file, when that process lives and its command line contains `mark`: after a reboot the number
 * may belong to somebody else.
 */
export function daemonPid(pidFile: string, mark: string): number | undefined {
  if (!existsSync(pidFile)) return undefined
  const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10)
  return Number.isInteger(pid) && commandLine(pid)?.includes(mark) ? pid : undefined
}

export type DaemonCommand = {
  command: string
  args: string[]
  pidFile: string
  logFile: string
  env?: NodeJS.ProcessEnv
  cwd?: string
  uid?: number
  gid?: number
}

/** Starts a server in the background and writes its pid file. Returns its process id; says nothing about readiness. */
export function startDaemon({ command, args, pidFile, logFile, env, cwd, uid, gid }: DaemonCommand): number {
  const log = openLog(logFile)
  mkdirSync(dirname(pidFile), { recursive: true })
  try {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], env, cwd, uid, gid })
    child.on('error', () => {}) // a missing command shows as a process id of undefined, answered below
    if (child.pid === undefined) throw new Error(`cannot run ${command}`)
    child.unref()
    writeFileSync(pidFile, `${child.pid}\n`)
    return child.pid
  } finally {
    closeSync(log)
  }
}

/** Ends a process: `signal`, and SIGKILL when it still lives after `graceMs`. Returns once it is gone. */
export async function stopProcess(
  pid: number,
  { graceMs = 15_000, signal = 'SIGTERM' as NodeJS.Signals } = {},
): Promise<void> {
  const send = (name: NodeJS.Signals) => {
    try {
      process.kill(pid, name)
    } catch {
      // Already gone, which is what we want.
    }
  }
  send(signal)
  const isGone = () => !isAlive(pid)
  if (await waitUntil(isGone, { withinMs: graceMs })) return
  send('SIGKILL')
  await waitUntil(isGone, { withinMs: 5_000 })
}

/** Notes that process `pid` uses the server whose users are listed in `usersDir`. */
export function joinUsers(usersDir: string, pid: number): void {
  mkdirSync(usersDir, { recursive: true })
  writeFileSync(`${usersDir}/${pid}`, '')
}

/** Strikes `pid` off the list. Returns true when no living user remains, so that the caller should stop the server. */
export function leaveUsers(usersDir: string, pid: number | 'itself'): boolean {
  rmSync(`${usersDir}/${pid}`, { force: true })
  const others = existsSync(usersDir) ? readdirSync(usersDir).map(Number) : []
  for (const other of others.filter((user) => !isAlive(user))) rmSync(`${usersDir}/${other}`, { force: true })
  return others.every((user) => !isAlive(user))
}
