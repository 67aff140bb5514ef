/** How a benchmark says what it measured: a table for people, `reports/bench/<name>.json` for machines. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { relative } from 'node:path'
import { ROOT } from '../launch/paths.ts'

/** BENCH_REPORTS: another folder, so that a tiny run of a test does not replace figures. */
const REPORTS = process.env.BENCH_REPORTS ?? `${ROOT}/reports/bench`

export interface Figure {
  what: string
  value: number
  unit: 's' | 'ms' | 'MB' | 'ratio' | 'number' | '1/s'
  /** What was aimed at, `≤ 20`; absent where nothing was. */
  target?: string
  isMet?: boolean
}

export interface Report {
  bench: string
  /** Everything a reader needs to judge the figures: what was included, what differs from `npm start`. */
  conditions: readonly string[]
  figures: readonly Figure[]
  /** Printed instead of the figures' table, as Markdown; for results that are no list of single figures. */
  table?: string
  /** Anything further for the JSON file. */
  details?: unknown
}

/** Prints the table to stdout and writes the JSON file. */
export function publish(report: Report): void {
  const all = { ...report, commit: commit(), at: new Date().toISOString(), machine: machine() }
  mkdirSync(REPORTS, { recursive: true })
  writeFileSync(`${REPORTS}/${report.bench}.json`, `${JSON.stringify(all, null, 2)}\n`)
  process.stdout.write(`\n${report.table ?? table(report.figures)}\n\n`)
  process.stdout.write(`commit ${all.commit}; ${all.machine}\n`)
  for (const condition of report.conditions) process.stdout.write(`- ${condition}\n`)
  process.stdout.write(`JSON: ${relative(ROOT, REPORTS)}/${report.bench}.json\n`)
}

/** The figures as a Markdown table. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, value, unit, target, isMet }) => {
    const isPlain = unit === 'ratio' || unit === 'number'
    const shown = isPlain ? value.toFixed(2) : `${value.toFixed(1)} ${unit}`
    return `| ${what} | ${shown} | ${target ? `${target}: ${isMet ? 'met' : 'missed'}` : ''} |`
  })
  return ['| What | Measured | Target |', '| --- | ---: | --- |', ...rows].join('\n')
}

const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()

function commit(): string {
  return git('rev-parse', '--short', 'HEAD')
}

function machine(): string {
  const [first, ...others] = cpus()
  return `${1 + others.length} cores (${first?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}`
}
