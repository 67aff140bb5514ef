import type { Invariant, Violation } from '../evidence.ts'
import type { LogRecord, World } from './world.ts'

/** P2 and P3 in Kafka: duplicates and steps back are allowed, a first-seen gap is not. */
export const kafkaHoldsTheLog: Invariant = {
  name: 'kafka-holds-the-log',
  promises: ['P2', 'P3', 'P9'],
  says: 'Kafka holds every stored event and no other, each partition first shows positions 1, 2, 3 …, each stream its versions in order',
  check: ({ store, records }) => {
    const violations: Violation[] = []
    const byPartition = Map.groupBy(records, partitionOf)
    const stored = Map.groupBy(store.events, partitionOf)
    for (const key of new Set([...byPartition.keys(), ...stored.keys()])) {
      const firstSeen = firstSeenOf(byPartition.get(key) ?? [], violations)
      const events = stored.get(key) ?? []
      for (const [nth, record] of firstSeen.entries()) {
        const event = events[nth]
        if (event?.eventId === record.eventId && event.position === record.position) continue
        violations.push({ what: `${key} offset ${record.offset}: event ${record.eventId} is not what the store holds` })
        break
      }
      if (firstSeen.length < events.length)
        violations.push({ what: `${key}: Kafka shows ${firstSeen.length} of ${events.length} stored events` })
    }
    violations.push(...streamDisorder(records))
    return { violations, notes: [] }
  },
}

/** Records with a position higher than any before; says so where one is skipped. */
function firstSeenOf(records: readonly LogRecord[], violations: Violation[]): LogRecord[] {
  const firstSeen: LogRecord[] = []
  for (const record of records) {
    const last = firstSeen.length
    if (record.position <= last) {
      if (firstSeen[record.position - 1]?.eventId !== record.eventId)
        violations.push({ what: `${partitionOf(record)}: position ${record.position} is two different events` })
      continue
    }
    if (record.position > last + 1) {
      violations.push({ what: `${partitionOf(record)}: position ${record.position} follows ${last}` })
      break
    }
    firstSeen.push(record)
  }
  return firstSeen
}

function streamDisorder(records: World['records']): Violation[] {
  const versions = new Map<string, number>()
  return records.flatMap((record) => {
    const key = `${record.tenantId} ${record.stream}`
    const last = versions.get(key) ?? 0
    if (record.streamVersion <= last) return []
    versions.set(key, record.streamVersion)
    if (record.streamVersion === last + 1) return []
    return [{ what: `${key}: Kafka shows version ${record.streamVersion} after ${last}` }]
  })
}

const partitionOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
