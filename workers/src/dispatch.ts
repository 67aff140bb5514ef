/**
 * From the log to the queue: every StepRequested becomes a job, delayed until it is due; a StepWithdrawn takes its job out.
 * Needs no state of its own. What it misses (Redis away, group offset lost, a tenant's places taken) the sweep brings back.
 */
import { consume, type Sink } from '@portolan/infra/consumer/consume.ts'
import { createGroupSink, type Parking } from '@portolan/infra/consumer/group-sink.ts'
import type { ConsumedEvent } from '@portolan/infra/consumer/record.ts'
import type { KafkaPort } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
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

/** What a batch asks of the queue: the last word about an attempt counts. Throws for an event that does not fit its version. */
export function queueChanges(events: readonly Pick<ConsumedEvent, 'topic' | 'type' | 'envelope'>[]): {
  add: StepJob[]
  remove: AttemptName[]
} {
  const add = new Map<string, StepJob>()
  const remove = new Map<string, AttemptName>()
  for (const { topic, type, envelope } of events) {
    if (!envelope || (type !== 'StepRequested' && type !== 'StepWithdrawn')) continue
    const { data } = readEvent(topic, envelope)
    if (type === 'StepRequested') {
      const job = jobOf(envelope, stepEvents.StepRequested.current.parse(data))
      add.set(keyOf(job), job)
    } else {
      const { step, attempt } = stepEvents.StepWithdrawn.current.parse(data)
      const name = { tenantId: envelope.tenantId, stream: envelope.stream, step, attempt }
      add.delete(keyOf(name))
      remove.set(keyOf(name), name)
    }
  }
  return { add: [...add.values()], remove: [...remove.values()] }
}

/** Applies consecutive events of one partition to the queue. Rejects when Redis is away; repeating it changes nothing. */
export function createDispatch({ queue, logger }: { queue: StepQueue; logger: Logger }) {
  return async (events: readonly ConsumedEvent[]): Promise<void> => {
    const { add, remove } = queueChanges(events)
    const left = await orUnavailable(async () => {
      await queue.remove(remove)
      return queue.add(add)
    })
    if (left.length === 0) return
    logger.warn('steps left to the sweep', {
      left: left.length,
      tenants: [...new Set(left.map((job) => job.tenantId))],
    })
  }
}

export interface DispatchOptions {
  /** KAFKA_TOPIC_PREFIX */
  topicPrefix: string
  handle: ReturnType<typeof createDispatch>
}

/** Starts consuming. `hasBegun`: every event from here on will be seen. */
export function startDispatch(
  deps: { kafka: KafkaPort; logger: Logger; metrics: Metrics; parking: Parking },
  { topicPrefix, handle }: DispatchOptions,
): { stop(): Promise<void>; hasBegun(): boolean } {
  const groupId = topicPrefix + consumerGroups.dispatch
  const inKafka = createGroupSink(deps, { groupId, topicPrefix, whenLost: 'end', handle })
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
  const consumer = consume(deps, { name: 'dispatch', groupId, topics: topicsWithSteps, topicPrefix, sink })
  return { stop: () => consumer.stop(), hasBegun: () => hasBegun }
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
