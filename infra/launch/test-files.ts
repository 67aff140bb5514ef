import { globSync } from 'node:fs'
import { ROOT } from './paths.ts'
import { Obstacle } from './say.ts'

/** One mocha process: its files, and how long it may take before it counts as hanging. */
export type TestBatch = { name: string; files: string[]; withinMs: number }

const MINUTE = 60_000
const HEARTBEAT = 'infra/e2e/heartbeat.e2e.test.ts'
const COSTS = ['unit', 'int', 'e2e'] as const
const FOLDERS = ['schemas', 'infra', 'command-api', 'workers', 'projections', 'query-api', 'migrations']

/** Every test file below the process folders, relative to the root, sorted. */
export function listTestFiles(root = ROOT): string[] {
  return FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: root }))
    .filter((file) => !file.includes('node_modules/'))
    .sort()
}

/**
 * Splits test files into processes: the heartbeat first, then all unit tests in one process, then every integration
 * and end-to-end file in a process of its own, so that a hanging or leaking file ends alone.
 *
 * `selection`: `unit`, `int`, `e2e`, folders or files; empty means everything. Rejects a selection that matches nothing.
 */
export function planBatches(files: string[], selection: string[]): TestBatch[] {
  const chosen = selection.length === 0 ? files : files.filter((file) => selection.some((word) => matches(file, word)))
  if (chosen.length === 0)
    throw new Obstacle(
      `No test file matches ${selection.join(' ') || 'anything'}: name unit, int, e2e, a folder or a file.`,
    )
  const byCost = (cost: string) => chosen.filter((file) => file.endsWith(`.${cost}.test.ts`) && file !== HEARTBEAT)
  const alone = (file: string): TestBatch => ({ name: file, files: [file], withinMs: 6 * MINUTE })
  const unit = byCost('unit')
  return [
    ...chosen.filter((file) => file === HEARTBEAT).map(alone),
    ...(unit.length > 0 ? [{ name: 'unit tests', files: unit, withinMs: 3 * MINUTE }] : []),
    ...byCost('int').map(alone),
    ...byCost('e2e').map(alone),
  ]
}

function matches(file: string, word: string): boolean {
  if ((COSTS as readonly string[]).includes(word)) return file.endsWith(`.${word}.test.ts`)
  const path = word.replace(/^\.\//, '').replace(/\/$/, '')
  return file === path || file.startsWith(`${path}/`)
}
