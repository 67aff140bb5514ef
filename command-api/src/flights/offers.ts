/** Offers as expiring rows: written when a search is answered, read when one is booked. */

import type { Logger } from '@portolan/infra/log.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import { startRegularly } from '@portolan/infra/regularly.ts'
import type { BookedOffer, BookingPrice } from '@portolan/schemas/bookings/messages.ts'
import type { Pool } from 'pg'

export interface StoredOffer {
  offer: BookedOffer
  price: BookingPrice
}

/** Stores the offers of one search for one member; they are found until they expire. */
export async function storeOffers(
  pool: Pool,
  tenantId: string,
  memberId: string,
  offers: readonly StoredOffer[],
): Promise<void> {
  if (offers.length === 0) return
  await withTenant(pool, tenantId, [
    {
      name: 'store_offers',
      text: `
        insert into offers (tenant_id, flight_id, member_id, offer, price, expires_at)
        select $1, row.offer->>'flightId', $2, row.offer, row.price, (row.offer->>'expiresAt')::timestamptz
        from jsonb_to_recordset($3::jsonb) as row (offer jsonb, price jsonb)`,
      values: [tenantId, memberId, JSON.stringify(offers)],
    },
  ])
}

/** The offer as shown to this member; null when it is unknown, another member's, or expired by the database's clock. */
export async function findOffer(
  pool: Pool,
  tenantId: string,
  memberId: string,
  flightId: string,
): Promise<(StoredOffer & { bookedAs: string | null }) | null> {
  const [result] = await withTenant(pool, tenantId, [
    {
      name: 'find_offer',
      text: `
        select offer, price, booking_id from offers
        where tenant_id = $1 and flight_id = $2 and member_id = $3
          and (expires_at > clock_timestamp() or booking_id is not null)`,
      values: [tenantId, flightId, memberId],
    },
  ])
  const row = result?.rows[0]
  return row ? { offer: row.offer, price: row.price, bookedAs: row.booking_id } : null
}

/** Deletes offers that expired a day ago, `batch` at a time and at most `batchesMax` times; returns how many. */
export async function pruneOffers(pool: Pool, batch: number, batchesMax: number): Promise<number> {
  let pruned = 0
  for (let round = 0; round < batchesMax; round++) {
    const { rows } = await pool.query<{ gone: number }>('select prune_offers($1) as gone', [batch])
    const gone = rows[0]?.gone ?? 0
    pruned += gone
    if (gone < batch) break
  }
  return pruned
}

const pruneEveryMs = 60_000
const prunedPerBatch = 5000
/** 500,000 offers a minute: more than the rate limits of several busy tenants let in. */
const batchesMax = 100

/** Prunes expired offers, now and every minute. */
export function startOfferPruning(pool: Pool, logger: Logger): { stop(): Promise<void> } {
  const prune = async () => void (await pruneOffers(pool, prunedPerBatch, batchesMax))
  return startRegularly(prune, {
    everyMs: pruneEveryMs,
    onError: (error) => logger.warn('offers not pruned', { error }),
  })
}
