/**
 * Tries parked streams of a consumer without a database again when an operator asked for it: the events in stream order,
 * each until it fails. Parking keeps every event until it is said to be handled, so a process that ends in the middle
 * repeats some and loses none. Also counts what is parked.
 */
import { eventEnvelopeSchema } from '@portolan/schemas/envelope.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type { Logger } from '../log.ts'
import { startRegularly } from '../regularly.ts'
import type { Metrics } from '../telemetry.ts'
import type { GroupSinkOptions, ParkedEvent, Parking, ReadableEvent } from './group-sink.ts'
import { readRecord } from './record.ts'
import { reasonOf } from './transient.ts'

export interface RetryParkedOptions {
  /** Names the consumer in metrics. */
  consumer: string
  /** How often it is looked for what was asked. */
  everyMs: number
  /** The consumer's own. */
  handle: GroupSinkOptions['handle']
}

type ClaimedStream = NonNullable<Awaited<ReturnType<Parking['claim']>>>

/** Starts looking in the background; `stop` waits for the event at hand. While command-api is away nothing happens. */
export function startParkedRetries(
  { parking, logger, metrics }: { parking: Parking; logger: Logger; metrics: Metrics },
  { consumer, everyMs, handle }: RetryParkedOptions,
): { stop(): Promise<void> } {
  const gauge = metrics.gauge('parked_streams', 'Streams that wait for an operator', ['consumer'])

  async function look(stopping: AbortSignal): Promise<void> {
    const { streams, asked } = await parking.count()
    gauge.set({ consumer }, streams)
    if (asked === 0) return
    for (let claimed = await parking.claim(); claimed; claimed = stopping.aborted ? null : await parking.claim())
      await retry(claimed, stopping)
  }

  async function retry({ tenantId, stream, events }: ClaimedStream, stopping: AbortSignal): Promise<void> {
    let handledUpTo = 0
    let failure: string | null = null
    for (const event of events) {
      if (stopping.aborted) break
      failure = await failureOf(event)
      if (failure !== null) break
      handledUpTo = event.streamVersion
    }
    await parking.settle({ tenantId, stream, handledUpTo, failure })
    const fields = { consumer, tenantId, stream, handledUpTo, failure }
    if (failure === null) logger.info('parked stream retried', fields)
    else logger.warn('parked stream failed again', fields)
  }

  async function failureOf(event: ParkedEvent): Promise<string | null> {
    try {
      await handle([readParked(event)])
      return null
    } catch (error) {
      // What cannot be done now is asked for still: the claim runs out, and somebody tries again.
      return reasonOf(error)
    }
  }

  const looking = startRegularly(look, {
    everyMs,
    onError: (error) => logger.warn('parked streams not looked at', { consumer, error }),
  })
  return {
    stop: async () => {
      await looking.stop()
      gauge.remove({ consumer })
    },
  }
}

/** The event as it came from Kafka, as far as handlers look at it. Throws when it cannot be read. */
function readParked({ envelope }: ParkedEvent): ReadableEvent {
  const parsed = eventEnvelopeSchema.safeParse(envelope)
  if (!parsed.success) throw new Error('the event cannot be read')
  const { topic, partition } = parsed.data
  const event = readRecord(topic as TopicName, partition, { offset: 0, value: JSON.stringify(envelope), headers: {} })
  if (!event?.envelope) throw new Error('the event cannot be read')
  return { ...event, envelope: event.envelope }
}
