import { expect } from 'chai'
import { createElapsedClock } from './elapsed-clock.ts'

describe('the clock of a claim', () => {
  let monotonicMs = 0
  let wallMs = 0
  const pass = (monotonic: number, wall = monotonic) => {
    monotonicMs += monotonic
    wallMs += wall
  }

  it('follows the monotonic clock, also when the machine’s time is set back', () => {
    const now = createElapsedClock(
      () => monotonicMs,
      () => wallMs,
    )
    const before = now()
    for (let i = 0; i < 1000; i += 1) {
      pass(1, 1.5)
      now()
    }
    expect(now() - before).to.equal(1000)
    pass(5, -60_000)
    expect(now() - before).to.equal(1005)
  })

  it('counts the time for which the machine was suspended', () => {
    const now = createElapsedClock(
      () => monotonicMs,
      () => wallMs,
    )
    const before = now()
    pass(2, 60_000)
    expect(now() - before).to.equal(60_000)
  })
})
