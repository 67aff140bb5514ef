/**
 * `npm test [-- unit | int | e2e | folder | file …]`: brings up the backing services, runs mocha over the test files
 * and ends with `N passed, N failed`. A full run also measures coverage. Every integration and end-to-end file is a
 * process of its own: one that hangs, or does not end because something is left open, is ended and counted as failed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { ensureBackingServices, releaseBackingServices, serviceEnvironment } from './backing-services.ts'
import { ROOT } from './paths.ts'
import { longStep, runEntry, say } from './say.ts'
import { loadSettings } from './settings.ts'
import { listTestFiles, planBatches, type TestBatch } from './test-files.ts'
import { readResults, summaryLine, type TestResult, writeJunit } from './test-results.ts'

const REPORTS = `${ROOT}/reports`
const COVERAGE = `${REPORTS}/coverage`
const MOCHA = `${ROOT}/node_modules/mocha/bin/mocha.js`
const REPORTER = `${ROOT}/infra/launch/test-reporter.cjs`
const WATCH_PARENT = new URL('watch-parent.ts', import.meta.url).href
const WHOLE_RUN_WITHIN_MS = 18 * 60_000
const LEAVE_WITHIN_MS = 15_000
const COVERED = [
  'schemas/src',
  'infra/src',
  'infra/edge',
  'infra/launch',
  'infra/sandbox',
  'command-api',
  'workers',
  'projections',
  'query-api',
]

let running: ChildProcess | undefined
let isStopping = false

async function main(): Promise<number> {
  loadSettings()
  const selection = process.argv.slice(2)
  const batches = planBatches(listTestFiles(), selection)
  const withCoverage = selection.length === 0
  rmSync(REPORTS, { recursive: true, force: true })
  mkdirSync(`${REPORTS}/mocha`, { recursive: true })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)

  const needsServices = batches.some(({ files }) => files.some((file) => !file.endsWith('.unit.test.ts')))
  const serviceEnv = needsServices ? await findServices() : {}
  const env = { ...testEnvironment(), ...serviceEnv, ...(withCoverage && coverageEnvironment()) }
  const results: TestResult[] = []
  const deadline = Date.now() + WHOLE_RUN_WITHIN_MS
  for (const batch of batches) {
    if (isStopping) break
    results.push(...(await runBatch(batch, env, deadline)))
  }
  await releaseBackingServices()
  writeJunit(`${REPORTS}/junit.xml`, results)
  if (withCoverage && !isStopping) await longStep('working out the coverage', reportCoverage)
  listFailures(results)
  process.stdout.write(`${summaryLine(results)}\n`)
  if (isStopping) return 130
  const wasTested = results.some(({ outcome }) => outcome !== 'skipped')
  return wasTested && results.every(({ outcome }) => outcome !== 'failed') ? 0 : 1
}

async function findServices(): Promise<NodeJS.ProcessEnv> {
  const env = serviceEnvironment(await ensureBackingServices())
  return { ...env, PORTOLAN_TEST_DATABASE_URL: env.DATABASE_URL }
}

/** Our environment without what would let a test reach a real supplier or a developer's own databases. */
function testEnvironment(): NodeJS.ProcessEnv {
  const isPrivate = (name: string) =>
    /^(DUFFEL|COFFEECHAIN|WRITE_DATABASE|READ_DATABASE|SERVICE_TOKEN|PERSONAL_DATA|STAFF_JWT)/.test(name)
  const kept = Object.entries(process.env).filter(([name]) => !isPrivate(name))
  return { ...Object.fromEntries(kept), NODE_ENV: 'test' }
}

/** The compile cache makes V8's function coverage imprecise. */
function coverageEnvironment(): NodeJS.ProcessEnv {
  return { NODE_V8_COVERAGE: `${COVERAGE}/tmp`, NODE_DISABLE_COMPILE_CACHE: '1' }
}

