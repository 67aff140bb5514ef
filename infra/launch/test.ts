/**
 * `npm test [-- unit | int | e2e | folder | file …]`: brings up the backing services, runs mocha over the test files
 * and ends with `N passed, N failed`. A full run also measures coverage. Every integration and end-to-end file is a
 * process of its own: one that hangs, or does not end because something is left open, is ended and counted as failed.
 * A file with a failure is run once more at the end, and what passes then is listed as flaky (`run-batches.ts`).
 */
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { ensureBackingServices, releaseBackingServices, serviceEnvironment } from './backing-services.ts'
import { ROOT } from './paths.ts'
import { type RunningBatch, runBatch } from './run-batch.ts'
import { runBatches } from './run-batches.ts'
import { longStep, runEntry, say } from './say.ts'
import { loadSettings } from './settings.ts'
import { listTestFiles, planBatches, type TestBatch } from './test-files.ts'
import { summaryLine, type TestResult, writeJunit } from './test-results.ts'

const REPORTS = `${ROOT}/reports`
const COVERAGE = `${REPORTS}/coverage`
const WHOLE_RUN_WITHIN_MS = 75 * 60_000
const COVERED = [
  'schemas/src',
  'infra/src',
  'infra/edge',
  'infra/launch',
  'infra/ops',
  'infra/sandbox',
  'command-api',
  'workers',
  'projections',
  'query-api',
  'migrations',
]

let running: RunningBatch | undefined
let isStopping = false

async function main(): Promise<number> {
  loadSettings()
  const selection = process.argv.slice(2)
  const batches = planBatches(listTestFiles(), selection)
  const withCoverage = selection.length === 0
  rmSync(REPORTS, { recursive: true, force: true })
  mkdirSync(`${REPORTS}/mocha`, { recursive: true })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      isStopping = true
      running?.end()
    })
  }

  const needsServices = batches.some(({ files }) => files.some((file) => !file.endsWith('.unit.test.ts')))
  const serviceEnv = needsServices ? await findServices() : {}
  const env = { ...testEnvironment(), ...serviceEnv, ...(withCoverage && coverageEnvironment()) }
  const deadline = Date.now() + WHOLE_RUN_WITHIN_MS
  const run = async (batch: TestBatch, nth: number): Promise<TestResult[]> => {
    if (isStopping) return []
    process.stdout.write(`\n▸ ${batch.name}${nth > 1 ? ', once more' : ''}\n`)
    const reportPath = `${REPORTS}/mocha/${batch.name.replaceAll(/[^a-z0-9.-]/gi, '_')}.${nth}.jsonl`
    running = runBatch(batch, { env, reportPath, deadline })
    return running.results
  }
  const results = await runBatches(batches, run)
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

function listFailures(results: TestResult[]): void {
  const failures = results.filter(({ outcome }) => outcome === 'failed')
  const skipped = results.filter(({ outcome }) => outcome === 'skipped')
  const flaky = results.filter(({ outcome, reason }) => outcome === 'passed' && reason)
  if (flaky.length > 0) process.stdout.write('\nFailed at first and passed once more; each wants mending:\n')
  for (const { title, reason } of flaky) process.stdout.write(`  ~ ${title}\n    ${reason?.split('\n')[0]}\n`)
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
