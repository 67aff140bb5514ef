import type { Invariant } from '../evidence.ts'

/** P5: what a fault poisoned was retried, so whatever is parked was parked for a fault that would have passed, or with a stream not its own. */
export const nothingParked: Invariant = {
  name: 'nothing-parked',
  promises: ['P5'],
  says: 'no stream is parked: connections, deadlocks and timeouts are retried, and a poisoned stream takes no other with it',
  check: ({ store, readSide }) => {
    const all = [
      ...readSide.parked.map((row) => ({ ...row, by: row.projection })),
      ...store.parked.map((row) => ({ ...row, by: row.consumer })),
    ]
    return {
      violations: all.map(({ by, tenantId, stream, reason }) => ({
        what: `${by} parked ${tenantId} ${stream}: ${reason}`,
      })),
      notes: [],
    }
  },
}
