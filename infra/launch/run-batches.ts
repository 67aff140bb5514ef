import type { TestBatch } from './test-files.ts'
import type { TestResult } from './test-results.ts'

/** More files than this with failures are no accident. */
const AGAIN_MAX = 3

/**
 * Runs batches one after the other. A batch of one file that failed is run once more when all others are through: a test that
 * depends on the machine's load must not hide what the other two thousand say. Its results count, and a test that failed
 * only at first keeps that failure as its reason. Never run again: the unit tests, which depend on nothing, and the fault
 * laboratory and the races of stays, whose failures are findings of an interleaving that may not come back.
 */
export async function runBatches(
  batches: readonly TestBatch[],
  run: (batch: TestBatch, nth: number) => Promise<TestResult[]>,
): Promise<TestResult[]> {
  const first: { batch: TestBatch; results: TestResult[] }[] = []
  for (const batch of batches) first.push({ batch, results: await run(batch, 1) })
  const failed = first.filter(({ results }) => results.some(isFailed))
  if (failed.length > AGAIN_MAX) return first.flatMap(({ results }) => results)
  for (const entry of failed.filter(({ batch }) => isRunAgain(batch))) {
    const second = await run(entry.batch, 2)
    // Empty when the run is being stopped.
    if (second.length > 0) entry.results = withEarlierFailures(second, entry.results)
  }
  return first.flatMap(({ results }) => results)
}

const isFailed = ({ outcome }: TestResult) => outcome === 'failed'

const isRunAgain = ({ files: [file = '', ...others] }: TestBatch) =>
  others.length === 0 && !file.endsWith('.unit.test.ts') && !/^(infra\/chaos|command-api\/src\/stays)\//.test(file)

/** What was wrong with the process as a whole, for example that it did not end, is kept with its first test. */
function withEarlierFailures(results: readonly TestResult[], earlier: readonly TestResult[]): TestResult[] {
  const failures = earlier.filter(isFailed)
  const isOfATest = ({ title }: TestResult) => results.some((result) => result.title === title)
  return results.map((result, nth) => {
    const own =
      failures.find(({ title }) => title === result.title) ?? failures.find((one) => nth === 0 && !isOfATest(one))
    return own && result.outcome === 'passed' ? { ...result, reason: own.reason ?? own.title } : result
  })
}
