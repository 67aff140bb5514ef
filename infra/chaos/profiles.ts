/** How long things take in a run: `short` fits into the tests, `long` is as slow as reality where that matters. */
import type { FaultKind } from './evidence.ts'

export const profileNames = ['short', 'long'] as const
export type ProfileName = (typeof profileNames)[number]

export interface Profile {
  name: ProfileName
  /** How long members ask and faults are injected, unless minutes are given. */
  loadMs: number
  /** How often the list of faults is gone through in that time; each time in another order. */
  roundMs: number
  /** Faults and kill points of one part only, by the seed's parity, so that two neighbouring seeds cover everything. */
  isSplit: boolean
  /** How long a fault of this kind lasts; others are over at once. */
  lastsMs: Partial<Record<FaultKind, number>>
  /** A process is started again as often as this on average, to die at its next kill point. */
  armedForMs: { least: number; most: number }
  members: number
  /** Longest pause of a member between two things, in ms. */
  pauseMs: number
  /** How long the system may take to come to rest once the last fault is over. */
  quietWithinMs: number
}

export const profiles: Record<ProfileName, Profile> = {
  short: {
    name: 'short',
    loadMs: 34_000,
    roundMs: 34_000,
    isSplit: true,
    lastsMs: {
      // Longer than Kafka's session (6 s), the relay's lease and a job's lock (2 s each).
      pause: 8_000,
      'kafka-stop': 10_000,
      'redis-stop': 3_000,
      'worker-clock': 12_000,
      poison: 2_000,
      restore: 3_000,
    },
    armedForMs: { least: 1_500, most: 7_000 },
    members: 14,
    pauseMs: 500,
    quietWithinMs: 60_000,
  },
  long: {
    name: 'long',
    loadMs: 240_000,
    roundMs: 240_000,
    isSplit: false,
    lastsMs: {
      pause: 15_000,
      'kafka-stop': 60_000,
      'redis-stop': 15_000,
      'worker-clock': 40_000,
      poison: 10_000,
      restore: 8_000,
    },
    armedForMs: { least: 5_000, most: 25_000 },
    members: 20,
    pauseMs: 800,
    quietWithinMs: 120_000,
  },
}

/** An operator of the laboratory decides some approvals after that. */
export const approvalTtlMs = 12_000

/** The settings of the system under test that differ from those of the end-to-end tests. */
export const environment: Record<string, string> = {
  // A clock that is a minute wrong is to be caught by what is done about it, not by a window that is shorter than in production.
  RECONCILE_WINDOW_MS: '180000',
  POLL_WINDOW_MS: '180000',
  STEP_WINDOW_MS: '20000',
  // Calls that happen late do so a second after their caller gave up; a slow machine needs seconds more to begin with them.
  RECONCILE_SETTLE_MS: '5000',
  APPROVAL_TTL_MS: String(approvalTtlMs),
  JOB_LOCK_MS: '2000',
  RELAY_LEASE_MS: '2000',
  RELAY_POLL_MS: '500',
  BREAKER_HALF_OPEN_MS: '1000',
  WAIT_DEFAULT_SECONDS: '5',
  RATE_LIMIT: '1000000',
}
