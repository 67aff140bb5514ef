import { existsSync, readFileSync, writeFileSync } from 'node:fs'

export type TestResult = {
  outcome: 'passed' | 'failed' | 'skipped'
  title: string
  file?: string
  durationMs: number
  /** Stack or message of a failure. */
  reason?: string
}

/** Results that the reporter wrote, or undefined when the process ended before it could. */
export function readResults(path: string): TestResult[] | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as TestResult[]) : undefined
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
