/**
 * The sink of consumers that own no database (workers). Effects first, then Kafka's group offset with the log position
 * as its metadata; so effects happen at least once and must be idempotent.
 *
 * A lost group offset: `end` for consumers whose work is derived again elsewhere (dispatch: the sweep finds every open
 * step), `beginning` for those whose repeated effects are refused where they arrive. The position at the end is read
 * from the last record, never inferred from the next one seen.
 *
 * A stream whose event cannot be handled is parked through `Parking` (command-api keeps it), its followers likewise, until a
 * retry (retry-parked.ts) went through. While a park cannot be recorded the partition waits: `apply` rejects, and the
 * consumer pauses it.
 *
 *   const sink = createGroupSink({ kafka, logger, parking }, { groupId, topicPrefix, whenLost: 'end', handle })
 *   consume({ kafka, logger, metrics }, { name: 'dispatch', groupId, topicPrefix, topics: [topics.bookings], sink })
 */
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type { KafkaPort } from '../kafka.ts'
import type { Logger } from '../log.ts'
import { ofGeneration } from '../log-generation.ts'
import type { Checkpoint, CommitOffset, EventBatch, Partition, Sink } from './consume.ts'
import { type ConsumedEvent, readRecord, storable } from './record.ts'
import { isTransient, reasonOf } from './transient.ts'

export interface ReadableEvent extends ConsumedEvent {
  envelope: EventEnvelope
}

export interface ParkedEvent {
  tenantId: string
  stream: string
  /** Of the envelope, or of the headers when it is unreadable: with a number of another kind it could be taken for a follower. */
  streamVersion: number
  /** The envelope, or `{ unreadable: <the value> }`. */
  envelope: unknown
  /** Why it could not be handled; null for followers. */
  reason: string | null
}

/** Where the parked streams of one consumer are kept. All reject when command-api cannot be reached. */
export interface Parking {
  /** What is parked now, all of it. */
  list(): Promise<readonly { tenantId: string; stream: string }[]>
  /** How many streams are parked, and of how many of them a retry is asked for. */
  count(): Promise<{ streams: number; asked: number }>
  /**
   * Keeps the events; repeating it changes nothing. Returns the followers that are not kept, because their stream is not
   * parked any more: they are to be handled.
   */
  park(events: readonly ParkedEvent[]): Promise<readonly { tenantId: string; stream: string; streamVersion: number }[]>
  /** The first events of a stream whose retry was asked for, to be settled within seconds; null when there is none. */
  claim(): Promise<{ tenantId: string; stream: string; events: readonly ParkedEvent[] } | null>
  /** Drops what was handled, up to this stream version (0: nothing). failure: of the next one; null when all went through. */
  settle(outcome: { tenantId: string; stream: string; handledUpTo: number; failure: string | null }): Promise<void>
}

export interface GroupSinkOptions {
  /** As given to Kafka, the environment's prefix included. */
  groupId: string
  topicPrefix: string
  /** Of the log; default 1. */
  generation?: number
  whenLost: 'beginning' | 'end'
  /**
   * Carries out what the events ask for, idempotently; in log order, all of one partition. A rejection that is not
   * transient (see transient.ts) leads to one call per event, and the one that fails then is parked.
   */
  handle(events: readonly ReadableEvent[]): Promise<void>
}

