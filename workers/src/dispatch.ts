/**
 * From the log to the queue: every StepRequested becomes a job, delayed until it is due; a StepWithdrawn takes its job out. A step that
 * lies far ahead is left to the sweep, which finds it when it is overdue: nearly all of these are timers that are withdrawn long before.
 * So is one that was due long ago: the sweep knows whether it is still open, and a wiped Kafka that is filled again shows every step there
 * ever was, which must call nobody a second time (P13). Needs no state of its own. What it misses (Redis away, group offset lost, a tenant's places taken) the sweep brings back.
 */
import { consume, type Sink } from '@portolan/infra/consumer/consume.ts'
import { createGroupSink, type Parking } from '@portolan/infra/consumer/group-sink.ts'
import type { ConsumedEvent } from '@portolan/infra/consumer/record.ts'
import { startParkedRetries } from '@portolan/infra/consumer/retry-parked.ts'
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { followGenerations, ofGeneration } from '@portolan/infra/log-generation.ts'
import type { Metrics } from '@portolan/infra/telemetry.ts'
import { eventCatalogues, readEvent } from '@portolan/schemas/catalogue.ts'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import { type StepJob, stepEvents } from '@portolan/schemas/steps.ts'
import { consumerGroups, type TopicName, topics } from '@portolan/schemas/topics.ts'
import type { AttemptName, StepQueue } from './steps/step-queue.ts'

/** Every topic whose streams have steps, whatever the vertical. */
export const topicsWithSteps: readonly TopicName[] = Object.values(topics).filter((topic) =>
  Object.hasOwn(eventCatalogues[topic], 'StepRequested'),
)

/** From here on a step lies far ahead, and is worked on as late as the sweep finds it: SWEEP_GRACE_MS + SWEEP_EVERY_MS. */
const FAR_AHEAD_MS = 60_000
/** From here on a step was due long ago: a sweep has found it before, unless SWEEP_GRACE_MS is set to more than this. */
const LONG_OVERDUE_MS = 60_000

/**
 * What a batch asks of the queue: the last word about an attempt counts. nowMs: the database's clock, UTC.
 * Throws for an event that does not fit its version.
 */
export function queueChanges(
  events: readonly Pick<ConsumedEvent, 'topic' | 'type' | 'envelope'>[],
  nowMs: number,
): { add: StepJob[]; remove: AttemptName[] } {
  const isFar = (dueAt: string | undefined) => dueAt !== undefined && Date.parse(dueAt) - nowMs > FAR_AHEAD_MS
  const add = new Map<string, StepJob>()
  const remove = new Map<string, AttemptName>()
  for (const { topic, type, envelope } of events) {
    if (!envelope || (type !== 'StepRequested' && type !== 'StepWithdrawn')) continue
    const { data } = readEvent(topic, envelope)
    if (type === 'StepRequested') {
      const job = jobOf(envelope, stepEvents.StepRequested.current.parse(data))
      const isLongOverdue = nowMs - Date.parse(job.dueAt) > LONG_OVERDUE_MS
      if (!isFar(job.dueAt) && !isLongOverdue) add.set(keyOf(job), job)
    } else {
      const { step, attempt, dueAt } = stepEvents.StepWithdrawn.current.parse(data)
      const name = { tenantId: envelope.tenantId, stream: envelope.stream, step, attempt }
      add.delete(keyOf(name))
      // What is far ahead now was even farther when it was asked for, so it is not in the queue.
      if (!isFar(dueAt)) remove.set(keyOf(name), name)
    }
  }
  return { add: [...add.values()], remove: [...remove.values()] }
}

/** Applies consecutive events of one partition to the queue. Rejects when Redis is away; repeating it changes nothing. */
export function createDispatch({ queue, logger, now }: { queue: StepQueue; logger: Logger; now: () => number }) {
  return async (events: readonly ConsumedEvent[]): Promise<void> => {
    const { add, remove } = queueChanges(events, now())
    const left = await orUnavailable(async () => {
      await queue.remove(remove)
      return queue.add(add)
    })
    if (add.length > 0) reach('after-dispatch')
    if (left.length === 0) return
    logger.warn('steps left to the sweep', {
      left: left.length,
      tenants: [...new Set(left.map((job) => job.tenantId))],
    })
  }
}

