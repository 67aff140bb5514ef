/** Commands as the texts that `append_commands` takes, made when they are queued, so that groups are only put together. */
import type { Rejection } from '@portolan/schemas/errors.ts'
import type { AppendCommand, NewEvent, StreamAppend } from './append.ts'

const EVENT_BYTES_MAX = 256 << 10

export interface EncodedCommand {
  command: AppendCommand
  /** Names of what it changes, over all tenants: no two commands of running groups share one. */
  keys: string[]
  /**
   * Tenant, what its effects lock, stream, idempotency key: two processes meet the same ones in this order, so that one waits instead of
   * both. The locks of a group's commands are held until it commits.
   */
  sortKey: string
  commandText: string
  /** One JSON object per event without its opening `{"command":n,`. */
  eventTexts: string[]
  bytes: number
}

/**
 * Everything about a command that does not depend on its group. Throws when an event is larger than 256 kB, and when a text holds a
 * zero character or half a surrogate pair: Postgres' jsonb has none, so the statement would fail for the whole group.
 */
export function encodeCommand(command: AppendCommand): EncodedCommand {
  const { tenantId, effects, idempotency } = command
  const streams = command.streams.toSorted((a, b) => (a.stream < b.stream ? -1 : 1))
  const eventTexts = command.streams.flatMap((part) =>
    part.events.map((event, nth) => eventText(tenantId, part, event, nth)),
  )
  const commandText = JSON.stringify({
    tenant: tenantId,
    locks: locksOf(command),
    idempotency: idempotency && {
      principal: idempotency.principal,
      method: idempotency.method,
      path: idempotency.path,
      key: idempotency.key,
      body_hash: idempotency.bodyHash,
      reference: idempotency.reference,
      rejection: idempotency.rejection && recordOf(idempotency.rejection),
    },
    effects: effects.length > 0 ? effects.map(({ name, args }) => ({ name, args })) : undefined,
    streams: streams.map(({ stream, topic, partition, expected, events }) => ({
      stream,
      topic,
      partition,
      expected,
      version: expected + events.length,
    })),
  })
  if ([commandText, ...eventTexts].some((text) => unstorable.test(text))) {
    throw new Error('a command holds a zero character or half a surrogate pair')
  }
  return {
    command,
    keys: streams.map(({ stream }) => `${tenantId}/${stream}`),
    sortKey: [tenantId, ...effects.flatMap(({ lock }) => lock ?? []).sort(), streams[0]?.stream, idempotency?.key].join(
      '/',
    ),
    commandText,
    eventTexts,
    bytes: eventTexts.reduce((sum, text) => sum + text.length, commandText.length),
  }
}

/** JSON escapes only these two kinds as \u0000 and \ud800 to \udfff; a backslash in a text is escaped itself. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

const recordOf = ({ code, detail, members }: Rejection) => ({ code, detail, members })

/** Sorted names of what a command locks when that is more than one thing; a new stream's row is nobody's yet. */
function locksOf({ streams, effects }: AppendCommand): string[] | undefined {
  const names = [
    ...streams.filter(({ expected }) => expected > 0).map(({ stream }) => stream),
    ...effects.flatMap(({ lock }) => lock ?? []),
  ]
  return names.length > 1 ? names.sort() : undefined
}

function eventText(tenantId: string, part: StreamAppend, event: NewEvent, nth: number): string {
  const data = JSON.stringify(event.data)
  if (Buffer.byteLength(data) > EVENT_BYTES_MAX) {
    throw new Error(`event ${event.type} is larger than ${EVENT_BYTES_MAX} bytes`)
  }
  const rest = JSON.stringify({
    topic: part.topic,
    partition: part.partition,
    event_id: event.eventId,
    tenant_id: tenantId,
    stream: part.stream,
    stream_version: part.expected + nth + 1,
    type: event.type,
    schema_version: event.schemaVersion,
    metadata: event.metadata,
  })
  return `${rest.slice(1, -1)},"data":${data}}`
}
