/** Runs a load as a process of its own, so that making it is not measured with what it meets. */
import { type ChildProcess, spawn } from 'node:child_process'
import { ROOT } from '../launch/paths.ts'

export interface LoadProcess<Result> {
  child: ChildProcess
  /** Resolves when it says that its preparations and warm-up are over; never when it does not say so. */
  measuring: Promise<void>
  /** Its last line, parsed. Rejects when it ends without one. */
  result: Promise<Result>
}

/** entry: file in this folder; options: its only argument, as JSON. Killed when `stack` is disposed of first. */
export function startLoad<Result>(stack: AsyncDisposableStack, entry: string, options: object): LoadProcess<Result> {
  const child = spawn(process.execPath, [`infra/bench/${entry}`, JSON.stringify(options)], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  stack.defer(() => void child.kill('SIGKILL'))
  let printed = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk
  })
  const measuring = new Promise<void>((resolve) => child.once('message', () => resolve()))
  const result = new Promise<Result>((resolve, reject) => {
    child.once('close', (code) => {
      const lastLine = printed.trimEnd().split('\n').at(-1) ?? ''
      if (code === 0 && lastLine) resolve(JSON.parse(lastLine) as Result)
      else reject(new Error(`${entry} ended (${code ?? 'killed'}) without a result`))
    })
  })
  result.catch(() => {}) // reported by whoever awaits it; a benchmark that fails first does not
  return { child, measuring, result }
}
