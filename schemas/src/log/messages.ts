/** What operators do to the log itself, kept in a stream of the platform. */
import { z } from 'zod'
import { instantSchema } from '../envelope.ts'
import { type EventOf, event } from '../event-catalogue.ts'

export const logEvents = {
  /** From here on no claim is granted and nothing is sent to Kafka, until the generation begins. */
  LogRepublicationStarted: event(
    z.object({ generation: z.int().min(2), by: z.string(), reason: z.string().max(500), at: instantSchema }),
  ),
  /** Every booking that may have gone on in a lost time is marked, and the log is sent anew, to topics of this generation. */
  LogGenerationBegun: event(
    z.object({
      generation: z.int().min(2),
      by: z.string(),
      /** Events that Kafka held and the store did not know. */
      lostEvents: z.int().min(0),
      markedBookings: z.int().min(0),
      markedMembers: z.int().min(0),
      at: instantSchema,
    }),
  ),
} as const
export type LogEvent = EventOf<typeof logEvents>
