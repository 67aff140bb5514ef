/** One of our processes for a benchmark, on a free port, ended with what it belongs to. */
import { spawn } from 'node:child_process'
import { ROOT } from '../launch/paths.ts'
import { Obstacle } from '../launch/say.ts'
import { waitUntil } from '../launch/wait.ts'
import { freePort } from './ports.ts'

const READY_WITHIN_MS = 30_000

export interface BenchProcess {
  entry: string
  portVariable: string
  env: Record<string, string>
  /** File descriptor of its log. */
  log: number
}

/** `BENCH_PROFILE=<folder>` makes it leave a profile there. Rejects with an Obstacle when it does not become ready. */
export async function startBenchProcess(
  stack: AsyncDisposableStack,
  { entry, portVariable, env, log }: BenchProcess,
): Promise<{ url: string; pid: number }> {
  const port = await freePort(28_900)
  const { BENCH_PROFILE: profiles } = process.env
  const child = spawn(process.execPath, [...(profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []), entry], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env, [portVariable]: String(port) },
    stdio: ['ignore', log, log],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  stack.defer(async () => {
    child.kill()
    await exited
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const url = `http://127.0.0.1:${port}`
  const isReady = await waitUntil(async () => (await fetch(`${url}/health/ready`)).ok, { withinMs: READY_WITHIN_MS })
  if (!isReady) throw new Obstacle(`${entry} did not become ready within ${READY_WITHIN_MS / 1000} s.`)
  return { url, pid: child.pid as number }
}
