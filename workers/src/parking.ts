/** Streams that dispatch cannot handle, kept by command-api: this process owns no database. */
import type { ParkedEvent, Parking } from '@portolan/infra/consumer/group-sink.ts'
import type { ServiceClient } from '@portolan/infra/http/client.ts'
import { z } from 'zod'

const streamSchema = z.object({ tenantId: z.string(), stream: z.string() })
const listSchema = z.object({ streams: z.array(streamSchema) })
const countSchema = z.object({ streams: z.int(), asked: z.int() })
const keptSchema = z.object({ free: z.array(streamSchema.extend({ streamVersion: z.int() })) })
const eventSchema = streamSchema.extend({
  streamVersion: z.int(),
  envelope: z.unknown(),
  reason: z.string().nullable(),
})
const claimSchema = z.object({ claimed: streamSchema.extend({ events: z.array(eventSchema) }).nullable() })

/** Requests stay below the other side's body limit of 1 MB; one envelope has at most 256 kB. */
const REQUEST_CHARACTERS_MAX = 300_000

/** Parking of one consumer. Rejects when command-api cannot be reached. */
export function createHttpParking(commandApi: ServiceClient, consumer: string): Parking {
  const path = `/internal/parked/${consumer}`
  async function listBehind(after?: { tenantId: string; stream: string }) {
    const query = after ? `?${new URLSearchParams({ tenantId: after.tenantId, stream: after.stream })}` : ''
    return listSchema.parse(await commandApi.get(path + query)).streams
  }
  return {
    list: async () => {
      const all = []
      for (let page = await listBehind(); page.length > 0; page = await listBehind(page.at(-1))) all.push(...page)
      return all
    },
    count: async () => countSchema.parse(await commandApi.get(`${path}/count`)),
    park: async (events) => {
      const free = []
      for (const batch of batchesOf(events))
        free.push(...keptSchema.parse(await commandApi.post(path, { events: batch })).free)
      return free
    },
    claim: async () => claimSchema.parse(await commandApi.post(`${path}/claim`, {})).claimed,
    settle: async (outcome) => void (await commandApi.post(`${path}/settle`, outcome)),
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
