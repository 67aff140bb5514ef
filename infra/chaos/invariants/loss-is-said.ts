import type { Invariant } from '../evidence.ts'

/** P9: what a restored backup lacks is lost by definition, and that is said: operators find every event that Kafka still held. */
export const lossIsSaid: Invariant = {
  name: 'loss-is-said',
  promises: ['P9'],
  says: 'every event that a restored backup lacks and Kafka held is listed as lost',
  check: ({ store, evidence }) => {
    const said = new Set(store.saidLost)
    const sent = new Set(evidence.lostAndSent)
    const missing = evidence.lostEvents.filter(({ eventId }) => sent.has(eventId) && !said.has(eventId))
    return {
      violations: missing.map(({ eventId, type, stream }) => ({
        what: `${type} ${eventId} of ${stream} was lost by the restore and is not listed`,
      })),
      notes: [
        ...(said.size > 0 ? [`${said.size} lost events are listed`] : []),
        ...(evidence.lostEvents.length > 0
          ? [`Kafka held ${sent.size} of ${evidence.lostEvents.length} lost events`]
          : []),
      ],
    }
  },
}
