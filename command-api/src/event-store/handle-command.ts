/**
 * The only place that loads, decides and appends. One command, one or several streams, all or nothing (P1): events, the
 * steps that follow from them, effects and the idempotency record commit together or not at all.
 *
 * Round trips: one for a command that only starts streams; otherwise one to load (and to look the key up) and one to append.
 * A lost version check loads and decides again, a bounded number of times.
 */

import assert from 'node:assert/strict'
import { mergePositions, type Positions } from '@portolan/infra/consistency-token.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { type Actor, type EventEnvelope, type Metadata, metadataSchema } from '@portolan/schemas/envelope.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { currentVersion, validateEvent } from '@portolan/schemas/event-catalogue.ts'
import type pg from 'pg'
import type { AppendCommand, Appender, AppendOutcome, Effect, NewEvent, StreamAppend } from './append.ts'
import type { Clock } from './clock.ts'
import {
  createSingleFlight,
  type IdempotencyRecord,
  type IdempotencyScope,
  isRecorded,
  recordQuery,
  replay,
} from './idempotency.ts'
import { createKeyedMutex } from './keyed-mutex.ts'
import type { LogTopics } from './log-topics.ts'
import {
  foldStream,
  type Loaded,
  loadWhole,
  nothingLoaded,
  type StoredEvent,
  streamsQuery,
  type WantedStream,
} from './read.ts'
import { createSnapshots } from './snapshots.ts'
import { reconcileSteps } from './steps.ts'
import type { StreamType } from './stream-type.ts'

export interface CommandContext {
  tenantId: string
  actor: Actor
  correlationId: string
  /** Id of the message that caused the command; null for a request from outside. */
  causationId: string | null
  traceparent?: string
  mockError?: string
}

type DomainEvent = { type: string; data: unknown }

export interface StreamRequest<State = unknown, Event extends DomainEvent = DomainEvent> {
  type: StreamType<State, Event>
  stream: string
  /** Not loaded; the append expects that it does not exist. Should it exist, it is loaded and decided on after all. */
  isNew?: boolean
}

type StreamRequests = Record<string, StreamRequest>
type StateOf<R extends StreamRequest> = ReturnType<R['type']['initialState']>
type EventOf<R extends StreamRequest> = Parameters<R['type']['evolve']>[1]
export type StatesOf<M extends StreamRequests> = { [K in keyof M]: StateOf<M[K]> }

export interface Decision<M extends StreamRequests> {
  events: { [K in keyof M]?: readonly EventOf<M[K]>[] }
  effects?: Effect[]
  /** The command is refused with this although the events are recorded, because they were due whatever it asked for. */
  refusal?: Rejection | undefined
}

export interface CommandRequest<M extends StreamRequests> {
  context: CommandContext
  streams: M
  /** Pure; may be called several times. now: the database's clock, ISO 8601. Throws a Rejection to refuse. */
  decide(states: StatesOf<M>, now: string): Decision<M>
  idempotency?: IdempotencyScope
}

export type Handled<M extends StreamRequests> =
  | {
      replayed: false
      /** After the command. */
      states: StatesOf<M>
      versions: { [K in keyof M]: number }
      /** Empty when the decision was that nothing changes. */
      appended: EventEnvelope[]
      /** Of the events loaded and appended: what an answer to this command reflects. */
      positions: Positions
      /** Present when the decision named one: to be thrown once the positions are noted. */
      refusal?: Rejection | undefined
    }
  /** An earlier request with this idempotency key succeeded; load what `reference` names to answer. */
  | ({ replayed: true } & IdempotencyRecord)

export interface HandleDeps {
  /** With pipelining. */
  pool: pg.Pool
  appender: Appender
  topics: LogTopics
  clock: Clock
  metrics: Metrics
  newId: () => string
}

const ATTEMPTS_MAX = 10
const BACKOFF_MAX_MS = 20

interface Plan {
  /** Null when there is nothing to write. */
  command: AppendCommand | null
  states: Record<string, unknown>
  versions: Record<string, number>
  refusal?: Rejection | undefined
}

