/** Reading the log: streams for deciding, and rows as everybody else sees them. */
import type { Positions } from '@portolan/infra/consistency-token.ts'
import type { EventEnvelope } from '@portolan/schemas/envelope.ts'
import { upcastEvent } from '@portolan/schemas/event-catalogue.ts'
import type { TopicName } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { StreamType } from './stream-type.ts'

export type { Positions }

export interface Loaded<State> {
  state: State
  /** Number of events; 0 when the stream does not exist. */
  version: number
  /** Where its last event stands; empty when it does not exist. */
  positions: Positions
  /** Of the log when the stream was loaded; 0 when the stream does not exist. */
  generation: number
  /** The latest instant at which one of its events was decided; null when it does not exist, or is known from its snapshot alone. */
  decidedAt: string | null
  /** Events that were folded for this, those in a snapshot not counted. */
  folded: number
}

/**
 * More events than this are not loaded at once. A stream without snapshots that is longer is a design fault: it could not be loaded for every
 * command. One with snapshots is read in pages of this size when its snapshot is missing.
 */
const EVENTS_MAX = 10_000

export interface StoredEvent {
  /** Which of the streams that were loaded together, from 1. */
  nth: number
  /** Null: the row is a snapshot, `data` its state. */
  type: string | null
  schema_version: number
  data: unknown
  partition: number
  position: number
  generation: number
  stream_version: number
}

type AnyEvent = { type: string; data: unknown }

export interface WantedStream {
  stream: string
  /** The version behind which its events are wanted; 0: all, from its snapshot where it has them. */
  after: number
  type: { snapshots?: { schema: number } | undefined }
}

/**
 * The query that loads streams: one statement, which sets the tenant for itself. Give the rows of each to `foldStream`.
 * A stream of another tenant does not exist.
 */
export function streamsQuery(tenantId: string, streams: readonly WantedStream[]): pg.QueryConfig {
  return {
    name: 'load-streams',
    text: 'select * from load_streams($1, $2, $3, $4, $5)',
    values: [
      tenantId,
      streams.map(({ stream }) => stream),
      streams.map(({ after }) => after),
      streams.map(({ after, type }) => (after === 0 && type.snapshots?.schema) || null),
      EVENTS_MAX + 1,
    ],
  }
}

/**
 * Folds a loaded stream; events of older versions are lifted to the current ones first. Null when the rows are not enough: the snapshot
 * does not fit, or there are more events than are loaded at once; `loadWhole` does it then. Throws on an event it cannot read.
 */
export function foldStream<State, Event extends AnyEvent>(
  type: StreamType<State, Event>,
  rows: readonly StoredEvent[],
): Loaded<State> | null {
  const [first] = rows
  const kept = first?.type === null ? (type.snapshots?.read(first.data) ?? null) : undefined
  const events = kept === undefined ? rows : rows.slice(1)
  if (kept === null || events.length > EVENTS_MAX) return null
  return foldOnto(type, { ...nothingLoaded(type), state: kept ?? type.initialState(), ...lastOf(type, rows) }, events)
}

/** A stream that does not exist. */
export function nothingLoaded<State>(type: Pick<StreamType<State, never>, 'initialState'>): Loaded<State> {
  return { state: type.initialState(), version: 0, positions: {}, generation: 0, decidedAt: null, folded: 0 }
}

function foldOnto<State, Event extends AnyEvent>(
  type: StreamType<State, Event>,
  loaded: Loaded<State>,
  events: readonly StoredEvent[],
): Loaded<State> {
  let { state, decidedAt } = loaded
  for (const row of events) {
    const name = row.type ?? ''
    const data = upcastEvent(type.catalogue, name, row.schema_version, row.data)
    state = type.evolve(state, { type: name, data } as Event)
    decidedAt = latest(decidedAt, decidedAtOf(row))
  }
  return { ...loaded, state, ...lastOf(type, events), decidedAt, folded: loaded.folded + events.length }
}

function lastOf({ topic }: { topic: TopicName }, rows: readonly StoredEvent[]) {
  const last = rows.at(-1)
  if (!last) return {}
  const positions: Positions = { [topic]: { [last.partition]: last.position } }
  return { version: last.stream_version, positions, generation: last.generation }
}

const latest = (a: string | null, b: string | null) => (a === null || (b !== null && b > a) ? b : a)

/** Events of steps say nothing about when they were decided; those before them do. */
function decidedAtOf({ type, data }: StoredEvent): string | null {
  if (type === null || typeof data !== 'object' || data === null || !('at' in data)) return null
  return typeof data.at === 'string' ? data.at : null
}

/** Folds a stream from its beginning, page by page, whatever its snapshot. Throws for one that is too long to do without snapshots. */
export async function loadWhole<State, Event extends AnyEvent>(
  pool: pg.Pool,
  tenantId: string,
  type: StreamType<State, Event>,
  stream: string,
): Promise<Loaded<State>> {
  let loaded = nothingLoaded(type)
  for (;;) {
    const page = { stream, after: loaded.version, type: {} }
    const { rows } = await pool.query<StoredEvent>(streamsQuery(tenantId, [page]))
    if (rows.length > EVENTS_MAX && !type.snapshots) throw new Error(`a stream has more than ${EVENTS_MAX} events`)
    loaded = foldOnto(type, loaded, rows)
    if (rows.length <= EVENTS_MAX) return loaded
  }
}

/**
 * Loads one stream, in one round trip unless it is long and has no snapshot. A stream of another tenant does not exist.
 * earlier: what the caller loaded of it a moment ago; only the events behind that are read. Whoever waits while the store is restored is
 * answered from before, as if it had been asked then.
 */
export async function loadStream<State, Event extends AnyEvent>(
  pool: pg.Pool,
  tenantId: string,
  type: StreamType<State, Event>,
  stream: string,
  earlier?: Loaded<State>,
): Promise<Loaded<State>> {
  const after = earlier?.version ?? 0
  const { rows } = await pool.query<StoredEvent>(streamsQuery(tenantId, [{ stream, after, type }]))
  // More than a page behind the earlier events: all of it page by page.
  const found =
    earlier && after > 0 && rows.length <= EVENTS_MAX ? foldOnto(type, earlier, rows) : foldStream(type, rows)
  return found ?? loadWhole(pool, tenantId, type, stream)
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
