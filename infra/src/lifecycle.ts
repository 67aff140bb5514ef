/**
 * The life of a process: start → ready line → signal → graceful stop → exit 0.
 * A failed start is one log line and exit 1; a stop past its deadline, a second signal, or an error nobody caught is exit 1.
 */
import { createLogger } from './log.ts'

export interface RunningProcess {
  url: string
  /** Further fields of the ready line. */
  ready?: Record<string, unknown>
  /** Stops everything in reverse order of its start (an AsyncDisposableStack does that). Called once. */
  stop(): Promise<void>
}

/**
 * Runs a process until SIGTERM or SIGINT, then calls `stop` and exits 0.
 * stopWithinMs: after that the process exits 1 whatever is still open.
 */
export async function runProcess(
  name: string,
  start: () => Promise<RunningProcess>,
  { stopWithinMs = 15_000 }: { stopWithinMs?: number } = {},
): Promise<void> {
  const logger = createLogger({ process: name, level: process.env.LOG_LEVEL })
  const { promise: asked, resolve: ask } = Promise.withResolvers<string>()
  let signals = 0
  const onSignal = (signal: string) => {
    signals += 1
    if (signals === 1) {
      ask(signal)
      setTimeout(() => fail('stop took too long', { stopWithinMs }), stopWithinMs).unref()
    } else if (signals > 2) {
      // The terminal and the launcher may both deliver the first Ctrl-C; only a third signal is impatience.
      fail('stop was interrupted', {})
    }
  }
  const fail = (message: string, fields: Record<string, unknown>) => {
    logger.error(message, fields)
    process.exit(1)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', (error) => fail('uncaught error', { error }))
  process.on('unhandledRejection', (error) => fail('unhandled rejection', { error }))

  let running: RunningProcess
  try {
    running = await start()
  } catch (error) {
    return fail('start failed', { error })
  }
  // Not through the logger: the ready line is a protocol with whoever started us and has no log level.
  const ready = { level: 'info', message: 'ready', process: name, url: running.url, ...running.ready }
  process.stdout.write(`${JSON.stringify(ready)}\n`)

  const signal = await asked
  logger.info('stopping', { signal })
  try {
    await running.stop()
  } catch (error) {
    return fail('stop failed', { error })
  }
  process.exit(0)
}
