/** Reading the log: streams for deciding, and rows as everybody else sees them. */
import type { Positions } from '@portolan/infra/consistency-token.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import { upcastEvent } from '@portolan/schemas/event-catalogue.ts'
import type pg from 'pg'
import type { StreamType } from './stream-type.ts'

export type { Positions }

export interface Loaded<State> {
  state: State
  /** Number of events; 0 when the stream does not exist. */
  version: number
  /** Where its last event stands; empty when it does not exist. */
  positions: Positions
}

/** A stream longer than this is a design fault: it could not be loaded for every command. */
const STREAM_LENGTH_MAX = 10_000

export interface StoredEvent {
  type: string
  schema_version: number
  data: unknown
  partition: number
  position: number
}

/** The query that loads a stream; run it as the tenant and give its rows to `foldStream`. */
export function streamQuery(tenantId: string, stream: string): pg.QueryConfig {
  return {
    name: 'load-stream',
    text: `
      select type, schema_version, data, partition, position from events
      where tenant_id = $1 and stream = $2
      order by stream_version
      limit ${STREAM_LENGTH_MAX + 1}`,
    values: [tenantId, stream],
  }
}

/** Folds a loaded stream; events of older versions are lifted to the current ones first. Throws on an event it cannot read. */
export function foldStream<State, Event extends { type: string; data: unknown }>(
  type: StreamType<State, Event>,
  rows: readonly StoredEvent[],
): Loaded<State> {
  if (rows.length > STREAM_LENGTH_MAX) throw new Error(`a stream has more than ${STREAM_LENGTH_MAX} events`)
  let state = type.initialState()
  for (const row of rows) {
    const data = upcastEvent(type.catalogue, row.type, row.schema_version, row.data)
    state = type.evolve(state, { type: row.type, data } as Event)
  }
  const last = rows.at(-1)
  const positions: Positions = last ? { [type.topic]: { [last.partition]: last.position } } : {}
  return { state, version: rows.length, positions }
}

/** Loads one stream in one round trip. pool: with `pipeline`. A stream of another tenant does not exist. */
export async function loadStream<State, Event extends { type: string; data: unknown }>(
  pool: pg.Pool,
  tenantId: string,
  type: StreamType<State, Event>,
  stream: string,
): Promise<Loaded<State>> {
  const [result] = await withTenant(pool, tenantId, [streamQuery(tenantId, stream)])
  return foldStream(type, result?.rows ?? [])
}

export interface EventRow {
  event_id: string
  type: string
  schema_version: number
  tenant_id: string
  stream: string
  stream_version: number
  topic: string
  partition: number
  position: number
  recorded_at: Date
  data: unknown
  metadata: EventEnvelope['metadata']
}

/** A row of `events` as everybody else sees it. */
export function toEnvelope(row: EventRow): EventEnvelope {
  return {
    eventId: row.event_id,
    type: row.type,
    schemaVersion: row.schema_version,
    tenantId: row.tenant_id,
    stream: row.stream,
    streamVersion: row.stream_version,
    topic: row.topic,
    partition: row.partition,
    position: row.position,
    recordedAt: row.recorded_at.toISOString(),
    data: row.data,
    metadata: row.metadata,
  }
}
