import { expect } from 'chai'
import { runBatches } from './run-batches.ts'
import type { TestBatch } from './test-files.ts'
import type { TestResult } from './test-results.ts'

const batch = (...files: string[]): TestBatch => ({ name: files.join(' '), files, withinMs: 1000 })
const passed = (title: string): TestResult => ({ outcome: 'passed', title, durationMs: 1 })
const failed = (title: string, reason?: string): TestResult => ({ outcome: 'failed', title, durationMs: 1, reason })

/** Runs batches whose first and second results are given by name, and notes the order. */
async function runWith(outcomes: Record<string, TestResult[][]>) {
  const order: string[] = []
  const batches = Object.keys(outcomes).map((name) => batch(...name.split(' ')))
  const results = await runBatches(batches, async ({ name }, nth) => {
    order.push(`${name}#${nth}`)
    return outcomes[name]?.[nth - 1] ?? []
  })
  return { order, results }
}

describe('running all batches', () => {
  it('runs a file with a failure once more after all others, and keeps what it failed with', async () => {
    const { order, results } = await runWith({
      'a.int.test.ts': [
        [passed('one'), failed('two', 'was late')],
        [passed('one'), passed('two')],
      ],
      'b.int.test.ts': [[passed('three')]],
    })
    expect(order).to.deep.equal(['a.int.test.ts#1', 'b.int.test.ts#1', 'a.int.test.ts#2'])
    expect(results).to.deep.equal([passed('one'), { ...passed('two'), reason: 'was late' }, passed('three')])
  })

  it('keeps what was wrong with the process as a whole', async () => {
    const { results } = await runWith({
      'a.int.test.ts': [
        [passed('one'), passed('two'), failed('the process did not end')],
        [passed('one'), passed('two')],
      ],
    })
    expect(results).to.deep.equal([{ ...passed('one'), reason: 'the process did not end' }, passed('two')])
  })

  it('says failed of what fails twice', async () => {
    const { results } = await runWith({ 'a.e2e.test.ts': [[failed('one', 'first')], [failed('one', 'second')]] })
    expect(results).to.deep.equal([failed('one', 'second')])
  })

  it('says failed of what fails only the second time', async () => {
    const { results } = await runWith({
      'a.e2e.test.ts': [
        [failed('one'), passed('two')],
        [passed('one'), failed('two')],
      ],
    })
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(['passed', 'failed'])
  })

  it('never runs unit tests, the fault laboratory or the races of stays once more', async () => {
    const { order, results } = await runWith({
      'a.unit.test.ts b.unit.test.ts': [[failed('one')]],
      'infra/chaos/seeds.e2e.test.ts': [[failed('two')]],
      'command-api/src/stays/nights.int.test.ts': [[failed('three')]],
    })
    expect(order).to.have.length(3)
    expect(results.every(({ outcome }) => outcome === 'failed')).to.equal(true)
  })

  it('runs nothing once more when many files failed', async () => {
    const { order } = await runWith(
      Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [`${name}.int.test.ts`, [[failed(name)]]])),
    )
    expect(order).to.have.length(4)
  })

  it('keeps the failure when the run is stopped before it came to the second time', async () => {
    const { results } = await runWith({ 'a.int.test.ts': [[failed('one')], []] })
    expect(results).to.deep.equal([failed('one')])
  })
})
