/** How a benchmark says what it measured: a table for people, `reports/bench/<name>.json` for machines. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { ROOT } from '../launch/paths.ts'

export interface Figure {
  what: string
  value: number
  unit: 's' | 'MB' | 'ratio' | '1/s'
  /** What was aimed at, `≤ 20`; absent where nothing was. */
  target?: string
  isMet?: boolean
}

export interface Report {
  bench: string
  /** Everything a reader needs to judge the figures: what was included, what differs from `npm start`. */
  conditions: readonly string[]
  figures: readonly Figure[]
  /** Anything further for the JSON file. */
  details?: unknown
}

/** Prints the table to stdout and writes the JSON file. */
export function publish(report: Report): void {
  const all = { ...report, commit: commit(), at: new Date().toISOString(), machine: machine() }
  mkdirSync(`${ROOT}/reports/bench`, { recursive: true })
  writeFileSync(`${ROOT}/reports/bench/${report.bench}.json`, `${JSON.stringify(all, null, 2)}\n`)
  process.stdout.write(`\n${table(report.figures)}\n\n`)
  process.stdout.write(`commit ${all.commit}; ${all.machine}\n`)
  for (const condition of report.conditions) process.stdout.write(`- ${condition}\n`)
  process.stdout.write(`JSON: reports/bench/${report.bench}.json\n`)
}

/** The figures as a Markdown table. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, value, unit, target, isMet }) => {
    const shown = `${value.toFixed(unit === 'ratio' ? 2 : 1)}${unit === 'ratio' ? '' : ` ${unit}`}`
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
