import type { Invariant, StoredEvent, Violation } from '../evidence.ts'
import type { World } from './world.ts'

/** P2 in the store: what relay and replay rely on. */
export const positionsDense: Invariant = {
  name: 'positions-dense',
  promises: ['P1', 'P2'],
  says: 'positions are dense from 1 to the head in every partition, and an event id stands once',
  check: ({ store }) => {
    const violations: Violation[] = []
    const byPartition = Map.groupBy(store.events, keyOf)
    for (const head of store.heads) {
      const events = byPartition.get(keyOf(head)) ?? []
      const gap = events.find(({ position }, nth) => position !== nth + 1)
      if (gap) violations.push({ what: `${keyOf(head)}: position ${gap.position} follows ${events.indexOf(gap)}` })
      else if (events.length !== head.position)
        violations.push({ what: `${keyOf(head)}: the head is ${head.position}, the last event ${events.length}` })
    }
    const unregistered = [...byPartition.keys()].filter((key) => !store.heads.some((head) => keyOf(head) === key))
    for (const key of unregistered) violations.push({ what: `${key} has events and no head` })
    const ids = new Set<string>()
    for (const { eventId } of store.events) {
      if (ids.has(eventId)) violations.push({ what: `event ${eventId} stands twice` })
      ids.add(eventId)
    }
    return { violations, notes: [] }
  },
}

const keyOf = ({ topic, partition }: Pick<StoredEvent | World['store']['heads'][number], 'topic' | 'partition'>) =>
  `${topic}/${partition}`
