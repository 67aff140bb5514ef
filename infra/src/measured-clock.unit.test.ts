import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { startMeasuredClock } from './measured-clock.ts'
import { eventually } from './testing/eventually.ts'

const hourMs = 3_600_000

describe('another machine’s clock', () => {
  // Seen failing: without a deadline, where one reading that never ends is the last; with a failure told at every tick that waits for it.
  it('is measured on when a reading never ends, which is told once', async () => {
    const failures: unknown[] = []
    let readings = 0
    const read = async () => {
      readings += 1
      if (readings === 1) await new Promise(() => {})
      return Date.now() + hourMs
    }
    const clock = startMeasuredClock(read, (error) => failures.push(error), { everyMs: 5, readWithinMs: 50 })
    try {
      await eventually(() => expect(clock.nowMs() - Date.now()).to.be.closeTo(hourMs, 1000))
      expect(failures.map(String)).to.deep.equal(['Error: no answer within 50 ms'])
    } finally {
      clock.stop()
    }
  })

  it('keeps the last offset while it cannot be read', async () => {
    let isAway = false
    const failures: unknown[] = []
    const read = async () => {
      if (isAway) throw new Error('away')
      return Date.now() - hourMs
    }
    const clock = startMeasuredClock(read, (error) => failures.push(error), { everyMs: 5 })
    try {
      await clock.measure()
      isAway = true
      await eventually(() => failures.length > 2)
      expect(clock.nowMs() - Date.now()).to.be.closeTo(-hourMs, 1000)
    } finally {
      clock.stop()
    }
  })

  // Seen failing: with the first reading taken whatever it took.
  it('is read again when the first reading took too long to say much', async () => {
    let readings = 0
    const read = async () => {
      readings += 1
      const shown = Date.now() + hourMs
      if (readings === 1) await sleep(600)
      return shown
    }
    const clock = startMeasuredClock(read, () => undefined, { everyMs: 60_000 })
    try {
      await clock.measure()
      expect(clock.nowMs() - Date.now()).to.be.closeTo(hourMs, 200)
      expect(readings).to.equal(2)
    } finally {
      clock.stop()
    }
  })
})