export function createGroupSink(
  deps: { kafka: KafkaPort; logger: Logger; parking: Parking },
  options: GroupSinkOptions,
): Sink {
  const { kafka, logger, parking } = deps
  const { topicPrefix, generation = 1 } = options
  const nameOf = (topic: TopicName) => ofGeneration({ topicPrefix, generation }, topic)
  /** Every stream that is parked, and some that no longer are: `keep` finds that out. */
  const parked = new Set<string>()

  /** Only adds: a list that took its time lacks what another partition parked meanwhile. */
  async function readParked(): Promise<void> {
    for (const stream of await parking.list()) parked.add(keyOf(stream))
  }

  async function load(partitions: readonly Partition[], commit: CommitOffset): Promise<Checkpoint[]> {
    await readParked()
    const names = [...new Set(partitions.map(({ topic }) => nameOf(topic)))]
    const committed = await kafka.groupOffsets(options.groupId, names)
    const checkpoints = partitions.map(({ topic, partition }) => {
      const found = committed.find((row) => row.topic === nameOf(topic) && row.partition === partition)
      return checkpointOf(found?.offset, found?.metadata)
    })
    const lost = partitions.filter((_, index) => !checkpoints[index])
    const starts = options.whenLost === 'end' && lost.length > 0 ? await readEnds(lost) : []
    for (const [index, partition] of lost.entries()) {
      const start = starts[index] ?? { position: 0, offset: 0 }
      checkpoints[partitions.indexOf(partition)] = start
      // Kept at once: an end that moved on before the first batch would skip what came between.
      if (start.position > 0) await commit(partition, start)
    }
    if (lost.length > 0) logger.warn('no progress kept in Kafka', { partitions: lost.length, start: options.whenLost })
    return checkpoints.map((checkpoint) => checkpoint ?? { position: 0, offset: 0 })
  }

  async function readEnds(partitions: readonly Partition[]): Promise<Checkpoint[]> {
    const wanted = partitions.map(({ topic, partition }) => ({ topic: nameOf(topic), partition }))
    const records = await kafka.readLastOfEach(wanted)
    return partitions.map(({ topic, partition }, index) => {
      const record = records[index]
      const event = record && readRecord(topic, partition, { ...record, value: record.value?.toString() ?? '' })
      return event ? { position: event.position, offset: event.offset + 1 } : { position: 0, offset: 0 }
    })
  }

  async function apply(batch: EventBatch, commit: CommitOffset): Promise<void> {
    const followers = batch.events.filter((event) => parked.has(keyOf(event)))
    const kept = new Set(await keep(followers))
    const due = batch.events.filter((event) => !kept.has(event))
    if (due.length > 0 && !(await handledTogether(due))) for (const event of due) await handleAlone(event)
    await commit(batch, batch.to)
  }

  /** Parks followers. Returns those that were kept; of the others, the streams are not parked any more. */
  async function keep(followers: readonly ConsumedEvent[]): Promise<ConsumedEvent[]> {
    if (followers.length === 0) return []
    const free = await parking.park(followers.map((event) => toParked(event, null)))
    for (const name of free) parked.delete(keyOf(name))
    return followers.filter((event) => parked.has(keyOf(event)))
  }

  async function handledTogether(events: readonly ConsumedEvent[]): Promise<boolean> {
    if (!events.every(isReadable)) return false
    try {
      await options.handle(events)
      return true
    } catch (error) {
      if (isTransient(error)) throw error
      return false
    }
  }

  async function handleAlone(event: ConsumedEvent): Promise<void> {
    if (parked.has(keyOf(event)) && (await keep([event])).length > 0) return
    const reason = await failureOf(event)
    if (reason === undefined) return
    await parking.park([toParked(event, reason)])
    parked.add(keyOf(event))
    const { tenantId, stream, position } = event
    logger.error('stream parked', { tenantId, stream, position, reason })
  }

  async function failureOf(event: ConsumedEvent): Promise<string | undefined> {
    if (!isReadable(event)) return event.unreadable ?? 'the event cannot be read'
    try {
      await options.handle([event])
      return undefined
    } catch (error) {
      return reasonOf(error)
    }
  }

  return { load, apply }
}

const keyOf = ({ tenantId, stream }: { tenantId: string; stream: string }): string => `${tenantId} ${stream}`
const isReadable = (event: ConsumedEvent): event is ReadableEvent => event.envelope !== null

function checkpointOf(offset: number | null | undefined, metadata: string | null | undefined): Checkpoint | null {
  const position = Number(metadata)
  if (offset === null || offset === undefined || !metadata || !Number.isSafeInteger(position)) return null
  return { position, offset }
}

function toParked(event: ConsumedEvent, reason: string | null): ParkedEvent {
  const { tenantId, stream, envelope, position, value } = event
  // The relay always sends the version; a record without one came from nobody we know, and is kept all the same.
  const streamVersion = event.streamVersion ?? position
  return {
    tenantId,
    stream,
    streamVersion,
    envelope: envelope ?? { unreadable: storable(value.slice(0, 100_000)) },
    reason: reason === null ? null : storable(reason),
  }
}