/** Creates the process's `handle` and what belongs to its idempotency. */
export function createHandle(deps: HandleDeps) {
  const { pool, appender, clock, metrics } = deps
  const duration = metrics.histogram('command_duration_seconds', 'Commands from load to commit', ['outcome'])
  const conflicts = metrics.counter('command_conflicts_total', 'Lost version checks, decided again')
  const holdStreams = createKeyedMutex()
  const snapshots = createSnapshots(pool, metrics)

  /**
   * Handles a command.
   * Rejects: what `decide` or an effect throws, or what the key's first request was rejected with; idempotency-mismatch;
   * idempotency-busy and version-conflict when others hold the same rows for too long. Anything else is a fault, after which
   * the command may have been committed or not.
   */
  async function handle<M extends StreamRequests>(request: CommandRequest<M>): Promise<Handled<M>> {
    const stopTimer = duration.startTimer()
    const loaded = Object.values(request.streams).filter(({ isNew }) => !isNew)
    // Commands of this process to one stream go one after the other, or all but one would decide in vain.
    const release = await holdStreams(loaded.map(({ stream }) => `${request.context.tenantId}/${stream}`))
    try {
      const handled = await decideAndAppend(request)
      stopTimer({ outcome: handled.replayed ? 'replayed' : handled.appended.length > 0 ? 'appended' : 'unchanged' })
      return handled
    } catch (error) {
      stopTimer({ outcome: error instanceof Rejection ? 'rejected' : 'fault' })
      throw error
    } finally {
      release()
    }
  }

  async function decideAndAppend<M extends StreamRequests>(request: CommandRequest<M>): Promise<Handled<M>> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const before = await load(request, attempt > 1)
      if (before.record) return { replayed: true, ...before.record }
      const states = mapValues(before.streams, ({ state }) => state) as StatesOf<M>
      let decision: Decision<M>
      try {
        decision = request.decide(states, notBefore(before.streams, clock.now()))
      } catch (error) {
        return recordRejection(request.context.tenantId, request.idempotency, error)
      }
      const plan = makePlan(deps, request, before.streams, decision)
      const outcome: AppendOutcome | null = plan.command ? await appender.append(plan.command) : null
      if (outcome === null || outcome.kind === 'committed') {
        if (outcome) deps.topics.sawGeneration(outcome.generation)
        const handled = done(request, before.streams, plan, outcome)
        if (!handled.replayed) keepSnapshots(request, before.streams, plan, handled.appended)
        return handled
      }
      if (outcome.kind === 'refused') {
        return recordRejection(request.context.tenantId, request.idempotency, outcome.rejection)
      }
      if (outcome.kind === 'conflict') {
        conflicts.inc()
        await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(attempt * 2, BACKOFF_MAX_MS)))
      }
      // A duplicate: the next load finds the record.
    }
    throw new Rejection('version-conflict', 'This resource is being changed by others; try again')
  }

  /**
   * Answers with a rejection, and records it under the key when it is a rule's (P10); for rejections found before a command is
   * made, too. Throws `error`, or what the key's first request was rejected with; returns when that request had succeeded.
   */
  async function recordRejection(
    tenantId: string,
    idempotency: IdempotencyScope | undefined,
    error: unknown,
  ): Promise<{ replayed: true } & IdempotencyRecord> {
    if (!idempotency || !(error instanceof Rejection) || !isRecorded(error)) throw error
    const record = { ...idempotency, reference: null, rejection: error }
    const outcome = await appender.append({ tenantId, streams: [], effects: [], idempotency: record })
    if (outcome.kind !== 'duplicate') throw error
    const earlier = await findRecord(tenantId, idempotency)
    if (!earlier) throw error
    return { replayed: true, ...earlier }
  }

  /**
   * What an earlier request with this key came to, for routes with lookups before their command; null when there was none.
   * Rejects: idempotency-mismatch, and what that request was rejected with.
   */
  async function findRecord(tenantId: string, idempotency: IdempotencyScope): Promise<IdempotencyRecord | null> {
    const [result] = await withTenant(pool, tenantId, [recordQuery(tenantId, idempotency)])
    return replay(result, idempotency)
  }

  async function load<M extends StreamRequests>(
    { context, streams, idempotency }: CommandRequest<M>,
    isAgain: boolean,
  ) {
    const { tenantId } = context
    const known = Object.entries(streams).filter(([, { isNew }]) => !isNew || isAgain)
    const lookUp = idempotency && (known.length > 0 || isAgain) ? idempotency : undefined
    const wanted = known.map(([, { stream, type }]) => ({ stream, type, after: 0 }))
    const { rows, record } = await read(tenantId, wanted, lookUp)
    const loaded: Record<string, Loaded<unknown>> = {}
    for (const [name, { type, stream }] of Object.entries(streams)) {
      const nth = known.findIndex(([other]) => other === name) + 1
      const own =
        nth > 0
          ? foldStream(
              type,
              rows.filter((row) => row.nth === nth),
            )
          : nothingLoaded(type)
      loaded[name] = own ?? (await loadWhole(pool, tenantId, type, stream))
      deps.topics.sawGeneration(loaded[name].generation)
    }
    return { streams: loaded, record }
  }

  /** In one round trip; the statement that loads sets the tenant by itself, a look-up beside it needs a transaction that does. */
  async function read(tenantId: string, wanted: WantedStream[], lookUp: IdempotencyScope | undefined) {
    const streams = wanted.length > 0 ? [streamsQuery(tenantId, wanted)] : []
    if (!lookUp) {
      const [only] = streams
      return { rows: only ? (await pool.query<StoredEvent>(only)).rows : [], record: null }
    }
    const results = await withTenant(pool, tenantId, [...streams, recordQuery(tenantId, lookUp)])
    const rows: StoredEvent[] = streams.length > 0 ? (results[0]?.rows ?? []) : []
    return { rows, record: replay(results.at(-1), lookUp) }
  }

  /** Of the streams that have grown long, as they stand after the command. */
  function keepSnapshots(
    { context: { tenantId }, streams }: CommandRequest<StreamRequests>,
    before: Record<string, Loaded<unknown>>,
    plan: Plan,
    appended: readonly EventEnvelope[],
  ): void {
    for (const [name, { type, stream }] of Object.entries(streams)) {
      if (!type.snapshots) continue
      const own = appended.filter((event) => event.stream === stream)
      const last = own.at(-1)
      if (!last) continue
      const { folded } = before[name] as Loaded<unknown>
      const { streamVersion: version, eventId } = last
      snapshots.keep({
        tenantId,
        stream,
        type,
        state: plan.states[name],
        version,
        eventId,
        folded: folded + own.length,
      })
    }
  }

  return {
    handle,
    recordRejection,
    findRecord,
    singleFlight: createSingleFlight(),
    /** Waits for what is written behind the commands' backs; call before the pools end. */
    settle: snapshots.settle,
  }
}

