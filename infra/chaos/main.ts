/**
 * `npm run chaos -- --seed N [--minutes M]` runs one seed, `--seeds K` the seeds 1 to K one after another. Ends with 0 when every
 * invariant held and nothing that was to be broken was missed. README.md explains the report.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ROOT } from '../launch/paths.ts'
import { Obstacle, runEntry } from '../launch/say.ts'
import { coverageOf } from './coverage.ts'
import { faultNames } from './faults.ts'
import { campaign } from './mutations/campaign.ts'
import { pointNames } from './plan.ts'
import { type ProfileName, profileNames } from './profiles.ts'
import { reportOf } from './report.ts'
import { type Progress, runSeed, type SeedResult } from './run-seed.ts'

const REPORTS = `${ROOT}/reports/chaos`
const MINUTES_MAX = 25
const LONG_EVERY = 10

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      minutes: { type: 'string' },
      profile: { type: 'string' },
      faults: { type: 'string' },
      root: { type: 'string' },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
      mutations: { type: 'boolean', default: false },
      names: { type: 'string' },
    },
  })
  const from = whole('from', values.from)
  const seeds = values.seeds
    ? Array.from({ length: whole('seeds', values.seeds) }, (_, index) => from + index)
    : [values.seed === undefined ? 1 + (Date.now() % 1_000_000) : whole('seed', values.seed)]
  const wanted = profileNames.find((name) => name === values.profile)
  if (values.profile && !wanted)
    throw new Obstacle(`There is no profile ${values.profile}: use ${profileNames.join(' or ')}.`)
  const only = values.faults?.split(',').filter(Boolean)
  const unknown = only?.find((name) => ![...faultNames, ...pointNames].some((known) => known === name))
  if (unknown) throw new Obstacle(`There is no fault or kill point ${unknown}: infra/chaos/faults.ts lists them.`)
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  if (minutes !== undefined && !(minutes > 0 && minutes <= MINUTES_MAX)) {
    throw new Obstacle(
      `--minutes takes a number above 0 and up to ${MINUTES_MAX}, since the partner resets itself every hour.`,
    )
  }

  const stopping = new AbortController()
  // Stays in place while everything is being removed: a second signal, which npm passes on, must not cut that short.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => stopping.abort(new Obstacle('Stopped before the end: there is no verdict.')))
  }
  const { signal } = stopping
  if (values.mutations) {
    const names = values.names?.split(',').filter(Boolean)
    const bounds = { ...(minutes ? { minutes } : {}), ...(values.seeds ? { seedsMax: seeds.length } : {}) }
    return campaign({ ...(names ? { names } : {}), ...bounds, onProgress: showProgress, signal, say })
  }
  const results: SeedResult[] = []
  for (const seed of seeds) {
    const profile = wanted ?? profileOf(seed, seeds.length)
    const options = { seed, profile, onProgress: showProgress, keeps: values.keep, signal }
    const result = await runSeed({
      ...options,
      ...(values.root ? { root: values.root } : {}),
      ...(minutes ? { minutes } : {}),
      ...(only ? { only } : {}),
    })
    results.push(result)
    if (seeds.length > 1) say(sentenceOf(result))
  }
  const coverage = coverageOf(results)
  const again = ({ seed, profile }: SeedResult) => reproduction(seed, profile, values)
  say(reportOf(results, coverage, again))
  const isGood = results.every((one) => one.isGood)
  mkdirSync(REPORTS, { recursive: true })
  const file = values.json ?? `${REPORTS}/${new Date().toISOString().replaceAll(':', '')}.json`
  writeFileSync(file, JSON.stringify({ isGood, missed: coverage.missed, coverage, results }, null, 2))
  say(`${isGood ? '✓' : '✗'} ${file}`)
  for (const result of results.slice(0, 1)) say(`again: ${again(result)}`)
  return isGood ? 0 : 1
}

/** One seed alone is gone through thoroughly. Of many every tenth is, since short outages hide what a minute of Kafka away shows. */
function profileOf(seed: number, seeds: number): ProfileName {
  return seeds === 1 || seed % LONG_EVERY === 0 ? 'long' : 'short'
}

function whole(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Obstacle(`--${option} takes a whole number from 1 up.`)
  return value
}

function reproduction(seed: number, profile: ProfileName, values: { minutes?: string; faults?: string }): string {
  const { minutes, faults } = values
  return `npm run chaos -- --seed ${seed} --profile ${profile}${minutes ? ` --minutes ${minutes}` : ''}${faults ? ` --faults ${faults}` : ''}`
}

function sentenceOf({ seed, isGood, invariants, missed, commands, restarts, seconds }: SeedResult): string {
  const violated = invariants.filter(({ violations }) => violations.length > 0).map(({ name }) => name)
  const broken = [...violated, ...missed]
  const verdict = isGood ? 'good' : `BAD: ${broken.join(', ')}`
  return `seed ${seed}: ${verdict} (${commands.sent} commands, ${restarts} restarts, ${seconds} s)`
}

let shown = { phase: '', elapsedMs: 0 }
const SHOWN_EVERY_MS = 10_000

/** One line that is written over again on a terminal; in a file one line for each phase, and now and then one within it. */
function showProgress({ seed, elapsedMs, phase, faults, sent, ended, restarts }: Progress): void {
  const seconds = String(Math.round(elapsedMs / 1000)).padStart(4)
  const line = `${seconds} s  seed ${seed}  ${phase}  ${sent} sent, ${ended} ended, ${restarts} restarts  ${faults.join(' ')}`
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\u001b[K${line.slice(0, process.stderr.columns)}`)
    return
  }
  const name = phase.replace(/:.*/, '')
  if (name === shown.phase && Math.abs(elapsedMs - shown.elapsedMs) < SHOWN_EVERY_MS) return
  process.stderr.write(`${line}\n`)
  shown = { phase: name, elapsedMs }
}

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  process.stdout.write(`${text}\n`)
}

await runEntry(main)
// What a run that was given up still waits for must not keep us.
process.exit()
