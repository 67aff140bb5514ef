/** The rule of positions: which records of a fetch are the next events of a partition, and what stands in their way. */
import type { TopicName } from '@portolan/schemas/topics.ts'
import { type ConsumedEvent, type RawRecord, readRecord } from './record.ts'

export interface Sequence {
  /** Positions last + 1, last + 2, … without a hole. */
  events: ConsumedEvent[]
  /** Records at or below the last position, skipped. */
  duplicates: number
  /** Kafka's offset behind everything that was taken or skipped; null when that is nothing. */
  offset: number | null
  /** gap: a position beyond the next one. homeless: a record that names no position or no stream. Null: all records were used. */
  obstacle: { kind: 'gap'; found: number; offset: number } | { kind: 'homeless'; offset: number } | null
}

/** Takes records, in offset order, as far as they continue behind `last` (0: nothing yet). Pure. */
export function takeSequence(
  topic: TopicName,
  partition: number,
  records: readonly RawRecord[],
  last: number,
): Sequence {
  const taken: Sequence = { events: [], duplicates: 0, offset: null, obstacle: null }
  let position = last
  for (const record of records) {
    const event = readRecord(topic, partition, record)
    if (!event) return { ...taken, obstacle: { kind: 'homeless', offset: record.offset } }
    if (event.position > position + 1)
      return { ...taken, obstacle: { kind: 'gap', found: event.position, offset: record.offset } }
    taken.offset = record.offset + 1
    if (event.position <= position) {
      taken.duplicates += 1
      continue
    }
    taken.events.push(event)
    position = event.position
  }
  return taken
}
