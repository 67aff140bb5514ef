/** Rows that are folds of one stream each: load what is there, fold the batch in memory, write what changed. */
import type { ProjectedEvent } from '@portolan/infra/consumer/projection.ts'

export interface StreamRow {
  tenantId: string
  /** Version of the stream that the row reflects. */
  streamVersion: number
}

export interface StreamFold<Row extends StreamRow> {
  /** The rows of these streams, in any order; streams without a row are left out. */
  load(streams: readonly { tenantId: string; stream: string }[]): Promise<Map<string, Row>>
  /** The row after the event; `row` is null before the stream's first one. Pure. */
  evolve(row: Row | null, event: ProjectedEvent): Row
  /** Writes rows, new and changed, in one statement. */
  save(rows: readonly Row[]): Promise<void>
}

/** Key of a row in the map that `load` returns. */
export const streamKey = (tenantId: string, stream: string): string => `${tenantId} ${stream}`

/** Folds events into rows. An event at or below its row's version was applied before and changes nothing. */
export async function foldStreams<Row extends StreamRow>(
  events: readonly ProjectedEvent[],
  { load, evolve, save }: StreamFold<Row>,
): Promise<void> {
  const streams = new Map(events.map(({ tenantId, stream }) => [streamKey(tenantId, stream), { tenantId, stream }]))
  const rows = await load([...streams.values()])
  const changed = new Map<string, Row>()
  for (const event of events) {
    const key = streamKey(event.tenantId, event.stream)
    const row = changed.get(key) ?? rows.get(key) ?? null
    if (row && event.streamVersion <= row.streamVersion) continue
    changed.set(key, { ...evolve(row, event), streamVersion: event.streamVersion })
  }
  if (changed.size > 0) await save([...changed.values()])
}
