/**
 * The clock by which a claim's time runs out: only differences between its readings mean anything. It follows the monotonic clock, which
 * nobody sets; but that one stands still while the machine is suspended, so a jump of the machine's time counts as time that has passed.
 */
const JUMP_MIN_MS = 1000

/** Creates a clock in milliseconds that never goes back. monotonic, wall: tests inject them. */
export function createElapsedClock(
  monotonic: () => number = () => performance.now(),
  wall: () => number = () => Date.now(),
): () => number {
  let elapsedMs = 0
  let lastMonotonic = monotonic()
  let lastWall = wall()
  return () => {
    const monotonicMs = monotonic() - lastMonotonic
    const wallMs = wall() - lastWall
    elapsedMs += wallMs - monotonicMs > JUMP_MIN_MS ? wallMs : monotonicMs
    lastMonotonic += monotonicMs
    lastWall += wallMs
    return elapsedMs
  }
}
