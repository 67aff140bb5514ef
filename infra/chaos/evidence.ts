/**
 * What the laboratory hands to the invariants once the system has come to rest: where to look, and what only it can know, namely what it
 * sent, what it was answered, and what it broke. Everything is plain JSON, so that a run can be kept and judged again.
 *
 * Instants are UTC, ISO 8601 with milliseconds, by the clock of the laboratory, which is also that of the databases and stand-ins.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { World } from './invariants/world.ts'

export interface Evidence {
  seed: number
  /** Both databases as their administrator, who sees every tenant. */
  writeUrl: string
  readUrl: string
  kafka: { brokers: string[]; topicPrefix: string }
  redis: { url: string; keyPrefix: string }
  /** Base addresses of the stand-ins; `/_sandbox/*` below them tells what really happened. */
  duffelUrl: string
  partnerUrl: string
  /** What the partner held just before each of its resets, in order; the period since the last one is asked for at the end. */
  partnerPeriods: PartnerPeriod[]
  /** Members the laboratory added, with the balance they started with and return to at a reset. */
  members: { tenantId: string; memberId: string; balance: number }[]
  /** Added to the environment of `npm run ops -- …`: addresses, prefixes, the service token. */
  opsEnv: Record<string, string>
  /** One file per incarnation of a process: `<name>.<n>.log`, standard output and error. */
  logFolder: string
  requests: SentRequest[]
  reads: Read[]
  faults: InjectedFault[]
  /** Names, e-mails, phones, birth dates and reasons that were sent: found in clear nowhere but in answers. Each at least 6 characters. */
  personalData: string[]
  /** Events that a restored backup lacked: lost by definition. In the order of their positions. */
  lostEvents: StoredEvent[]
  /** Ids of those among them that Kafka held when they were lost: of the others nobody can know. */
  lostAndSent: string[]
  /** Idempotency records that a restored backup lacked: what was answered under them may be answered anew. */
  lostKeys: { tenantId: string; principal: string; method: string; path: string; key: string }[]
}

/** What `GET /_sandbox/state` of the partner answered before a reset. */
export interface PartnerPeriod {
  /** Instant of the reset that ended it. */
  endedAt: string
  members: Record<string, { balance: number }>
  transactions: PartnerTransaction[]
}

export interface PartnerTransaction {
  transaction_id: string
  type: 'deduct' | 'refund'
  member_id: string
  amount: number
  /** Of the deduction, also on its refund: `<bookingId>:deduct:<attempt>`. */
  reference_id: string
  /** The refunded deduction's id; only on refunds. */
  refunds?: string
}

/** One command of a member or operator, with every time it was sent under the same key. */
export interface SentRequest {
  tenantId: string
  /** Who sent it: `member:<id>`, or `staff:<email>`. */
  principal: string
  method: 'POST'
  /** Path below the process's address. */
  path: string
  idempotencyKey: string | null
  body: unknown
  tries: Try[]
}

export interface Try {
  /** Name of the process that was asked. */
  process: string
  sentAt: string
  /** When the answer was complete or the connection was found broken. */
  endedAt: string
  /** Null without an answer; then `error` says why. */
  status: number | null
  error?: string
  body?: unknown
  /** `Consistency-Token` of the answer. */
  token: string | null
}

/** One read of what the reader may have written. */
export interface Read extends Try {
  tenantId: string
  /** `member:<id>`: earlier answers to the same principal are what it must not fall behind. */
  principal: string
  /** `/api/v1/bookings`, with a query or not, or `/api/v1/bookings/<id>`. */
  path: string
  /** The `Consistency-Token` that was sent. */
  sentToken: string | null
}

export interface InjectedFault {
  kind: FaultKind
  /** What was hit: a process, a server, an operation of a stand-in. */
  target: string
  from: string
  /** When it was over: the server answered again, the process went on or was replaced, the rule was used up. */
  until: string
  details?: Record<string, unknown>
}

/** The kinds of faults; invariants excuse what some of them make impossible to keep, and nothing else. */
export const faultKinds = [
  'kill-at-point',
  'kill',
  'pause',
  'kafka-stop',
  'kafka-kill',
  'kafka-wipe',
  'redis-empty',
  'redis-stop',
  'postgres-restart',
  'postgres-cut',
  /** A read model refuses one member's bookings for a while; then an operator retries them. */
  'poison',
  /** The write database goes back to an earlier backup. */
  'restore',
  /** The partner's hourly reset: balances go back, transactions are forgotten. */
  'partner-reset',
  'partner-fault',
  'supplier-fault',
  'duplicate-job',
  'stale-job',
  'worker-clock',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** A row of `events` as the invariants read it. */
export interface StoredEvent {
  topic: string
  partition: number
  position: number
  eventId: string
  tenantId: string
  stream: string
  streamVersion: number
  type: string
  // biome-ignore lint/suspicious/noExplicitAny: events of every vertical and version; each invariant knows the fields of its types
  data: any
  /** Null for a request from outside. */
  causationId: string | null
  recordedAt: string
}

/** Something that a promise forbids. */
export interface Violation {
  /** One sentence with the ids to look for. */
  what: string
  details?: unknown
}

export interface Invariant {
  name: string
  /** The promises it tests, `P7` and the like. */
  promises: string[]
  /** What must be true, in one sentence. */
  says: string
  /** Violations, and notes on what was excused and why. Rejects when the evidence itself cannot be read. */
  check(world: World): Judgement | Promise<Judgement>
}

export interface Judgement {
  violations: Violation[]
  /** What the report has to list although it breaks nothing: excused movements, things in an operator's queue. */
  notes: string[]
}

/** Keeps the evidence of a run, to judge it again while its servers stand. */
export function saveEvidence(file: string, evidence: Evidence): void {
  writeFileSync(file, JSON.stringify(evidence))
}

/** What `saveEvidence` kept. */
export function loadEvidence(file: string): Evidence {
  return JSON.parse(readFileSync(file, 'utf8')) as Evidence
}
