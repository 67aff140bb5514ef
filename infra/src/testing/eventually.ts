/** Waiting in tests: for a condition, with a deadline, never for a time. */

/**
 * Calls `check` until it neither throws nor returns false, and returns its value.
 * Rejects with the last error when that takes longer than withinMs (default 10 s).
 */
export async function eventually<T>(check: () => T | Promise<T>, { withinMs = 10_000, everyMs = 20 } = {}): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    let failure: unknown = new Error('the condition stayed false')
    try {
      const value = await check()
      if (value !== false) return value
    } catch (error) {
      failure = error
    }
    if (performance.now() >= deadline) throw failure
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
