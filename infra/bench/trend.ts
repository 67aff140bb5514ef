/**
 * Whether a series rises. A straight line is fitted by least squares; its slope's noise is judged from the means of blocks that are
 * longer than a garbage collector's sawtooth, because neighbouring samples of memory are far from independent.
 */

export interface Sample {
  atSeconds: number
  value: number
}

export interface Trend {
  /** Units of the value per hour. */
  slopePerHour: number
  /** Standard error of the slope, per hour; infinite with fewer than three blocks. */
  errorPerHour: number
}

/** blockSeconds: length of the blocks. Samples in order of time. */
export function trendOf(samples: readonly Sample[], blockSeconds: number): Trend {
  const blocks = [...Map.groupBy(samples, ({ atSeconds }) => Math.floor(atSeconds / blockSeconds)).values()]
  const points = blocks.map((block) => ({
    x: mean(block.map(({ atSeconds }) => atSeconds / 3600)),
    y: mean(block.map(({ value }) => value)),
  }))
  const centre = { x: mean(points.map(({ x }) => x)), y: mean(points.map(({ y }) => y)) }
  const spread = sum(points.map(({ x }) => (x - centre.x) ** 2))
  if (points.length < 3) return { slopePerHour: Number.NaN, errorPerHour: Number.POSITIVE_INFINITY }
  const slope = sum(points.map(({ x, y }) => (x - centre.x) * (y - centre.y))) / spread
  const residuals = points.map(({ x, y }) => (y - centre.y - slope * (x - centre.x)) ** 2)
  return { slopePerHour: slope, errorPerHour: Math.sqrt(sum(residuals) / (points.length - 2) / spread) }
}

const sum = (list: readonly number[]) => list.reduce((total, one) => total + one, 0)
const mean = (list: readonly number[]) => sum(list) / list.length
