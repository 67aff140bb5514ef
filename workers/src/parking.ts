/** Streams that dispatch cannot handle, kept by command-api: this process owns no database. */
import type { ParkedEvent, Parking } from '@portolan/infra/consumer/group-sink.ts'
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { z } from 'zod'

const parkedSchema = z.object({ streams: z.array(z.object({ tenantId: z.string(), stream: z.string() })) })

/** Requests stay below the other side's body limit of 1 MB; one envelope has at most 256 kB. */
const REQUEST_CHARACTERS_MAX = 300_000

/** Parking of one consumer. Rejects when command-api cannot be reached. */
export function createHttpParking(commandApi: ServiceClient, consumer: string): Parking {
  const path = `/internal/parked/${consumer}`
  return {
    list: async () => parkedSchema.parse(await commandApi.get(path)).streams,
    park: async (events) => {
      for (const batch of batchesOf(events)) await commandApi.post(path, { events: batch })
    },
  }
}

function batchesOf(events: readonly ParkedEvent[]): ParkedEvent[][] {
  const batches: ParkedEvent[][] = []
  let room = 0
  for (const event of events) {
    const size = JSON.stringify(event).length
    if (size > room) {
      batches.push([])
      room = REQUEST_CHARACTERS_MAX
    }
    batches.at(-1)?.push(event)
    room -= size
  }
  return batches
}
