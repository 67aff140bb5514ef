/** While somebody blocks, everybody waits: the reference service sleeps on its only thread. */
export function createBlocker(blockMs: number) {
  let blocked: Promise<void> | undefined
  let release = () => {}
  const passed = async () => {
    while (blocked) await blocked
  }
  return {
    /** Resolves once nobody blocks. */
    passed,
    /** Blocks everybody, the caller included, for the configured time. */
    block: async () => {
      // Not `passed()`: nothing may run between the check and taking the block, or two would sleep at once.
      while (blocked) await blocked
      blocked = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, blockMs)
        release = () => {
          clearTimeout(timer)
          resolve()
        }
      }).then(() => {
        blocked = undefined
      })
      await blocked
    },
    /** Ends the wait at once, for a stopping server. */
    release: () => release(),
  }
}
