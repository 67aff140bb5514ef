/** Seen failing: with a run that fails ending the series, and with a stop that does not wait. */
import { expect } from 'chai'
import { startRegularly } from './regularly.ts'
import { eventually } from './testing/eventually.ts'

describe('regular work', () => {
  it('is done at once and again, also after a failure, one run at a time', async () => {
    let runs = 0
    let underWay = 0
    const faults: unknown[] = []
    const work = async () => {
      runs += 1
      underWay += 1
      expect(underWay).to.equal(1)
      await Promise.resolve()
      underWay -= 1
      if (runs === 1) throw new Error('away')
    }
    const regular = startRegularly(work, { everyMs: 1, onError: (error) => faults.push(error) })
    await eventually(() => runs >= 3)
    await regular.stop()
    expect(faults.map(String)).to.deep.equal(['Error: away'])
  })

  it('is over when its stop is: the run at hand ends, and no other begins', async () => {
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
    let runs = 0
    let ended = 0
    let isStopping = false
    const work = async (stopping: AbortSignal) => {
      runs += 1
      await mayEnd
      isStopping = stopping.aborted
      ended += 1
    }
    let isOver = false
    const regular = startRegularly(work, { everyMs: 1, onError: () => {} })
    const stopped = regular.stop().then(() => {
      isOver = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).to.equal(false)
    end()
    await stopped
    expect({ runs, ended, isStopping }).to.deep.equal({ runs: 1, ended: 1, isStopping: true })
  })

  it('does not wait out its pause when it is stopped', async () => {
    const { promise: hasRun, resolve } = Promise.withResolvers<void>()
    const regular = startRegularly(async () => resolve(), { everyMs: 3_600_000, onError: () => {} })
    await hasRun
    await regular.stop()
  })
})
