/**
 * Runs every mutation through the laboratory, seed after seed, until an invariant of a promise that it breaks objects. The same run of
 * the unbroken product is the control: what objects there as well proves nothing.
 */
import { invariants } from '../invariants/all.ts'
import { type RunOptions, runSeed, type SeedResult } from '../run-seed.ts'
import { type Mutation, readMutations } from './mutation.ts'
import { scratchCopy } from './scratch-copy.ts'

export interface MutationResult {
  mutation: Mutation
  /** Names of the invariants that objected, and did not in the control; [] when none of the seeds showed anything. */
  caughtBy: string[]
  /** How many seeds it took, or were tried. */
  seeds: number
  seconds: number
  /** The first violations, for a person to see that it was caught for what it is. */
  shown: string[]
}

export interface MutationOptions extends Pick<RunOptions, 'onProgress' | 'signal'> {
  /** Only these; default all. */
  names?: readonly string[]
  /** Seeds after which a mutation counts as not caught. Default 5. */
  seedsMax?: number
  /** Load of each run. Default 0.5. */
  minutes?: number
  onResult?(result: MutationResult): void
}

/** Rejects when a name is unknown, a patch does not apply, or the laboratory cannot do its work. */
export async function runMutations(options: MutationOptions = {}): Promise<MutationResult[]> {
  const all = readMutations()
  const unknown = options.names?.filter((name) => !all.some((mutation) => mutation.name === name)) ?? []
  if (unknown.length > 0) throw new Error(`there is no mutation ${unknown.join(', ')}`)
  const results: MutationResult[] = []
  const controls = new Map<string, Promise<string[]>>()
  for (const mutation of all.filter(({ name }) => options.names?.includes(name) ?? true)) {
    const result = await runMutation(mutation, options, controls)
    options.onResult?.(result)
    results.push(result)
  }
  return results
}

async function runMutation(
  mutation: Mutation,
  options: MutationOptions,
  controls: Map<string, Promise<string[]>>,
): Promise<MutationResult> {
  const { seedsMax = 5 } = options
  const startedAt = performance.now()
  const copy = await scratchCopy(mutation.file)
  const result: MutationResult = { mutation, caughtBy: [], seeds: 0, seconds: 0, shown: [] }
  try {
    while (result.seeds < seedsMax && result.caughtBy.length === 0) {
      result.seeds += 1
      const run = { seed: result.seeds, only: mutation.faults }
      const violated = (await judgedRun({ ...run, root: copy.root }, options)).filter(isOf(mutation))
      if (violated.length === 0) continue
      const key = JSON.stringify(run)
      if (!controls.has(key))
        controls.set(
          key,
          judgedRun(run, options).then((all) => all.map(({ name }) => name)),
        )
      const alsoUnbroken = new Set(await controls.get(key))
      const own = violated.filter(({ name }) => !alsoUnbroken.has(name))
      result.caughtBy = own.map(({ name }) => name)
      result.shown = own.map(({ name, violations }) => `${name}: ${violations[0]?.what}`)
    }
  } finally {
    copy.dispose()
  }
  return { ...result, seconds: Math.round((performance.now() - startedAt) / 1000) }
}

/** The invariants that objected. Rejects when there was nothing to judge, or only a part of it. */
async function judgedRun(
  run: Pick<RunOptions, 'root' | 'seed' | 'only'>,
  { minutes = 0.5, onProgress, signal }: MutationOptions,
): Promise<SeedResult['invariants']> {
  const { invariants: verdicts } = await runSeed({
    ...run,
    // What a broken product never reaches is not waited for.
    ...{ profile: 'short', minutes, patience: 1.5 },
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  })
  const violated = verdicts.filter(({ violations }) => violations.length > 0)
  const unjudged = violated.find(({ name }) => name === 'can-be-judged')
  if (unjudged) throw new Error(`a run could not be judged: ${unjudged.violations[0]?.what}`)
  return violated
}

/** Whether an invariant is one of a promise that the mutation breaks: another one may object for what follows from it, or for nothing. */
function isOf({ promises }: Mutation): (verdict: { name: string }) => boolean {
  const own = invariants.filter((one) => one.promises.some((promise) => promises.includes(promise)))
  return ({ name }) => own.some((one) => one.name === name)
}

/** The report's table, in Markdown. */
export function mutationTable(results: readonly MutationResult[]): string {
  const rows = results.map(({ mutation, caughtBy, seeds }) => {
    const { name, promises, breaks, interleaving } = mutation
    const caught = caughtBy.length > 0 ? caughtBy.join(', ') : `**not caught** in ${seeds} seeds`
    return `| \`${name}\` | ${promises.join(' ')} | ${breaks} | ${interleaving ? 'yes' : ''} | ${caught} | ${seeds} |`
  })
  return [
    '| Mutation | Promises | Breaks | Only under interleaving | Caught by | Seeds |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}