async function runBatch(batch: TestBatch, env: NodeJS.ProcessEnv, deadline: number): Promise<TestResult[]> {
  const path = `${REPORTS}/mocha/${batch.name.replaceAll(/[^a-z0-9.-]/gi, '_')}.json`
  const startedAt = Date.now()
  process.stdout.write(`\n▸ ${batch.name}\n`)
  const args = ['--import', WATCH_PARENT, MOCHA, '--reporter', REPORTER, ...batch.files]
  const mocha = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...env, PORTOLAN_TEST_RESULTS: path },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true, // a group of its own, so that nothing it started outlives it
  })
  running = mocha
  let isLate = false
  let endBy = Math.min(startedAt + batch.withinMs, deadline)
  const timer = setInterval(() => {
    // Its tests are over once the results are there: what keeps it alive then was left open.
    if (existsSync(path)) endBy = Math.min(endBy, statSync(path).mtimeMs + LEAVE_WITHIN_MS)
    if (Date.now() < endBy) return
    isLate = true
    endGroup(mocha)
  }, 500)
  const ending = await new Promise<string>((resolve) => {
    mocha.once('error', (error) => resolve(error.message))
    mocha.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  clearInterval(timer)
  endGroup(mocha)
  running = undefined
  const results = readResults(path)
  if (isStopping) return results ?? []
  const complaint = explainEnding({ results, isLate, ending })
  if (!complaint) return results ?? []
  return [
    ...(results ?? []),
    { outcome: 'failed', title: complaint, file: batch.name, durationMs: Date.now() - startedAt },
  ]
}

/** What went wrong beside the tests themselves; undefined when nothing did. */
function explainEnding({
  results,
  isLate,
  ending,
}: {
  results: TestResult[] | undefined
  isLate: boolean
  ending: string
}): string | undefined {
  if (isLate && results) return 'the process did not end after its last test: something was left open'
  if (isLate) return 'the tests did not finish in time'
  if (!results) return `the process ended before its tests did (${ending})`
  const hasFailures = results.some(({ outcome }) => outcome === 'failed')
  return ending === 'exit code 0' || hasFailures ? undefined : `the process ended badly after its tests (${ending})`
}

function endGroup(child: ChildProcess): void {
  try {
    if (child.pid) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The whole group is gone, as it should be.
  }
}

function stop(): void {
  if (isStopping) return
  isStopping = true
  if (running) endGroup(running)
}

function listFailures(results: TestResult[]): void {
  const failures = results.filter(({ outcome }) => outcome === 'failed')
  const skipped = results.filter(({ outcome }) => outcome === 'skipped')
  if (failures.length > 0) process.stdout.write('\nFailed:\n')
  for (const { title, file, reason } of failures) {
    process.stdout.write(`  ✗ ${title}\n    ${file?.replace(`${ROOT}/`, '') ?? ''} ${reason?.split('\n')[0] ?? ''}\n`)
  }
  if (skipped.length > 0) process.stdout.write(`\n${skipped.length} skipped\n`)
}

/** Merges what every process wrote on its way out; one that was killed with SIGKILL wrote nothing. */
async function reportCoverage(): Promise<void> {
  const args = ['report', '--all', '--merge-async', '--temp-directory', `${COVERAGE}/tmp`, '--reports-dir', COVERAGE]
  for (const folder of COVERED) args.push('--include', `${folder}/**/*.ts`)
  for (const pattern of ['**/*.test.ts', '**/node_modules/**', 'infra/src/testing/**']) args.push('--exclude', pattern)
  for (const reporter of ['lcovonly', 'html', 'json-summary', 'text-summary']) args.push('--reporter', reporter)
  const c8 = spawn(process.execPath, [`${ROOT}/node_modules/c8/bin/c8.js`, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const code = await new Promise((resolve) => c8.once('exit', resolve))
  if (code !== 0) say(`! The coverage report could not be made (c8 ended with ${code}).`)
  rmSync(`${COVERAGE}/tmp`, { recursive: true, force: true }) // some megabytes for every process
}

await runEntry(main)