export type CommandStore = ReturnType<typeof createHandle>
export type CommandHandler = CommandStore['handle']

/** Events and steps that follow from the decision, and the states behind them. */
function makePlan<M extends StreamRequests>(
  { topics, newId }: HandleDeps,
  { context, streams, idempotency }: CommandRequest<M>,
  before: Record<string, Loaded<unknown>>,
  decision: Decision<M>,
): Plan {
  const states: Record<string, unknown> = {}
  const versions: Record<string, number> = {}
  const appends: StreamAppend[] = []
  const metadata = metadataOf(context)
  const unknown = Object.keys(decision.events).filter((name) => !Object.hasOwn(streams, name))
  assert.deepEqual(unknown, [], 'a decision names a stream that the command did not load')
  for (const [name, request] of Object.entries(streams)) {
    const { state, version } = before[name] as Loaded<unknown>
    const decided = applyEvents(request.type, state, decision.events[name] ?? [])
    const events = decided.events.map((event): NewEvent => {
      const schemaVersion = currentVersion(request.type.catalogue, event.type)
      return { eventId: newId(), type: event.type, schemaVersion, data: event.data, metadata }
    })
    states[name] = decided.state
    versions[name] = version + events.length
    if (events.length === 0 && version === 0) continue // nothing to append, and no version to check
    const { topic } = request.type
    const partition = topics.partitionOf(topic, context.tenantId, request.stream)
    appends.push({ stream: request.stream, topic, partition, expected: version, events })
  }
  const effects = decision.effects ?? []
  const hasWork = idempotency || effects.length > 0 || appends.some(({ events }) => events.length > 0)
  const { tenantId } = context
  const record = idempotency && refusedRecord(idempotency, decision.refusal)
  const command = hasWork ? { tenantId, streams: appends, effects, idempotency: record } : null
  return { command, states, versions, refusal: decision.refusal }
}

