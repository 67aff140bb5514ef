/**
 * What the launcher says to the person in front of it. Progress goes to stderr, so that a program that reads
 * stdout (the last line of `npm test`, `npm run ops`) is not disturbed.
 */

/**
 * Something a person must mend before we can go on: one sentence that names the remedy.
 * The entry points print the message alone, never the stack.
 */
export class Obstacle extends Error {
  override name = 'Obstacle'
}

/** Prints one line of progress. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/**
 * Runs a step that may be long: says what begins, repeats itself every ten seconds so that nobody wonders whether it
 * hangs, and says how long it took when that was noticeable. Errors pass through unchanged.
 */
export async function longStep<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)
  say(`· ${what} …`)
  const reminder = setInterval(() => say(`· ${what} … ${Math.round(Number(seconds()))} s`), 10_000)
  try {
    const result = await work()
    if (performance.now() - startedAt > 1000) say(`· ${what}: done in ${seconds()} s`)
    return result
  } finally {
    clearInterval(reminder)
  }
}

/** Runs an entry point; an Obstacle becomes one sentence and exit code 1, everything else keeps its stack: it is our bug. */
export async function runEntry(main: () => Promise<number>): Promise<void> {
  process.removeAllListeners('warning') // Node's own, which would print it
  process.on('warning', warn)
  try {
    process.exitCode = await main()
  } catch (error) {
    if (error instanceof Obstacle) say(`\n✗ ${error.message}`)
    else
      say(
        `\n✗ Unexpected fault in the launcher: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      )
    process.exitCode = 1
  }
}

/** Our processes are started without the warning of a negative timeout, which kafkajs causes once and harmlessly; here it would worry people. */
function warn({ name, message }: Error): void {
  if (name !== 'TimeoutNegativeWarning') say(`! ${name}: ${message}`)
}
