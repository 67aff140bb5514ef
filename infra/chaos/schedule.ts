/** When what is planned happens: lanes beside one another, the faults of a lane one after the other. */
import type { Evidence } from './evidence.ts'
import { type FaultName, faultOf, type Lane } from './faults.ts'
import { type Injection, inject } from './inject.ts'
import type { Laboratory } from './laboratory.ts'
import { pause } from './pause.ts'
import type { PlannedFault } from './plan.ts'

/** Whom a restore puts in doubt pays and is paid nothing before an operator has looked, so the calls meant for stand-ins come first. */
const RESTORE_WAITS_MS = 60_000
const AGAIN_AFTER_MS = 500

/**
 * Every lane on its own: one fault after the other, none before its time; only what stand-ins are told waits beside one another for the
 * calls that it is meant for. What took no effect, since a fault of another lane hit the same process, comes again at the end of its lane,
 * and counts as injected once more. What has not begun at the signal is left out.
 */
export async function injectAll(
  lab: Laboratory,
  evidence: Evidence,
  planned: readonly PlannedFault[],
  underWay: Set<FaultName>,
  signal: AbortSignal,
): Promise<Injection[]> {
  const startedAt = performance.now()
  const injections: Injection[] = []
  const lanes = Map.groupBy(planned, ({ fault }) => faultOf(fault).lane)
  const elapsedMs = () => performance.now() - startedAt
  const work = async (one: PlannedFault) => {
    await pause(one.atMs - elapsedMs(), signal)
    if (signal.aborted) return null
    underWay.add(one.fault)
    const injection = await inject(lab, evidence, one, signal)
    injections.push(injection)
    underWay.delete(one.fault)
    return injection
  }
  const outside = Promise.all((lanes.get('outside') ?? []).map(work))
  const workOff = async ([lane, faults]: [Lane, readonly PlannedFault[]]) => {
    if (lane === 'outside') return void (await outside)
    const queue = [...faults]
    for (const one of queue) {
      if (faultOf(one.fault).kind === 'restore') await Promise.race([outside, pause(RESTORE_WAITS_MS, signal)])
      const injection = await work(one)
      if (injection?.tookEffect === false) queue.push({ ...one, atMs: elapsedMs() + AGAIN_AFTER_MS })
    }
  }
  await Promise.all([...lanes].map(workOff))
  return injections.toSorted((a, b) => (a.from < b.from ? -1 : 1))
}
