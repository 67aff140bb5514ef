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

/** Guests who go on until `isEnding`. Each time all of them want the same nights at once. */
export async function startGuests(client: Client, seed: number, isEnding: () => boolean): Promise<void> {
  const random = createRandom(seed, 'guests')
  const guests = Array.from({ length: GUESTS }, newGuest)
  for (let turn = 0; !isEnding(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, random.between(0, PAUSE_MAX_MS)))
    const wanted = { property_id: random.pick(homes), ...period(random) }
    await Promise.all(
      guests.map((guest, nth) =>
        visit(client, guest, { wanted, key: `guest-${nth}-${turn}` }, createRandom(seed, `${nth}/${turn}`)),
      ),
    )
  }
}

function newGuest(): Sender {
  const token = randomUUID()
  const holder = createHash('sha256').update(token).digest('base64url')
  return {
    tenantId: STAYS_TENANT,
    principal: `guest:${holder}`,
    headers: { Authorization: `Bearer ${token}` },
  }
}

const period = (random: Random) => ({
  start_date: dayText(FIRST_DAY + random.between(0, DAYS)),
  nights: random.between(1, 4),
})

async function visit(
  client: Client,
  sender: Sender,
  { wanted, key }: { wanted: { property_id: string } & ReturnType<typeof period>; key: string },
  random: Random,
): Promise<void> {
  const copies = random.chance(0.2) ? 2 : 1
  const command = { path: '/api/v1/reservations', body: wanted, idempotencyKey: key }
  const reserved = await client.command(sender, command, copies)
  const id: string | undefined = reserved.status === 200 ? reserved.body.reservation_id : undefined
  await client.read(sender, searchOf(wanted), reserved.token)
  if (!id) return
  const path = `/api/v1/reservations/${id}`
  if (random.chance(0.4)) {
    const changed = await client.command(
      sender,
      { path: `${path}/dates`, body: period(random), idempotencyKey: `${key}-dates` },
      random.chance(0.3) ? 2 : 1,
    )
    await client.read(sender, path, changed.token)
  }
  // Or the homes would soon be full.
  if (random.chance(0.8))
    await client.command(sender, { path: `${path}/cancel`, body: {}, idempotencyKey: `${key}-cancel` })
}

const searchOf = ({ start_date, nights }: { start_date: string; nights: number }) =>
  `/api/v1/properties/available?start_date=${start_date}&nights=${nights}`
