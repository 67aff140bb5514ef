/**
 * Guests of stays, who all want the same few weeks of the same few homes: they reserve, look, change their dates and cancel, now and then twice at
 * once under one key. What they are told is in the evidence like everybody's.
 */
import { createHash, randomUUID } from 'node:crypto'
import { dayNumber, dayText } from '@portolan/schemas/stays/periods.ts'
import { STAYS_TENANT } from '@portolan/schemas/stays/views.ts'
import type { Client, Sender } from './client.ts'
import { createRandom, type Random } from './random.ts'

/** Of the sample that the laboratory is seeded with. */
const homes = ['g3hbWxJ5TdXidt', 'H75e1FjJFudcbC'] as const
const FIRST_DAY = dayNumber('2027-05-01')
const DAYS = 30
const GUESTS = 3
const PAUSE_MAX_MS = 900

/** Guests who go on until `isEnding`. */
export function startGuests(client: Client, seed: number, isEnding: () => boolean): Promise<void>[] {
  return Array.from({ length: GUESTS }, (_, nth) => {
    const token = randomUUID()
    const holder = createHash('sha256').update(token).digest('base64url')
    const headers = { Authorization: `Bearer ${token}` }
    const sender: Sender = { tenantId: STAYS_TENANT, principal: `guest:${holder}`, headers }
    return act(client, sender, createRandom(seed, `guest/${nth}`), isEnding)
  })
}

async function act(client: Client, sender: Sender, random: Random, isEnding: () => boolean): Promise<void> {
  for (let turn = 0; !isEnding(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, random.between(0, PAUSE_MAX_MS)))
    const key = `${sender.principal.slice(0, 12)}-${turn}`
    const period = { start_date: dayText(FIRST_DAY + random.between(0, DAYS)), nights: random.between(1, 4) }
    const reserved = await client.command(
      sender,
      { path: '/api/v1/reservations', body: { property_id: random.pick(homes), ...period }, idempotencyKey: key },
      random.chance(0.3) ? 2 : 1,
    )
    const id: string | undefined = reserved.status === 200 ? reserved.body.reservation_id : undefined
    await client.read(sender, searchOf(period), reserved.token)
    if (!id) continue
    const path = `/api/v1/reservations/${id}`
    if (random.chance(0.4)) {
      const later = { start_date: dayText(FIRST_DAY + random.between(0, DAYS)), nights: random.between(1, 4) }
      const command = { path: `${path}/dates`, body: later, idempotencyKey: `${key}-dates` }
      const changed = await client.command(sender, command, random.chance(0.3) ? 2 : 1)
      await client.read(sender, path, changed.token)
    }
    // Or the homes would soon be full.
    if (random.chance(0.8))
      await client.command(sender, { path: `${path}/cancel`, body: {}, idempotencyKey: `${key}-cancel` })
  }
}

const searchOf = ({ start_date, nights }: { start_date: string; nights: number }) =>
  `/api/v1/properties/available?start_date=${start_date}&nights=${nights}`
