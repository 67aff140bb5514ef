import { existsSync, readFileSync, writeFileSync } from 'node:fs'

export type TestResult = {
  outcome: 'passed' | 'failed' | 'skipped'
  title: string
  file?: string
  durationMs: number
  /** Stack or message of a failure; of a test that passed, of the failure before it. */
  reason?: string
}

/** isComplete: mocha came to the end of its run. */
export type TestReport = { results: TestResult[]; isComplete: boolean }

/** What the reporter has written so far; nothing when the process ended before its first test. */
export function readReport(path: string): TestReport {
  if (!existsSync(path)) return { results: [], isComplete: false }
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1) // what follows the last line break is half a line
  const entries = lines.map((line) => JSON.parse(line) as TestResult | { end: true })
  return {
    results: entries.filter((entry): entry is TestResult => !('end' in entry)),
    isComplete: entries.some((entry) => 'end' in entry),
  }
}

/** The line every run ends with. */
export function summaryLine(results: TestResult[]): string {
  const count = (outcome: TestResult['outcome']) => results.filter((result) => result.outcome === outcome).length
  return `${count('passed')} passed, ${count('failed')} failed`
}

/** Writes the results in the XML form that CI systems read (JUnit's). */
export function writeJunit(path: string, results: TestResult[]): void {
  const cases = results.map(({ outcome, title, file = 'unknown', durationMs, reason = '' }) => {
    const head = `<testcase classname="${escapeXml(file)}" name="${escapeXml(title)}" time="${durationMs / 1000}"`
    if (outcome === 'passed') return `  ${head}/>`
    const body =
      outcome === 'skipped'
        ? '<skipped/>'
        : `<failure message="${escapeXml(reason.split('\n')[0] ?? '')}">${escapeXml(reason)}</failure>`
    return `  ${head}>${body}</testcase>`
  })
  const failures = results.filter((result) => result.outcome === 'failed').length
  const head = `<testsuite name="portolan" tests="${results.length}" failures="${failures}">`
  writeFileSync(path, ['<?xml version="1.0" encoding="UTF-8"?>', head, ...cases, '</testsuite>', ''].join('\n'))
}

function escapeXml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text
    .replace(/[&<>"]/g, (character) => entities[character] ?? character)
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '?') // XML 1.0 has no other characters
}
