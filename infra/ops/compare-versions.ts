/**
 * Compares the rows of two versions of a projection, table by table, in chunks of the primary key, so that tables of any
 * size take bounded memory and no statement or snapshot lasts long. Both versions go on consuming meanwhile, each at its own
 * pace, so a row may differ only because its event has reached one of them:
 *
 *   first pass ──► equal                       both rows at the same stream version, with the same contents
 *       │
 *       └──► differing ──► (both versions pass every position that either had by then) ──► looked at again
 *                 ▲                                                                            │
 *                 └── moved on meanwhile, and differs anew ◄───────────────────────────────────┤
 *                                                                                              ├──► equal
 *            different: equal versions, other contents, at any look                            │
 *            missing: what one version showed the other does not show, although it passed it ◄─┘
 *
 * Each chunk is one statement, so its two sides are of one instant. Rows that moved at every look count as
 * `on_the_way` too: never compared at equal versions, they are not equal for certain.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type ComparedTable, compareKeys, compareNext, type Difference, tablesOf } from './compare-chunks.ts'
import type { Row } from './table.ts'

export interface TableComparison extends Row {
  table: string
  equal: number
  /** At the same stream version (balances: number of lines) with other contents. */
  different: number
  /** In one version only. */
  only_here: number
  only_there: number
  /** At different stream versions: one of them lacks an event for good, or the row moved at every look. */
  on_the_way: number
  /** Whether the table was read to its end: not when more differs than is followed up. */
  complete: boolean
}

export interface CompareOptions {
  /** Rows of a table compared in one statement. */
  chunkSize?: number
  /** Looks at rows that differ before they are reported. */
  looks?: number
  /** How long the versions may take to pass each other's positions between two looks. */
  passWithinMs?: number
  /** Differing rows of a table that are followed up: enough for a person to see that something is wrong, little for memory. */
  differencesMax?: number
  /** Told now and then how many rows of a table are compared. */
  onProgress?(table: string, rows: number): void
}

const lookEveryMs = 250
const progressEveryMs = 1000

/**
 * One row per table of the projection. `here` and `there` are versions. Rejects when a statement fails.
 */
export async function compareVersions(
  read: pg.Client,
  versions: { name: string; here: number; there: number },
  options: CompareOptions = {},
): Promise<TableComparison[]> {
  const compared: TableComparison[] = []
  for (const table of await tablesOf(read, versions)) compared.push(await compareTable(read, versions, table, options))
  return compared
}

/** Whether nothing differs, in the whole table. */
export const isEqual = ({ different, only_here, only_there, on_the_way, complete }: TableComparison): boolean =>
  complete && different + only_here + only_there + on_the_way === 0

async function compareTable(
  read: pg.Client,
  versions: { name: string; here: number; there: number },
  table: ComparedTable,
  { chunkSize = 5000, looks = 10, passWithinMs = 10_000, differencesMax = 10_000, onProgress }: CompareOptions,
): Promise<TableComparison> {
  const first = await firstPass(read, table, { chunkSize, differencesMax, onProgress })
  let { equal } = first
  let differing = first.differing
  for (let look = 1; look < looks && differing.some(mayYetAgree); look += 1) {
    const hasPassed = await passEachOther(read, versions, passWithinMs)
    await sleep(lookEveryMs)
    const settled = differing.filter((difference) => !mayYetAgree(difference))
    const again = await lookAgain(read, table, chunkSize, differing.filter(mayYetAgree), hasPassed)
    equal += differing.length - settled.length - again.length
    differing = [...settled, ...again]
  }
  const counts = { different: 0, only_here: 0, only_there: 0, on_the_way: 0 }
  for (const { kind } of differing) counts[kind] += 1
  return { table: table.name, equal, ...counts, complete: first.isComplete }
}

/** Equal versions with other contents stay so, and what is missing behind its position never comes. */
const mayYetAgree = ({ kind, isMissing }: Difference): boolean => kind !== 'different' && !isMissing

async function firstPass(
  read: pg.Client,
  table: ComparedTable,
  options: { chunkSize: number; differencesMax: number; onProgress: CompareOptions['onProgress'] },
): Promise<{ equal: number; differing: Difference[]; isComplete: boolean }> {
  const { chunkSize, differencesMax, onProgress } = options
  const differing: Difference[] = []
  let [equal, saidAt, after] = [0, performance.now(), null as string | null]
  do {
    const chunk = await compareNext(read, table, after, chunkSize)
    equal += chunk.equal
    differing.push(...chunk.differences)
    after = chunk.last
    if (performance.now() - saidAt < progressEveryMs) continue
    saidAt = performance.now()
    onProgress?.(table.name, equal + differing.length)
  } while (after !== null && differing.length < differencesMax)
  return { equal, differing, isComplete: after === null }
}

/** What of these rows differs still, and which of them never will agree. */
async function lookAgain(
  read: pg.Client,
  table: ComparedTable,
  chunkSize: number,
  before: readonly Difference[],
  hasPassed: boolean,
): Promise<Difference[]> {
  const earlier = new Map(before.map((difference) => [difference.key, difference]))
  const found: Difference[] = []
  for (let start = 0; start < before.length; start += chunkSize) {
    const keys = before.slice(start, start + chunkSize).map(({ key }) => key)
    for (const difference of await compareKeys(read, table, keys)) {
      const old = earlier.get(difference.key)
      const isMissing = hasPassed && old !== undefined && lacks(difference, old)
      found.push({ ...difference, isMissing })
    }
  }
  return found
}

/** Whether one version is still behind what the other had shown before it passed that position. */
const lacks = (now: Difference, before: Difference): boolean =>
  now.here < Math.max(before.here, before.there) || now.there < Math.max(before.here, before.there)

/**
 * Waits until both versions have applied every position that either of them had at the start. False when that takes too
 * long. Positions of another generation of the log cannot be compared and are not waited for.
 */
async function passEachOther(
  read: pg.Client,
  { name, here, there }: { name: string; here: number; there: number },
  withinMs: number,
): Promise<boolean> {
  const positions = async () => {
    const { rows } = await read.query<{ place: string; version: number; position: number }>(
      `select topic || '/' || generation || '/' || partition as place, version, position from projection_checkpoints
       where projection = $1 and version in ($2, $3)`,
      [name, here, there],
    )
    return rows
  }
  const highest = new Map<string, number>()
  for (const { place, position } of await positions()) highest.set(place, Math.max(position, highest.get(place) ?? 0))
  const deadline = performance.now() + withinMs
  while ((await positions()).some(({ place, position }) => position < (highest.get(place) ?? 0))) {
    if (performance.now() > deadline) return false
    await sleep(lookEveryMs)
  }
  return true
}
