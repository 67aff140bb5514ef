/**
 * Rebuilds every read model beside the live one, as an operator does, and watches what that sets in motion: nothing may be called and
 * nothing appended meanwhile.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { projectionNames } from '@portolan/schemas/topics.ts'
import type { Evidence } from '../evidence.ts'
import { connectedTo } from './connected.ts'
import { callCounts } from './read-sandboxes.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const rebuildWithinMs = 120_000

export interface Rebuilt {
  projections: { name: string; tables: TableComparison[]; isEqual: boolean; said: string }[]
  /** Calls at both stand-ins and events in the store, before and after. */
  before: Outside
  after: Outside
}

export interface TableComparison {
  table: string
  equal: number
  different: number
  only_here: number
  only_there: number
  on_the_way: number
}

export interface Outside {
  partnerCalls: Record<string, number>
  supplierCalls: Record<string, number>
  events: number
}

/** Rebuilds all at once, compares, and gives the new versions up again. */
export async function rebuildAll(evidence: Evidence): Promise<Rebuilt> {
  const before = await outside(evidence)
  const run: Ops = (...args) => ops(evidence, ...args)
  const projections = await Promise.all(projectionNames.map((name) => rebuildOne(run, name)))
  return { projections, before, after: await outside(evidence) }
}

/** One of the operators' commands. */
export type Ops = (...args: string[]) => Promise<{ code: number; out: string; said: string }>

/** Where a build does not move for longer than the command waits it is begun once more: a slow machine may only be late. */
export async function rebuildOne(run: Ops, name: string, triesLeft = 1): Promise<Rebuilt['projections'][number]> {
  const { code, out, said } = await run('rebuild', name, '--json')
  const version = new RegExp(`building ${name}\\.v(\\d+)`).exec(said)?.[1]
  if (version) await run('retire', name, version)
  if (triesLeft > 0 && said.includes('does not move')) return rebuildOne(run, name, triesLeft - 1)
  return { name, tables: out.trim() ? (JSON.parse(out) as TableComparison[]) : [], isEqual: code === 0, said }
}

function ops({ opsEnv }: Evidence, ...args: string[]): ReturnType<Ops> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['infra/ops/main.ts', ...args],
      { cwd: ROOT, env: { ...process.env, ...opsEnv }, timeout: rebuildWithinMs, maxBuffer: 64 << 20 },
      (error, out, said) => resolve({ code: error ? Number(error.code ?? 1) : 0, out, said }),
    )
  })
}

async function outside({ partnerUrl, duffelUrl, writeUrl }: Evidence): Promise<Outside> {
  const [partnerCalls, supplierCalls] = await Promise.all([callCounts(partnerUrl), callCounts(duffelUrl)])
  const [row] = await connectedTo(writeUrl, (query) =>
    query<{ events: number }>('select coalesce(sum(position), 0)::bigint as events from log_heads'),
  )
  return { partnerCalls, supplierCalls, events: row?.events ?? 0 }
}
