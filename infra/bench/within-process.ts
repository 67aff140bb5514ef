/** A benchmark as a process: whatever it started is stopped and removed at its end, at a fault, and on Ctrl-C. */
import { Obstacle } from '../launch/say.ts'

/** Runs `work`, which puts what it starts on the stack. Returns the exit code. */
export async function withinProcess(work: (stack: AsyncDisposableStack) => Promise<void>): Promise<number> {
  await using stack = new AsyncDisposableStack()
  // Stays in place while everything is being removed: a second signal must not cut that short.
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => reject(new Obstacle('Interrupted; everything is being removed.')))
  })
  await Promise.race([interrupted, work(stack)])
  return 0
}
