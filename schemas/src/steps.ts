/**
 * Steps: work on the outside world, asked for by events and kept open until reported.
 *
 * A step's life within its stream:
 *   StepRequested ──► (AttemptStarted ──►) AttemptEnded          the step was worked on and reported
 *        └──────────────────────────────► StepWithdrawn          the process manager no longer wants it
 * Only steps that move money, orders or refunds are claimed (AttemptStarted); a claimed attempt is never
 * withdrawn: it ends by a report, or by `attempt-watch` as an unknown outcome.
 */
import { z } from 'zod'
import { instantSchema } from './envelope.ts'
import { event } from './event-catalogue.ts'

export const outcomeSchema = z.discriminatedUnion('kind', [
  /** It happened. `result` is step-specific. */
  z.object({ kind: z.literal('succeeded'), result: z.record(z.string(), z.unknown()) }),
  /** 202: accepted, the outcome comes later; the call must never be repeated. */
  z.object({ kind: z.literal('accepted'), result: z.record(z.string(), z.unknown()).optional() }),
  /** A rule of the other side (4xx, or a 5xx that guarantees no side effect): it did not happen and will not. */
  z.object({
    kind: z.literal('refused'),
    code: z.string().max(100),
    result: z.record(z.string(), z.unknown()).optional(),
  }),
  /** 429, 503, connection refused: it did not happen; another attempt may. `retryAfterMs` includes jitter. */
  z.object({ kind: z.literal('not-done'), code: z.string().max(100), retryAfterMs: z.int().min(0).max(86_400_000) }),
  /** Timeout, connection cut after sending, 500 on a creating call: nobody knows. */
  z.object({ kind: z.literal('unknown'), code: z.enum(['timeout', 'connection-cut', 'server-error', 'no-report']) }),
])
export type Outcome = z.infer<typeof outcomeSchema>

/** The four events every stream with steps may hold; each vertical's catalogue includes them. */
export const stepEvents = {
  StepRequested: event(
    z.object({
      step: z.string().min(1).max(50),
      attempt: z.int().min(1),
      /** Not to be worked on before. */
      dueAt: instantSchema,
      /** After this instant the attempt must not start; what happens instead is the decider's rule. */
      deadline: instantSchema,
      /** What the worker needs; personal data only sealed. */
      input: z.record(z.string(), z.unknown()),
    }),
  ),
  AttemptStarted: event(
    z.object({
      step: z.string(),
      attempt: z.int().min(1),
      /** Made in the worker's memory for this one execution; any other execution is refused. */
      executionId: z.uuid(),
      /** When the claim was granted; absent in older events. */
      at: instantSchema.optional(),
      /** The worker sends nothing after this instant. */
      callBefore: instantSchema,
      /** Without a report by then the outcome counts as unknown: callBefore + call timeout + 40 s. */
      lostAt: instantSchema,
    }),
  ),
  AttemptEnded: event(
    z.object({
      step: z.string(),
      attempt: z.int().min(1),
      outcome: z.enum(['succeeded', 'accepted', 'refused', 'not-done', 'unknown']),
      code: z.string().max(100).nullable(),
      /** Set when another attempt is wanted: not before this instant. */
      retryAt: instantSchema.nullable(),
      at: instantSchema,
    }),
  ),
  StepWithdrawn: event(
    z.object({
      step: z.string(),
      attempt: z.int().min(1),
      /** Of the request that is taken back; absent in older events. */
      dueAt: instantSchema.optional(),
    }),
  ),
} as const

/** What a process manager's `next(state)` returns: the full set of steps that are wanted now. */
export interface WantedStep {
  step: string
  attempt: number
  dueAt: string
  deadline: string
  input: Record<string, unknown>
}

/** A step that is open in a stream's state, kept by `evolveSteps`. */
export interface OpenStep extends WantedStep {
  /** at: when it was granted; absent for claims recorded before that was kept. */
  claim: { executionId: string; at?: string; callBefore: string; lostAt: string } | null
}

