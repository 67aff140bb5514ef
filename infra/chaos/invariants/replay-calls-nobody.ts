import type { Invariant } from '../evidence.ts'

/** P13: rebuilding every read model is the replay of the whole log. */
export const replayCallsNobody: Invariant = {
  name: 'replay-calls-nobody',
  promises: ['P13'],
  says: 'while every read model was rebuilt nobody was called and nothing was appended',
  check: ({ rebuilt: { before, after } }) => {
    const called = (['partnerCalls', 'supplierCalls'] as const).flatMap((side) =>
      Object.entries(after[side])
        // A health probe comes from whoever asks for the system's health.
        .filter(([operation, count]) => operation !== 'health' && count !== (before[side][operation] ?? 0))
        .map(([operation, count]) => ({
          what: `${operation} was called ${count - (before[side][operation] ?? 0)} times during the rebuild (${side})`,
        })),
    )
    const appended = after.events - before.events
    return {
      violations:
        appended === 0 ? called : [...called, { what: `${appended} events were appended during the rebuild` }],
      notes: [],
    }
  },
}
