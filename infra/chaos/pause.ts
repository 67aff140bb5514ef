/** Resolves after so many milliseconds, or at the signal. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, signal?.aborted ? 0 : Math.max(0, milliseconds))
    signal?.addEventListener('abort', done)
  })
}
