/**
 * Test files that misbehave. Sabotage this was shown to catch: not looking at how the process ended, and waiting for
 * it without a bound.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect } from 'chai'
import { runBatch } from './run-batch.ts'
import { summaryLine, type TestResult, writeJunit } from './test-results.ts'

describe('a run of test files', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(`${tmpdir()}/portolan-batch-`)
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  function run(code: string): Promise<TestResult[]> {
    writeFileSync(`${folder}/file.test.ts`, code)
    const batch = { name: 'file.test.ts', files: [`${folder}/file.test.ts`], withinMs: 4000 }
    const { NODE_V8_COVERAGE: _, ...env } = process.env
    return runBatch(batch, { env, reportPath: `${folder}/report.jsonl`, leaveWithinMs: 300, output: 'ignore' }).results
  }
  const outcomes = (results: TestResult[]) => results.map(({ outcome, title }) => `${outcome}: ${title}`)

  it('counts what passed, failed and was left out', async () => {
    const results = await run(`it('holds', () => {}); it('breaks', () => { throw new Error('no') }); it('waits')`)
    expect(outcomes(results)).to.deep.equal(['passed: holds', 'failed: breaks', 'skipped: waits'])
    expect(results[1]?.reason).to.include('Error: no')
    expect(summaryLine(results)).to.equal('1 passed, 1 failed')
  })

  it('fails a file that leaves something open', async () => {
    const results = await run(`it('holds', () => { setInterval(() => {}, 1000) })`)
    expect(outcomes(results)).to.deep.equal([
      'passed: holds',
      'failed: the process did not end after its last test: something was left open',
    ])
  })

  it('fails a file that hangs, and keeps what it saw before', async () => {
    const results = await run(`it('holds', () => {}); it('hangs', () => { for (;;) {} })`)
    expect(outcomes(results)).to.deep.equal([
      'passed: holds',
      'failed: the tests did not finish in time; they came as far as "holds"',
    ])
  })

  it('fails a file whose process ends in the middle, or cannot be loaded', async () => {
    expect(outcomes(await run(`it('holds', () => {}); it('leaves', () => process.exit(0))`))[1]).to.match(
      /^failed: the process ended before its tests did \(exit code 0\); they came as far as "holds"/,
    )
    rmSync(`${folder}/report.jsonl`)
    expect(outcomes(await run(`import 'no-such-package'`))).to.deep.equal([
      'failed: the process ended before its tests did (exit code 1); they came as far as their beginning',
    ])
  })

  it('is written down in the form that CI systems read', () => {
    writeJunit(`${folder}/junit.xml`, [
      { outcome: 'passed', title: 'a < b & "c"', file: 'x.test.ts', durationMs: 1500 },
      { outcome: 'failed', title: 'breaks', file: 'x.test.ts', durationMs: 1, reason: 'Error: <no>\u0001\n  at x' },
      { outcome: 'skipped', title: 'waits', file: 'x.test.ts', durationMs: 0 },
    ])
    const xml = readFileSync(`${folder}/junit.xml`, 'utf8')
    expect(xml).to.include('<testsuite name="portolan" tests="3" failures="1">')
    expect(xml).to.include('name="a &lt; b &amp; &quot;c&quot;" time="1.5"/>')
    expect(xml).to.include('<failure message="Error: &lt;no&gt;?">').and.include('<skipped/>')
  })
})
