/**
 * Whether suppliers and partners answer. Each probe has its own short timeout and stands outside the guards, so that it
 * neither waits for members' calls nor uses up their budget; answers are kept for a few seconds, so that a hanging
 * partner cannot hang anybody's health.
 */
export type Probes = Readonly<Record<string, () => Promise<boolean>>>

export type Health = Record<string, 'healthy' | 'unhealthy'>

/** Returns the function that tells. keptMs: how long an answer is used. timeoutMs: after that a probe counts as failed. */
export function createHealth(
  probes: Probes,
  { keptMs, timeoutMs, now }: { keptMs: number; timeoutMs: number; now: () => number },
): () => Promise<Health> {
  let last: { health: Promise<Health>; atMs: number } | undefined
  return () => {
    if (!last || now() - last.atMs > keptMs) last = { health: ask(probes, timeoutMs), atMs: now() }
    return last.health
  }
}

async function ask(probes: Probes, timeoutMs: number): Promise<Health> {
  const answers = Object.entries(probes).map(async ([name, probe]) => {
    const isHealthy = await Promise.race([probe().catch(() => false), after(timeoutMs)])
    return [name, isHealthy ? 'healthy' : 'unhealthy'] as const
  })
  return Object.fromEntries(await Promise.all(answers))
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref())
}
