import type { Invariant, StoredEvent, Violation } from '../evidence.ts'
import { lastSeen } from './booking-history.ts'

/** P1 and P3 in the store and in the read models. */
export const streamsInOrder: Invariant = {
  name: 'streams-in-order',
  promises: ['P1', 'P3'],
  says: "a stream's events stand in one partition in the order of their versions, its head counts them, and rows reflect the last",
  check: ({ store, readSide }) => {
    const violations: Violation[] = []
    const byStream = Map.groupBy(store.events, keyOf)
    for (const events of byStream.values()) {
      const partitions = new Set(events.map(({ topic, partition }) => `${topic}/${partition}`))
      if (partitions.size > 1) violations.push({ what: `${keyOf(events[0])} lies in ${[...partitions].join(', ')}` })
      // Events come in the order of their positions.
      const wrong = events.find(({ streamVersion }, nth) => streamVersion !== nth + 1)
      if (wrong)
        violations.push({
          what: `${keyOf(wrong)}: version ${wrong.streamVersion} is event ${events.indexOf(wrong) + 1}`,
        })
    }
    for (const head of store.streams) {
      const stored = byStream.get(keyOf(head))?.length ?? 0
      if (stored !== head.version)
        violations.push({ what: `${keyOf(head)}: the head says ${head.version}, ${stored} events are stored` })
    }
    const headless = new Set(byStream.keys()).difference(new Set(store.streams.map(keyOf)))
    for (const key of headless) violations.push({ what: `${key} has events and no head` })
    for (const row of readSide.bookings) {
      const key = keyOf({ tenantId: row.tenantId, stream: `booking-${row.bookingId}` })
      const last = lastSeen(byStream.get(key) ?? [])?.streamVersion
      if (row.streamVersion !== last)
        violations.push({ what: `${key}: ${row.table} reflects version ${row.streamVersion}, the log ${last}` })
    }
    return { violations, notes: [] }
  },
}

const keyOf = (at: Pick<StoredEvent, 'tenantId' | 'stream'> | undefined) => `${at?.tenantId} ${at?.stream}`
