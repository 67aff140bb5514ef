/** Work that a process does again and again on a timer of its own: housekeeping, sweeps, checks. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Does `work` at once and then again `everyMs` after it ended, so that a slow run is never overtaken by the next; a run that fails is
 * told to `onError` and does not end the series. `stop` waits for the run at hand, whose signal is aborted. Keeps no process alive.
 */
export function startRegularly(
  work: (stopping: AbortSignal) => Promise<void>,
  { everyMs, onError }: { everyMs: number; onError: (error: unknown) => void },
): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const { signal } = stopping
  async function run(): Promise<void> {
    while (!signal.aborted) {
      await work(signal).catch(onError)
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined) // stopped
    }
  }
  const running = run()
  return {
    stop: () => {
      stopping.abort()
      return running
    },
  }
}
