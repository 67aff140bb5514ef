/** What a reader wants to know after an invocation: what was broken, whether it took effect, and what the system made of it. */
import type { Coverage } from './coverage.ts'
import { faultOf } from './faults.ts'
import { invariants } from './invariants/all.ts'
import type { SeedResult } from './run-seed.ts'

const DETAILS_SHOWN = 5
const WIDTH = 160

/** The report as text. again: how one seed is run again. */
export function reportOf(
  results: readonly SeedResult[],
  coverage: Coverage,
  again: (result: SeedResult) => string,
): string {
  return [
    ...section('Faults', 'injected  effect', faultRows(coverage)),
    ...section('Kill points', 'armed  reached', pointRows(coverage)),
    ...section('Invariants', '', invariantRows(results)),
    ...section('Commands', '', commandRows(results)),
    ...verdictOf(results, coverage, again),
  ].join('\n')
}

const section = (title: string, columns: string, rows: string[]) =>
  rows.length > 0 ? [`${title}${columns ? ` (${columns})` : ''}`, ...rows.map((row) => `  ${row}`), ''] : []

function faultRows({ faults }: Coverage): string[] {
  return faults
    .filter(({ injected }) => injected > 0)
    .map(
      ({ name, injected, tookEffect }) =>
        `${name.padEnd(28)} ${count(injected)} ${count(tookEffect)}  ${faultOf(name).does}`,
    )
}

function pointRows({ killPoints }: Coverage): string[] {
  return killPoints
    .filter(({ armed }) => armed > 0)
    .map(({ point, armed, reached }) => `${point.padEnd(28)} ${count(armed)} ${count(reached)}`)
}

const count = (number: number) => String(number).padStart(4)

/** Each invariant once, over all seeds: ok, or how often it was violated; what it found comes last. */
function invariantRows(results: readonly SeedResult[]): string[] {
  const judgements = results.flatMap((result) => result.invariants)
  const names = [...new Set(judgements.map(({ name }) => name))]
  return names.flatMap((name) => {
    const judged = judgements.filter((one) => one.name === name)
    const found = judged.flatMap(({ violations }) => violations)
    const notes = judged.flatMap((one) => one.notes)
    const promises = invariants.find((one) => one.name === name)?.promises.join(' ') ?? ''
    const noted = notes.length > 0 ? `, ${notes.length} excused or noted` : ''
    const verdict = found.length === 0 ? `ok${noted}` : `${found.length} VIOLATIONS${noted}`
    return [`${name.padEnd(28)} ${promises.padEnd(12)} ${verdict}`, ...[...new Set(notes)].map((note) => `    ${note}`)]
  })
}

function shown(lines: readonly string[]): string[] {
  const more = lines.length > DETAILS_SHOWN ? [`    … and ${lines.length - DETAILS_SHOWN} more`] : []
  return [...lines.slice(0, DETAILS_SHOWN).map((line) => `    ${line.slice(0, WIDTH * 3)}`), ...more]
}

function commandRows(results: readonly SeedResult[]): string[] {
  const outcomes: Record<string, number> = {}
  for (const { commands } of results)
    for (const [name, times] of Object.entries(commands.outcomes)) outcomes[name] = (outcomes[name] ?? 0) + times
  const rows = Object.entries(outcomes).toSorted(([a], [b]) => a.localeCompare(b))
  const total = (key: 'sent' | 'ended') => results.reduce((sum, { commands }) => sum + commands[key], 0)
  const restarts = results.reduce((sum, one) => sum + one.restarts, 0)
  return [
    `${total('sent')} sent, ${total('ended')} answered in the end, ${restarts} processes started again`,
    ...rows.map(([name, times]) => `${name.padEnd(44)} ${count(times)}`),
  ]
}

function verdictOf(
  results: readonly SeedResult[],
  coverage: Coverage,
  again: (result: SeedResult) => string,
): string[] {
  const bad = results.filter(({ isGood }) => !isGood)
  const seconds = results.reduce((sum, one) => sum + one.seconds, 0)
  return [
    ...results.flatMap(({ seed, invariants: judged }) =>
      judged
        .filter(({ violations }) => violations.length > 0)
        .flatMap(({ name, violations }) => [
          `VIOLATED: seed ${seed}: ${name} (${violations.length})`,
          ...shown(violations.map(({ what }) => what)),
        ]),
    ),
    ...coverage.missed.map((what) => `MISSED: ${what}`),
    ...(coverage.unplanned.length > 0
      ? [`${coverage.unplanned.length} faults and kill points are not part of these seeds: no verdict about them`]
      : []),
    ...bad.map((one) => `FAILED: seed ${one.seed}; logs and evidence in ${one.folder}; again: ${again(one)}`),
    `${results.length} seeds in ${seconds} s: ${results.length - bad.length} good, ${bad.length} bad, ${coverage.missed.length} missed`,
  ]
}
