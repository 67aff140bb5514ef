/**
 * Places where a fault test may end the process with SIGKILL, as a power cut would. Armed by KILL_POINT in the
 * environment, inert in production; the marker line in KILL_POINT_FILE lets the test prove that the point was reached.
 */
import { appendFileSync } from 'node:fs'

export const killPoints = [
  /** command-api: the command is committed, nobody has been answered. */
  'after-append',
  /** relay: Kafka acknowledged a batch. */
  'after-produce',
  /** workers: the claim was granted, nothing has been sent. */
  'after-claim',
  /** workers: the supplier or partner answered. */
  'after-call',
  /** workers: the outcome is about to be reported. */
  'before-report',
  /** projections: rows and checkpoint are written, not committed. */
  'before-commit',
] as const
export type KillPoint = (typeof killPoints)[number]

/** Ends this process here when KILL_POINT names the point; otherwise does nothing. */
export function reach(point: KillPoint): void {
  if (process.env.KILL_POINT !== point || process.env.NODE_ENV === 'production') return
  const file = process.env.KILL_POINT_FILE
  if (file) appendFileSync(file, `${point} ${process.pid}\n`)
  process.kill(process.pid, 'SIGKILL')
}
