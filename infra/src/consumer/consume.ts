/**
 * Reads topics partition by partition and hands the events on in order, each position once.
 *
 * What it guarantees: within a partition `apply` sees positions last + 1, last + 2, … and nothing else. A lower position
 * is a duplicate and skipped. A higher one is a gap: the partition is first read again from the offset equal to its last
 * position (a log without duplicates has position n at offset n - 1, duplicates only move it back, so this offset is
 * never behind the next event); if the gap remains the partition stops with an alarm and the others go on.
 *
 * A partition's life, from assignment to assignment:
 *
 *   loading ──► reading ──► stopped      a gap that remains, or a record that belongs nowhere; until the next assignment
 *      ▲           │
 *      └─ waiting ◄┘                     the sink failed past the retry schedule, or somebody else moved the checkpoint
 *
 * Where progress is kept and what happens to an event that cannot be applied is the sink's part:
 * - `createPostgresSink` (project.ts): effects, checkpoint and parked streams in one transaction; for projections.
 * - `createGroupSink` (group-sink.ts): Kafka's group offset, committed after the effects; for processes without a database.
 *
 *   const consumer = consume({ kafka, logger, metrics }, { name: 'dispatch', groupId, topics: [topics.bookings], topicPrefix, sink })
 *   …
 *   await consumer.stop()      // after the batch at hand
 */
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type { KafkaConsumer, KafkaPort, RecordBatch, StartOffset, TopicPartition } from '../kafka.ts'
import type { Logger } from '../log.ts'
import { ofGeneration } from '../log-generation.ts'
import type { Metrics } from '../telemetry.ts'
import { createConsumerMetrics } from './consumer-metrics.ts'
import { createOffsetCommits, type PartitionCheckpoint } from './offset-commits.ts'
import type { ConsumedEvent } from './record.ts'
import { type Sequence, takeSequence } from './sequence.ts'
import { isTransient } from './transient.ts'

/** Where a partition goes on: behind `position`, at Kafka's `offset`. Position 0 and offset 0: at the beginning. */
export interface Checkpoint {
  position: number
  offset: number
}

export interface Partition {
  topic: TopicName
  partition: number
}

/** Consecutive events of one partition, and the checkpoints before and after them. */
export interface EventBatch extends Partition {
  from: Checkpoint
  to: Checkpoint
  /** At least one; positions from.position + 1 to to.position. */
  events: readonly ConsumedEvent[]
}

/**
 * Commits a group offset with the position as metadata; for sinks that keep their progress in Kafka. The one that `load` is given does
 * so at once, that of `apply` a moment later (offset-commits.ts).
 */
export type CommitOffset = (partition: Partition, checkpoint: Checkpoint) => Promise<void>

export interface Sink {
  /** The checkpoint of each of these partitions, in order. A rejection is retried until it succeeds. */
  load(partitions: readonly Partition[], commit: CommitOffset): Promise<Checkpoint[]>
  /**
   * Applies the events and keeps `to`. Parks what cannot be applied by itself; a rejection means that nothing is known
   * to be done: it is retried, and never the event's fault.
   */
  apply(batch: EventBatch, commit: CommitOffset): Promise<void>
  /** Told every `freshnessMs`: everything that Kafka held at `askedAt`, by performance.now(), in these partitions is applied. */
  caughtUp?(partitions: readonly Partition[], askedAt: number): Promise<void>
}

/** Thrown by a sink whose checkpoint is not `from` any more: another member of the group owns the partition now. */
export class CheckpointMoved extends Error {
  constructor() {
    super('another consumer moved the checkpoint')
    this.name = 'CheckpointMoved'
  }
}

export interface ConsumeOptions {
  /** Names the consumer in logs and metrics. */
  name: string
  /** Kafka group, the environment's prefix included. */
  groupId: string
  topics: readonly TopicName[]
  /** KAFKA_TOPIC_PREFIX. */
  topicPrefix: string
  /** Of the log; default 1. */
  generation?: number
  sink: Sink
  /** Most events handed to `apply` at once; default 500. */
  batchSizeMax?: number
  /** Partitions applied at the same time; default 4. */
  concurrency?: number
  /** Pauses before the same batch is tried again in place; then the partition waits. Default 50, 100, 250, 500 ms. */
  retryDelaysMs?: readonly number[]
  /** How long the partition then waits, by number of failures in a row; the last one repeats. Default 1, 2, 5, 10 s. */
  waitDelaysMs?: readonly number[]
  /** How often lag and freshness are measured; default 1000. */
  freshnessMs?: number
  sessionTimeoutMs?: number
}

export interface RunningConsumer {
  /** Resolves with the first assignment; never rejects. Topics that do not exist yet are waited for. */
  joined: Promise<void>
  /** Ends after the batch at hand; what was applied stays applied. */
  stop(): Promise<void>
  /** Partitions that stopped with an alarm, for a process's health answer. */
  stopped(): Partition[]
}

