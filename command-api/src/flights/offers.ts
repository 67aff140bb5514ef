/** Offers as expiring rows: written when a search is answered, read when one is booked. */

import type { Logger } from '@portolan/infra/log.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
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

/** Deletes offers that expired a day ago, at most `rowsMax`; returns how many. */
export async function pruneOffers(pool: Pool, rowsMax: number): Promise<number> {
  const { rows } = await pool.query('select prune_offers($1) as pruned', [rowsMax])
  return rows[0].pruned
}

const pruneEveryMs = 60_000
const prunedMax = 5000

/** Prunes expired offers every minute; returns the stop function. */
export function startOfferPruning(pool: Pool, logger: Logger): () => void {
  const timer = setInterval(() => {
    pruneOffers(pool, prunedMax).catch((error) => logger.warn('offers not pruned', { error }))
  }, pruneEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}
