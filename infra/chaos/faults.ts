/**
 * Everything that is broken on purpose. What each entry names is done by `inject.ts`, by its kind; a new fault of a known kind needs a
 * line here only. `npm run chaos` fails when one of them was never injected or was injected and changed nothing.
 *
 * part: which of two neighbouring seeds injects it under the profile `short`, 1 the odd, 2 the even one; `long`: none of them, since it
 * takes too long for a test, and the entry says why.
 */
import type { FaultKind } from './evidence.ts'
import type { ProcessKind } from './plan.ts'

/** Faults of one lane follow one another, those of different lanes happen at the same time. */
export type Lane = 'kills' | 'pauses' | 'servers' | 'outside' | 'queue'

export type Part = 1 | 2 | 'long'

export interface Fault {
  kind: FaultKind
  lane: Lane
  part: Part
  does: string
  /** The promises it presses. */
  presses: string
  /** Which process, where the kind needs one. */
  process?: ProcessKind
  /** What a stand-in is told, where the kind needs it. */
  rule?: OutsideRule
  /** How wrong the clock is. */
  shiftMs?: number
  /** How Postgres is asked to end: SIGINT fast, SIGQUIT at once. */
  signal?: 'SIGINT' | 'SIGQUIT'
}

export interface OutsideRule {
  at: 'partner' | 'supplier'
  operation: string
  times: number
  effect: 'perform' | 'skip'
  match?: Record<string, unknown>
  answer?: { status: number; body?: unknown; code?: string } | 'hang' | 'reset'
  /** Before the answer. */
  delayMs?: number
  /** Before the effect: longer than the caller waits, it happens after the caller gave up. */
  effectDelayMs?: number
}

const kill = (process: ProcessKind, part: 1 | 2): Fault => ({
  kind: 'kill',
  lane: 'kills',
  part,
  does: `kill -9 of a ${process} at a random instant`,
  presses: 'P1 P2 P9',
  process,
})

const pause = (process: ProcessKind, part: 1 | 2): Fault => ({
  kind: 'pause',
  lane: 'pauses',
  part,
  does: `a ${process} is held still (SIGSTOP) for longer than any lease, then goes on as if nothing had happened`,
  presses: 'P2 P3 P7',
  process,
})

const server = (kind: FaultKind, part: 1 | 2, presses: string, does: string): Fault => ({
  kind,
  lane: 'servers',
  part,
  does,
  presses,
})

const partner = (part: 1 | 2, does: string, rule: Omit<OutsideRule, 'at'>): Fault => ({
  kind: 'partner-fault',
  lane: 'outside',
  part,
  does,
  presses: 'P7 P8',
  rule: { at: 'partner', ...rule },
})

const supplier = (part: 1 | 2, does: string, rule: Omit<OutsideRule, 'at'>): Fault => ({
  kind: 'supplier-fault',
  lane: 'outside',
  part,
  does,
  presses: 'P7 P8',
  rule: { at: 'supplier', ...rule },
})

const done = { times: 1, effect: 'perform' } as const
const undone = { times: 1, effect: 'skip' } as const
const garbage = { status: 200, body: '<html>maintenance</html>' }