interface PartitionState extends Partition {
  phase: 'reading' | 'waiting' | 'stopped'
  last: Checkpoint
  isBusy: boolean
  /** The position at which reading again from the earlier offset was tried. */
  rewoundAt: number | null
  /** Failures in a row. */
  failures: number
  /** Offset at the last measurement, and how often in a row it had not moved although there was more to read. */
  stillAt: number
  stillCount: number
}

const freshState = {
  phase: 'reading',
  isBusy: false,
  rewoundAt: null,
  failures: 0,
  stillAt: -1,
  stillCount: 0,
} as const
const stillMeasurementsMax = 3

/** Starts consuming in the background and returns at once. Needs a running `stop` before the process ends. */
export function consume(
  deps: { kafka: KafkaPort; logger: Logger; metrics: Metrics },
  options: ConsumeOptions,
): RunningConsumer {
  const { sink, topicPrefix, generation = 1 } = options
  const { batchSizeMax = 500, retryDelaysMs = [50, 100, 250, 500], waitDelaysMs = [1000, 2000, 5000, 10_000] } = options
  const logger = deps.logger.child({ consumer: options.name })
  const metrics = createConsumerMetrics(deps.metrics, options.name)
  const stopping = new AbortController()
  const nameOf = (topic: TopicName) => ofGeneration({ topicPrefix, generation }, topic)
  const topicOf = new Map<string, TopicName>(options.topics.map((topic) => [nameOf(topic), topic]))
  const states = new Map<string, PartitionState>()
  let assignments = 0

  const inKafka = ({ topic, partition }: Partition): TopicPartition => ({ topic: nameOf(topic), partition })
  const isOurs = (state: PartitionState) => !stopping.signal.aborted && states.get(keyOf(state)) === state
  const waitDelayMs = (failures: number) => waitDelaysMs[Math.min(failures, waitDelaysMs.length - 1)] ?? 1000
  const commitAll = (checkpoints: readonly PartitionCheckpoint[]) =>
    consumer.commit(checkpoints.map((one) => ({ ...inKafka(one), offset: one.offset, metadata: String(one.position) })))
  const commitNow: CommitOffset = (partition, checkpoint) => commitAll([{ ...partition, ...checkpoint }])
  const commits = createOffsetCommits(commitAll, {
    onError: (error) => logger.warn('group offsets not committed', { error }),
  })

  async function onAssigned(assigned: readonly TopicPartition[]): Promise<StartOffset[]> {
    const partitions = assigned.flatMap(({ topic, partition }) => {
      const name = topicOf.get(topic)
      return name ? [{ topic: name, partition }] : []
    })
    const assignment = ++assignments
    states.clear()
    commits.forget()
    metrics.forgetPartitions()
    const checkpoints = partitions.length > 0 ? await sink.load(partitions, commitNow) : []
    if (assignment !== assignments) return [] // a newer assignment came meanwhile and counts alone
    partitions.forEach((partition, index) => {
      const last = checkpoints[index] ?? { position: 0, offset: 0 }
      states.set(keyOf(partition), { ...partition, ...freshState, last })
    })
    logger.info('partitions assigned', { count: partitions.length })
    return [...states.values()].map((state) => ({ ...inKafka(state), offset: state.last.offset }))
  }

  async function onBatch(source: RecordBatch): Promise<void> {
    const topic = topicOf.get(source.topic)
    const state = topic && states.get(keyOf({ topic, partition: source.partition }))
    if (state?.phase !== 'reading') return
    const records = source.records.map((record) => ({ ...record, value: record.value?.toString() ?? '' }))
    const { partition, last } = state
    const { events, duplicates, offset, obstacle } = takeSequence(state.topic, partition, records, last.position)
    metrics.skipped(duplicates)
    const isCurrent = () => state.phase === 'reading' && source.isRunning() && !source.isStale() && isOurs(state)
    state.isBusy = true
    try {
      for (let start = 0; start < events.length && isCurrent(); start += batchSizeMax) {
        await applyWithRetries(state, events.slice(start, start + batchSizeMax), source)
        await source.heartbeat()
      }
      if (!isCurrent()) return
      // Behind trailing duplicates too, or the partition would seem to lag for ever.
      state.last = { ...state.last, offset: offset ?? state.last.offset }
      if (obstacle) onObstacle(state, obstacle)
    } finally {
      state.isBusy = false
    }
  }

  async function applyWithRetries(
    state: PartitionState,
    events: readonly ConsumedEvent[],
    source: RecordBatch,
  ): Promise<void> {
    const { topic, partition, last } = state
    const newest = events.at(-1)
    assert(newest, 'a batch holds at least one event')
    const batch = { topic, partition, from: last, to: { position: newest.position, offset: newest.offset + 1 }, events }
    for (let attempt = 0; ; attempt += 1) {
      const startedAt = performance.now()
      try {
        await sink.apply(batch, commits.soon)
        state.last = batch.to
        state.failures = 0
        metrics.applied(batch, performance.now() - startedAt)
        return
      } catch (error) {
        if (error instanceof CheckpointMoved) return wait(state, 0)
        metrics.retried()
        const delayMs = retryDelaysMs[attempt]
        logger[isTransient(error) ? 'warn' : 'error']('batch not applied', { topic, partition, attempt, error })
        if (delayMs === undefined || !source.isRunning()) return wait(state, waitDelayMs(state.failures++))
        await sleep(delayMs, stopping.signal)
        await source.heartbeat()
      }
    }
  }

  function onObstacle(state: PartitionState, obstacle: NonNullable<Sequence['obstacle']>): void {
    const { topic, partition, last } = state
    const fields = { topic, partition, last: last.position, ...obstacle }
    if (obstacle.kind === 'homeless' || state.rewoundAt === last.position) {
      state.phase = 'stopped'
      consumer.pause(inKafka(state))
      metrics.setStopped(state)
      logger.error('partition stopped', fields)
      return
    }
    logger.warn('gap seen, reading again from the earliest possible offset', fields)
    state.rewoundAt = last.position
    state.last = { ...last, offset: last.position }
    consumer.seek({ ...inKafka(state), offset: last.position })
  }

  /** Leaves the partition alone for a while, then goes on from wherever its checkpoint is by then. */
  function wait(state: PartitionState, delayMs: number): void {
    state.phase = 'waiting'
    consumer.pause(inKafka(state))
    void resumeLater(state, delayMs)
  }

  async function resumeLater(state: PartitionState, firstDelayMs: number): Promise<void> {
    for (let delayMs = firstDelayMs; ; delayMs = waitDelayMs(state.failures++)) {
      await sleep(delayMs, stopping.signal)
      if (!isOurs(state)) return
      try {
        const [checkpoint] = await sink.load([state], commitNow)
        if (!isOurs(state) || !checkpoint) return
        state.last = checkpoint
        state.phase = 'reading'
        consumer.seek({ ...inKafka(state), offset: checkpoint.offset })
        consumer.resume(inKafka(state))
        return
      } catch (error) {
        logger.warn('checkpoint not loaded', { topic: state.topic, partition: state.partition, error })
      }
    }
  }

  async function measure(): Promise<void> {
    const askedAt = performance.now()
    const caughtUp: Partition[] = []
    for (const topic of options.topics) {
      if (stopping.signal.aborted) return
      for (const { partition, high } of await deps.kafka.topicOffsets(nameOf(topic))) {
        const state = states.get(keyOf({ topic, partition }))
        if (!state) continue
        const lag = Math.max(0, high - state.last.offset)
        metrics.setLag(state, lag)
        if (lag > 0) nudge(state)
        else if (state.phase === 'reading') caughtUp.push({ topic, partition })
      }
    }
    if (caughtUp.length > 0) await sink.caughtUp?.(caughtUp, askedAt)
  }

  /**
   * A batch cut short by a rebalance counts as consumed in the client, which then waits behind records that nobody has
   * applied. A partition that lags and does not move is therefore sought to where it stands.
   */
  function nudge(state: PartitionState): void {
    const isStill = state.phase === 'reading' && !state.isBusy && state.stillAt === state.last.offset
    state.stillAt = state.last.offset
    state.stillCount = isStill ? state.stillCount + 1 : 0
    if (state.stillCount < stillMeasurementsMax) return
    state.stillCount = 0
    logger.warn('partition lags and does not move, seeking', { topic: state.topic, partition: state.partition })
    consumer.seek({ ...inKafka(state), offset: state.last.offset })
  }

  async function measureRegularly(): Promise<void> {
    while (!stopping.signal.aborted) {
      // Topics may not exist yet and the broker may be away: the next round will tell.
      await measure().catch((error) => logger.debug('lag not measured', { error }))
      await sleep(options.freshnessMs ?? 1000, stopping.signal)
    }
  }

  const consumer: KafkaConsumer = deps.kafka.createConsumer({
    groupId: options.groupId,
    topics: [...topicOf.keys()],
    fromBeginning: true,
    concurrency: options.concurrency ?? 4,
    sessionTimeoutMs: options.sessionTimeoutMs,
    onAssigned,
    eachBatch: onBatch,
  })
  const joined = consumer.start()
  const measuring = measureRegularly()
  return {
    joined,
    stopped: () =>
      [...states.values()]
        .filter(({ phase }) => phase === 'stopped')
        .map(({ topic, partition }) => ({ topic, partition })),
    stop: async () => {
      stopping.abort()
      await commits.finish()
      // A measurement that outlived its consumer would open the port's connections again after they were closed.
      await Promise.all([consumer.stop(), measuring])
      metrics.forgetPartitions()
    },
  }
}

/** Resolves after the delay, or at once when the consumer is stopped. */
const sleep = (delayMs: number, signal: AbortSignal): Promise<void> =>
  setTimeout(delayMs, undefined, { signal }).catch(() => undefined)

const keyOf = ({ topic, partition }: Partition): string => `${topic}/${partition}`
