/** Runs one mocha process and notices what its own report cannot say: that it hung, crashed, or left something open. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { ROOT } from './paths.ts'
import type { TestBatch } from './test-files.ts'
import { readReport, type TestReport, type TestResult } from './test-results.ts'

const MOCHA = `${ROOT}/node_modules/mocha/bin/mocha.js`
const REPORTER = `${ROOT}/infra/launch/test-reporter.cjs`
const WATCH_PARENT = new URL('watch-parent.ts', import.meta.url).href
const LOOK_EVERY_MS = 250

export type BatchOptions = {
  env: NodeJS.ProcessEnv
  /** Where the reporter writes. */
  reportPath: string
  /** No batch runs longer than until then, ms since the epoch. */
  deadline?: number
  /** How long the process may live on after its last test. */
  leaveWithinMs?: number
  output?: 'inherit' | 'ignore'
}

export type RunningBatch = {
  /** Never rejects. Besides the tests' own results one that says what else went wrong. */
  results: Promise<TestResult[]>
  /** Ends it and everything it started. */
  end: () => void
}

/** Starts a mocha process for the files of a batch. */
export function runBatch(batch: TestBatch, options: BatchOptions): RunningBatch {
  const { env, reportPath, deadline = Number.POSITIVE_INFINITY, leaveWithinMs = 15_000, output = 'inherit' } = options
  const startedAt = Date.now()
  const mocha = spawn(process.execPath, ['--import', WATCH_PARENT, MOCHA, '--reporter', REPORTER, ...batch.files], {
    cwd: ROOT,
    env: { ...env, PORTOLAN_TEST_REPORT: reportPath },
    stdio: ['ignore', output, output, 'ipc'],
    detached: true, // a group of its own, so that nothing it started outlives it
  })
  let isLate = false
  let endBy = Math.min(startedAt + batch.withinMs, deadline)
  const timer = setInterval(() => {
    if (isOver(reportPath)) endBy = Math.min(endBy, statSync(reportPath).mtimeMs + leaveWithinMs)
    if (Date.now() < endBy) return
    isLate = true
    endGroup(mocha)
  }, LOOK_EVERY_MS)

  async function collect(): Promise<TestResult[]> {
    const ending = await new Promise<string>((resolve) => {
      mocha.once('error', (error) => resolve(error.message))
      mocha.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
    })
    clearInterval(timer)
    endGroup(mocha)
    const report = readReport(reportPath)
    const complaint = explainEnding(report, { isLate, ending })
    if (!complaint) return report.results
    return [
      ...report.results,
      { outcome: 'failed', title: complaint, file: batch.name, durationMs: Date.now() - startedAt },
    ]
  }

  return { results: collect(), end: () => endGroup(mocha) }
}

const isOver = (reportPath: string) => existsSync(reportPath) && readReport(reportPath).isComplete

/** What went wrong beside the tests themselves; undefined when nothing did. */
function explainEnding(
  { results, isComplete }: TestReport,
  { isLate, ending }: { isLate: boolean; ending: string },
): string | undefined {
  if (isLate && isComplete) return 'the process did not end after its last test: something was left open'
  const last = results.at(-1) ? `"${results.at(-1)?.title}"` : 'their beginning'
  if (isLate) return `the tests did not finish in time; they came as far as ${last}`
  if (!isComplete) return `the process ended before its tests did (${ending}); they came as far as ${last}`
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