/** A step as dispatch and sweep hand it to a worker. */
export const stepJobSchema = z.object({
  tenantId: z.string(),
  stream: z.string(),
  step: z.string(),
  attempt: z.int().min(1),
  dueAt: instantSchema,
  deadline: instantSchema,
  input: z.record(z.string(), z.unknown()),
  correlationId: z.string(),
  /** Id of the StepRequested event. */
  causationId: z.string().nullable(),
  mockError: z.string().optional(),
  traceparent: z.string().optional(),
})
export type StepJob = z.infer<typeof stepJobSchema>

/**
 * `POST /internal/steps/overdue`: a page of the open steps that fell due more than graceMs ago, a share of each tenant and step.
 * Answers `{ steps: StepJob[] }`; those of one tenant and step are in the order of `dueAt`, then `stream`.
 */
export const overdueStepsSchema = z.object({
  limit: z.int().min(1).max(1000),
  graceMs: z.int().min(0).max(600_000),
  /** Of every tenant and step that earlier pages held: the last one there, or null when no more are wanted. */
  seen: z
    .array(
      z.object({
        tenantId: z.string(),
        step: z.string(),
        upTo: z.object({ dueAt: instantSchema, stream: z.string() }).nullable(),
      }),
    )
    .max(5000)
    .default([]),
})
export type OverdueSteps = z.infer<typeof overdueStepsSchema>
export type SweptSteps = OverdueSteps['seen'][number]

/** Answer of `GET /internal/clock`: the database's clock, which every instant above is measured by. */
export const databaseClockSchema = z.object({ now: instantSchema })

/** Identifies one attempt in the internal protocol between workers and command-api. */
const attemptRef = {
  tenantId: z.string(),
  stream: z.string(),
  step: z.string(),
  attempt: z.int().min(1),
  /** Whose member-account stream takes part; from the step's input. */
  memberId: z.string().nullable(),
  correlationId: z.string(),
  causationId: z.string().nullable(),
  /** Handed back from the job, so that steps asked for by this report inherit them. */
  mockError: z.string().max(50).optional(),
  traceparent: z.string().max(100).optional(),
}

/** `POST /internal/attempts/start`: claims the one call of this attempt. */
export const startAttemptSchema = z.object({
  ...attemptRef,
  executionId: z.uuid(),
  /**
   * The worker sends nothing later than this after it asked, by a clock that only it reads: callBefore is the database's instant of the
   * grant plus this, so that no two clocks are ever compared.
   */
  callWithinMs: z.int().min(1).max(300_000),
  /** How long the call may take at most; with callBefore it bounds when an unreported attempt counts as lost. */
  callTimeoutMs: z.int().min(1).max(600_000),
})
export type StartAttempt = z.infer<typeof startAttemptSchema>

export const startAttemptAnswerSchema = z.discriminatedUnion('granted', [
  z.object({ granted: z.literal(true) }),
  /**
   * over: this attempt is claimed by another execution, ended or withdrawn; forget the job.
   * busy: another movement of this member is open; ask again after retryAfterMs.
   */
  z.object({ granted: z.literal(false), reason: z.enum(['over', 'busy']), retryAfterMs: z.int().nullable() }),
])
export type StartAttemptAnswer = z.infer<typeof startAttemptAnswerSchema>

/** `POST /internal/attempts/record-balance`: the balance read under the claim, before the call. Same answer shape as start. */
export const recordBalanceSchema = z.object({
  ...attemptRef,
  executionId: z.uuid(),
  balance: z.int(),
  readAt: instantSchema,
})
export type RecordBalance = z.infer<typeof recordBalanceSchema>

/** `POST /internal/attempts/report`: 204 always when accepted or already known; repeating it is harmless. */
export const reportOutcomeSchema = z.object({
  ...attemptRef,
  /** Null for steps that need no claim (timers, lookups, polls). */
  executionId: z.uuid().nullable(),
  outcome: outcomeSchema,
})
export type ReportOutcome = z.infer<typeof reportOutcomeSchema>
