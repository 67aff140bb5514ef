/** `npm run chaos -- --mutations`: every mutation, or those that are named, and the table of what caught them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { ROOT } from '../../launch/paths.ts'
import type { RunOptions } from '../run-seed.ts'
import { mutationTable, runMutations } from './run.ts'

const FILE = `${ROOT}/reports/chaos/mutations.json`

export interface CampaignOptions extends Pick<RunOptions, 'onProgress' | 'signal'> {
  /** Default all. */
  names?: readonly string[]
  /** Seeds after which a mutation counts as not caught. */
  seedsMax?: number
  minutes?: number
  say(text: string): void
}

/** Returns the exit code: 0 when every mutation was caught. */
export async function campaign({ say, ...options }: CampaignOptions): Promise<number> {
  const results = await runMutations({
    ...options,
    onResult: ({ mutation, caughtBy, seeds, seconds, shown }) => {
      const verdict = caughtBy.length > 0 ? `caught by ${caughtBy.join(', ')}` : 'NOT CAUGHT'
      say(
        [`${mutation.name}: ${verdict} (${seeds} seeds, ${seconds} s)`, ...shown.map((one) => `    ${one}`)].join('\n'),
      )
    },
  })
  say(`\n${mutationTable(results)}\n`)
  mkdirSync(`${ROOT}/reports/chaos`, { recursive: true })
  writeFileSync(FILE, JSON.stringify(results, null, 2))
  const missed = results.filter(({ caughtBy }) => caughtBy.length === 0)
  say(`${missed.length === 0 ? '✓' : '✗'} ${results.length - missed.length} of ${results.length} caught, ${FILE}`)
  return missed.length === 0 ? 0 : 1
}