const PARKED_POLL_MS = 1000

export interface DispatchOptions {
  /** KAFKA_TOPIC_PREFIX */
  topicPrefix: string
  /** How often a newer generation of the log is looked for. */
  generationPollMs: number
  handle: ReturnType<typeof createDispatch>
}

export interface DispatchDeps {
  /** One port per generation: a client never forgets a topic, and fails once that is deleted. */
  openKafka: () => KafkaPort
  logger: Logger
  metrics: Metrics
  parking: Parking
}

/**
 * Starts consuming, and goes over to each new generation of the log when it is complete: at its end, for everything before was
 * seen in the older one or is found by the sweep. `hasBegun`: every event from here on will be seen.
 */
export function startDispatch(
  deps: DispatchDeps,
  options: DispatchOptions,
): { stop(): Promise<void>; hasBegun(): boolean } {
  const names = deps.openKafka()
  const { handle, topicPrefix, generationPollMs: pollMs } = options
  const retries = startParkedRetries(deps, { consumer: consumerGroups.dispatch, everyMs: PARKED_POLL_MS, handle })
  let reading: ReturnType<typeof readGeneration> | null = null
  const following = followGenerations(
    { kafka: names, onError: (error) => deps.logger.warn('generation of the log not known', { error }) },
    { topicPrefix, pollMs },
    async (generation) => {
      await reading?.stop()
      reading = readGeneration(deps, options, generation)
      deps.logger.info('steps are dispatched', { generation })
    },
  )
  return {
    stop: async () => {
      await following.stop()
      await Promise.all([reading?.stop(), retries.stop(), names.disconnect()])
    },
    hasBegun: () => reading?.hasBegun() ?? false,
  }
}

function readGeneration(deps: DispatchDeps, { topicPrefix, handle }: DispatchOptions, generation: number) {
  const kafka = deps.openKafka()
  const groupId = ofGeneration({ topicPrefix, generation }, consumerGroups.dispatch)
  const inKafka = createGroupSink({ ...deps, kafka }, { groupId, topicPrefix, generation, whenLost: 'end', handle })
  let hasBegun = false
  const sink: Sink = {
    ...inKafka,
    // Only now: what is published before the first start is known may lie behind it, and would wait for the sweep.
    load: async (partitions, commit) => {
      const checkpoints = await inKafka.load(partitions, commit)
      hasBegun = true
      return checkpoints
    },
  }
  const consumer = consume(
    { ...deps, kafka },
    { name: 'dispatch', groupId, topics: topicsWithSteps, topicPrefix, generation, sink },
  )
  return {
    stop: async () => {
      await consumer.stop()
      await kafka.disconnect()
    },
    hasBegun: () => hasBegun,
  }
}

/** Whatever the queue complains about, it is never the event's fault: marked as a failed connection, so that nothing is parked for it. */
async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw Object.assign(new Error('the step queue cannot be changed now', { cause }), { code: 'ECONNREFUSED' })
  }
}

function jobOf(
  envelope: EventEnvelope,
  request: Pick<StepJob, 'step' | 'attempt' | 'dueAt' | 'deadline' | 'input'>,
): StepJob {
  const { tenantId, stream, eventId, metadata } = envelope
  const { correlationId, mockError, traceparent } = metadata
  const { step, attempt, dueAt, deadline, input } = request
  return {
    tenantId,
    stream,
    step,
    attempt,
    dueAt,
    deadline,
    input,
    correlationId,
    causationId: eventId,
    mockError,
    traceparent,
  }
}

const keyOf = ({ tenantId, stream, step, attempt }: AttemptName) => JSON.stringify([tenantId, stream, step, attempt])