export const faults = {
  'kill-command-api': kill('command-api', 1),
  'kill-projections': kill('projections', 1),
  'kill-query-api': kill('query-api', 1),
  'kill-relay': kill('relay', 2),
  'kill-workers': kill('workers', 2),

  'pause-relay': pause('relay', 1),
  'pause-workers': pause('workers', 1),
  'pause-command-api': pause('command-api', 2),
  'pause-projections': pause('projections', 2),
  'pause-query-api': pause('query-api', 2),

  'kafka-stop': server('kafka-stop', 1, 'P9', 'Kafka is stopped and started again after a while'),
  'kafka-kill': server('kafka-kill', 2, 'P2 P9', 'Kafka is killed and started again at once'),
  'kafka-wipe': server('kafka-wipe', 2, 'P2 P9', 'Kafka is killed and comes back without any data'),
  'redis-empty': server('redis-empty', 1, 'P9', 'FLUSHALL: queues, limits, locks and remembered positions are gone'),
  'redis-stop': server('redis-stop', 1, 'P9 P11', 'Redis is stopped and started again after a while'),
  'postgres-fast': {
    ...server('postgres-restart', 2, 'P1 P9', 'Postgres is restarted; transactions are cut'),
    signal: 'SIGINT',
  },
  'postgres-immediate': {
    ...server('postgres-restart', 1, 'P1 P9', 'Postgres ends without a checkpoint and recovers from its journal'),
    signal: 'SIGQUIT',
  },
  'postgres-cut': server('postgres-cut', 1, 'P1 P9', 'every connection to both databases is cut by the server'),
  'poisoned-bookings': server(
    'poison',
    1,
    'P5',
    "a read model cannot apply one member's bookings until it is repaired and their streams are retried",
  ),
  restore: server(
    'restore',
    2,
    'P7 P9',
    'the write database goes back to an earlier backup, and the log is republished',
  ),

  'partner-deduct-lost-done': partner(1, 'a deduction that happens and is never answered', {
    operation: 'deduct',
    ...done,
    answer: 'hang',
  }),
  'partner-deduct-lost-undone': partner(2, 'a deduction that does not happen and is never answered', {
    operation: 'deduct',
    ...undone,
    answer: 'hang',
  }),
  'partner-deduct-late': partner(1, 'deductions that happen after their caller gave up', {
    operation: 'deduct',
    ...done,
    times: 3,
    effectDelayMs: 2500,
  }),
  'partner-deduct-500-done': partner(2, 'a deduction that happens and is answered with 500', {
    operation: 'deduct',
    ...done,
    answer: { status: 500 },
  }),
  'partner-deduct-500-undone': partner(1, 'a deduction that does not happen and is answered with 500', {
    operation: 'deduct',
    ...undone,
    answer: { status: 500 },
  }),
  'partner-deduct-202': partner(2, 'a deduction that happens and is answered with 202', {
    operation: 'deduct',
    ...done,
    answer: { status: 202, body: {} },
  }),
  'partner-deduct-cut': partner(1, 'a deduction that happens, and the connection is cut', {
    operation: 'deduct',
    ...done,
    answer: 'reset',
  }),
  'partner-deduct-garbage': partner(2, 'a deduction that happens and is answered with a page of HTML', {
    operation: 'deduct',
    ...done,
    answer: garbage,
  }),
  'partner-deduct-slow': partner(1, 'deductions that take almost as long as we wait', {
    operation: 'deduct',
    ...done,
    times: 4,
    delayMs: 1200,
  }),
  'partner-refund-lost-done': partner(2, 'a refund that happens and is never answered', {
    operation: 'refund',
    ...done,
    answer: 'hang',
  }),
  'partner-refund-lost-undone': partner(1, 'a refund that does not happen and is never answered', {
    operation: 'refund',
    ...undone,
    answer: 'hang',
  }),
  'partner-refund-500-done': partner(1, 'a refund that happens and is answered with 500', {
    operation: 'refund',
    ...done,
    answer: { status: 500 },
  }),
  'partner-refund-500-undone': partner(2, 'a refund that does not happen and is answered with 500', {
    operation: 'refund',
    ...undone,
    answer: { status: 500 },
  }),
  'partner-unavailable': partner(2, 'a partner that answers 503 to everything for a while', {
    operation: '*',
    ...undone,
    times: 12,
    answer: { status: 503 },
  }),
  'partner-balance-garbage': partner(1, 'balances that cannot be read', {
    operation: 'balance',
    ...done,
    times: 4,
    answer: garbage,
  }),
  'partner-reset': {
    kind: 'partner-reset',
    lane: 'outside',
    part: 2,
    does: "the partner's hourly reset: balances return to what they were, transactions are forgotten",
    presses: 'P7 P8',
  },

  'supplier-order-lost-done': supplier(1, 'an order that is made and never answered', {
    operation: 'orders.create',
    ...done,
    answer: 'hang',
  }),
  'supplier-order-lost-undone': supplier(2, 'an order that is not made and never answered', {
    operation: 'orders.create',
    ...undone,
    answer: 'hang',
  }),
  'supplier-order-late': supplier(2, 'an order that is made after its caller gave up', {
    operation: 'orders.create',
    ...done,
    effectDelayMs: 4000,
  }),
  'supplier-order-500-done': supplier(2, 'an order that is made and answered with 500', {
    operation: 'orders.create',
    ...done,
    answer: { status: 500 },
  }),
  'supplier-order-500-undone': supplier(1, 'an order that is not made and answered with 500', {
    operation: 'orders.create',
    ...undone,
    answer: { status: 500 },
  }),
  'supplier-order-202': supplier(1, 'an order that is made and answered with 202', {
    operation: 'orders.create',
    ...done,
    // Of an order that it will make, on no route where it refuses: then this answer is a lie that is found out after POLL_WINDOW_MS.
    match: { origin: 'JFK' },
    answer: { status: 202, body: { data: null } },
  }),
  'supplier-order-cut': supplier(2, 'an order that is made, and the connection is cut', {
    operation: 'orders.create',
    ...done,
    answer: 'reset',
  }),
  'supplier-order-garbage': supplier(1, 'an order that is made and answered with a page of HTML', {
    operation: 'orders.create',
    ...done,
    answer: garbage,
  }),
  'supplier-order-slow': supplier(2, 'orders that take almost as long as we wait', {
    operation: 'orders.create',
    ...done,
    delayMs: 2500,
  }),
  'supplier-order-502': supplier(1, 'an order that is guaranteed not to have been made', {
    operation: 'orders.create',
    ...undone,
    answer: { status: 502, code: 'order_not_created' },
  }),
  'supplier-pay-lost-done': supplier(2, 'a payment of a held order that happens and is never answered', {
    operation: 'payments.create',
    ...done,
    answer: 'hang',
  }),
  'supplier-pay-lost-undone': supplier(1, 'a payment of a held order that does not happen and is never answered', {
    operation: 'payments.create',
    ...undone,
    answer: 'hang',
  }),
  'supplier-cancel-lost-done': supplier(1, 'a cancellation of an order that happens and is never answered', {
    operation: 'order_cancellations.confirm',
    ...done,
    answer: 'hang',
  }),
  'supplier-cancel-lost-undone': supplier(2, 'a cancellation of an order that does not happen and is never answered', {
    operation: 'order_cancellations.confirm',
    ...undone,
    answer: 'hang',
  }),
  'supplier-lookup-500': supplier(2, 'a supplier that cannot be asked what became of an order', {
    operation: 'orders.list',
    ...undone,
    times: 3,
    answer: { status: 500 },
  }),

  'duplicate-jobs': {
    kind: 'duplicate-job',
    lane: 'queue',
    part: 1,
    does: 'jobs of steps that are open now are put into the queue twice more, under other ids',
    presses: 'P7',
  },
  'stale-jobs': {
    kind: 'stale-job',
    lane: 'queue',
    part: 2,
    does: 'jobs of attempts that ended long ago come back',
    presses: 'P7 P13',
  },
  // What it put off by BullMQ's own delays, which count by the worker's clock, waits a minute more once the clock is right again.
  'worker-clock-ahead': {
    kind: 'worker-clock',
    lane: 'queue',
    part: 'long',
    does: 'the clock of one worker process is a minute ahead',
    presses: 'P7 P8',
    process: 'workers',
    shiftMs: 60_000,
  },
  'worker-clock-behind': {
    kind: 'worker-clock',
    lane: 'queue',
    part: 1,
    does: 'the clock of one worker process is a minute behind',
    presses: 'P7 P8',
    process: 'workers',
    shiftMs: -60_000,
  },
} as const satisfies Record<string, Fault>

export type FaultName = keyof typeof faults
export const faultNames = Object.keys(faults) as FaultName[]
export const faultOf = (name: FaultName): Fault => faults[name]
