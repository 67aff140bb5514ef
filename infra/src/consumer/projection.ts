/** What a projection is, and how an event and a transaction reach it. */
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { ConsumedEvent } from './record.ts'
import { reasonOf } from './transient.ts'

/** An event as a projection sees it: its data lifted to the current version. */
export interface ProjectedEvent {
  topic: TopicName
  partition: number
  position: number
  tenantId: string
  stream: string
  /** The event's number within its stream, from 1: what makes a row repeatable and comparable. */
  streamVersion: number
  recordedAt: string
  actor: EventEnvelope['metadata']['actor']
  type: string
  data: unknown
}

export interface ProjectionTx {
  /** Postgres schema of this version's tables, for example `booking_details_1`; made of letters, digits and `_`. */
  schema: string
  query<R extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<pg.QueryResult<R>>
}

export interface Projection {
  /** Names its versions' schemas: `<name>_<version>`. */
  name: string
  /** Version of the code: it writes every version of the tables from this one on, up to the next code version. */
  version: number
  /** Event types by topic. Others pass by, known or not. */
  handles: Partial<Record<TopicName, readonly string[]>>
  /**
   * Writes what the events change, with statements for many rows. Events are in log order, all of one partition.
   * Rows depend only on the order within a stream: applying an event again changes nothing.
   */
  apply(events: readonly ProjectedEvent[], tx: ProjectionTx): Promise<void>
}

/** Lifts an envelope's data to its current version; throws when it cannot be read. Given by the caller, who knows the verticals. */
export type ReadEvent = (topic: TopicName, envelope: EventEnvelope) => { type: string; data: unknown }

export interface ProjectionTarget {
  projection: Projection
  /** Version of the tables. */
  version: number
  /** Generation of the log. */
  generation: number
}

/** Runs `work` so that its failure undoes only itself. Returns null, or the reason. Rejects when the failure says nothing about the event. */
export async function applyUnderSavepoint(tx: pg.PoolClient, work: () => Promise<void>): Promise<string | null> {
  await tx.query('savepoint one_event')
  try {
    await work()
    await tx.query('release savepoint one_event')
    return null
  } catch (error) {
    const reason = reasonOf(error)
    await tx.query('rollback to savepoint one_event')
    return reason
  }
}

/** The event as the projection sees it. Throws when it cannot be read. */
export function projected(readEvent: ReadEvent, event: ConsumedEvent): ProjectedEvent {
  const { envelope, topic, partition, position, tenantId, stream } = event
  if (!envelope) throw new Error(event.unreadable ?? 'the event cannot be read')
  const { streamVersion, recordedAt, metadata } = envelope
  const read = readEvent(topic, envelope)
  return { topic, partition, position, tenantId, stream, streamVersion, recordedAt, actor: metadata.actor, ...read }
}

/** The transaction as the projection's `apply` gets it. */
export function projectionTx(tx: pg.PoolClient, { projection, version }: ProjectionTarget): ProjectionTx {
  return { schema: `${projection.name}_${version}`, query: (query) => tx.query(query) }
}