/** The record of a key; of a refused command that is its rejection, or nothing where such a rejection is not recorded. */
function refusedRecord(scope: IdempotencyScope, refusal: Rejection | undefined) {
  if (!refusal) return scope
  return isRecorded(refusal) ? { ...scope, reference: null, rejection: refusal } : undefined
}

/** The decided events and the step events that follow, checked against the catalogue, and the state behind them. */
function applyEvents(type: StreamType<unknown, DomainEvent>, state: unknown, decided: readonly DomainEvent[]) {
  const events: DomainEvent[] = []
  let current = state
  const take = (event: DomainEvent) => {
    const checked = { type: event.type, data: validateEvent(type.catalogue, event.type, event.data) }
    current = type.evolve(current, checked)
    events.push(checked)
  }
  decided.forEach(take)
  if (events.length > 0 && type.next && type.openSteps) {
    reconcileSteps(type.openSteps(current), type.next(current)).forEach(take)
  }
  return { state: current, events }
}

/** Throws when the context does not fit: such an event could be appended, and no consumer could read it. */
function metadataOf({ correlationId, causationId, actor, traceparent, mockError }: CommandContext): Metadata {
  return metadataSchema.parse({
    correlationId,
    causationId,
    actor,
    ...(traceparent && { traceparent }),
    ...(mockError && { mockError }),
  })
}

function done<M extends StreamRequests>(
  { context }: CommandRequest<M>,
  before: Record<string, Loaded<unknown>>,
  plan: Plan,
  outcome: Extract<AppendOutcome, { kind: 'committed' }> | null,
): Handled<M> {
  const appended = outcome && plan.command ? envelopes(context.tenantId, plan.command.streams, outcome) : []
  const positions = mergePositions(
    ...Object.values(before).map((loaded) => loaded.positions),
    ...appended.map(({ topic, partition, position }) => ({ [topic]: { [partition]: position } })),
  )
  return {
    replayed: false,
    states: plan.states as StatesOf<M>,
    versions: plan.versions as { [K in keyof M]: number },
    appended,
    positions,
    refusal: plan.refusal,
  }
}

function envelopes(
  tenantId: string,
  streams: readonly StreamAppend[],
  { recordedAt, positions }: Extract<AppendOutcome, { kind: 'committed' }>,
): EventEnvelope[] {
  const all = streams.flatMap(({ stream, topic, partition, expected, events }) =>
    events.map((event, nth) => ({ ...event, tenantId, stream, streamVersion: expected + nth + 1, topic, partition })),
  )
  return all.map((event, nth) => ({ ...event, position: positions[nth] ?? Number.NaN, recordedAt }))
}

/** Time never runs backwards within a stream: another process whose clock is measured a little differently may have decided last. */
function notBefore(streams: Record<string, Loaded<unknown>>, now: string): string {
  const decided = Object.values(streams).flatMap(({ decidedAt }) => decidedAt ?? [])
  return [now, ...decided].toSorted().at(-1) ?? now
}

function mapValues<T, U>(values: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]))
}
