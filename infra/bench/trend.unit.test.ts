// Sabotages seen to fail: a slope per second instead of per hour, and the noise taken from single samples instead of blocks.
import { expect } from 'chai'
import { trendOf } from './trend.ts'

/** An hour of samples every ten seconds. */
const hour = (value: (atSeconds: number) => number) =>
  Array.from({ length: 360 }, (_, n) => ({ atSeconds: n * 10, value: value(n * 10) }))

describe('a trend', () => {
  it('finds the slope of a line, without noise', () => {
    const { slopePerHour, errorPerHour } = trendOf(
      hour((at) => 100 + (12 * at) / 3600),
      150,
    )
    expect(slopePerHour).to.be.closeTo(12, 1e-9)
    expect(errorPerHour).to.be.closeTo(0, 1e-9)
  })

  it('does not take slow waves for certainty: neighbouring samples are not independent', () => {
    const { errorPerHour } = trendOf(
      hour((at) => 100 + 10 * Math.sin((at / 900) * 2 * Math.PI)),
      150,
    )
    expect(errorPerHour).to.be.greaterThan(3)
  })

  it('sees a leak below the sawtooth of a garbage collector', () => {
    const { slopePerHour, errorPerHour } = trendOf(
      hour((at) => 100 + (10 * at) / 3600 + (at % 70) / 7),
      150,
    )
    expect(slopePerHour).to.be.within(9, 11)
    expect(errorPerHour).to.be.lessThan(1)
  })

  it('says nothing about less than three blocks', () => {
    const { errorPerHour } = trendOf(hour(() => 100).slice(0, 20), 150)
    expect(errorPerHour).to.equal(Number.POSITIVE_INFINITY)
  })
})
