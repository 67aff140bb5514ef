/**
 * Places where a fault test may end the process with SIGKILL, as a power cut would. Armed by KILL_POINT in the environment, inert in
 * production; the marker line in KILL_POINT_FILE lets the test prove that the point was reached.
 *
 * KILL_POINT is a point's name, or `name:N`: the process survives the first N-1 times. With KILL_POINT_AFTER_MS it survives every time
 * within so many milliseconds of its start.
 */
import { appendFileSync } from 'node:fs'

/** Every point, and the process it lies in. */
export const killPoints = {
  /** Commands are decided, nothing was sent to the database. */
  'before-append': 'command-api',
  /** Commands are committed, nobody has been answered. */
  'after-append': 'command-api',
  /** The outcome of a booking, reservation or cancellation is known and noted, the client has not heard it. */
  'before-answer': 'command-api',
  /** Log and copy were compared, claims may be granted; nothing has been sent. */
  'after-take-over': 'relay',
  /** A batch was read from the store, Kafka has not seen it. */
  'before-produce': 'relay',
  /** Kafka acknowledged a batch. */
  'after-produce': 'relay',
  /** Jobs are in the queue, the group's offset is not committed. */
  'after-dispatch': 'workers',
  /** The claim was granted, nothing has been sent. */
  'after-claim': 'workers',
  /** The balance before a movement is recorded, the movement has not been asked for. */
  'after-balance': 'workers',
  /** The supplier or partner answered. */
  'after-call': 'workers',
  /** The outcome is about to be reported. */
  'before-report': 'workers',
  /** The outcome was reported, its job is still in the queue. */
  'after-report': 'workers',
  /** Rows and checkpoint are written, not committed. */
  'before-commit': 'projections',
  /** Rows and checkpoint are committed, the batch is not acknowledged to the consumer. */
  'after-commit': 'projections',
  /** A read has waited for what its caller wrote, nothing was read. */
  'after-read-wait': 'query-api',
} as const satisfies Record<string, 'command-api' | 'relay' | 'workers' | 'projections' | 'query-api'>
export type KillPoint = keyof typeof killPoints

let timesReached = 0

/** Ends this process here when KILL_POINT names the point and its time has come; otherwise does nothing. */
export function reach(point: KillPoint): void {
  const { KILL_POINT, KILL_POINT_FILE, KILL_POINT_AFTER_MS, NODE_ENV } = process.env
  if (!KILL_POINT || NODE_ENV === 'production') return
  const [name, times = '1'] = KILL_POINT.split(':')
  if (name !== point || performance.now() < Number(KILL_POINT_AFTER_MS ?? 0)) return
  timesReached += 1
  if (timesReached < Number(times)) return
  if (KILL_POINT_FILE) appendFileSync(KILL_POINT_FILE, `${point} ${process.pid}\n`)
  process.kill(process.pid, 'SIGKILL')
}
