/** The read database's live versions as the invariants see them. */
import { connectedTo } from './connected.ts'
import type { ReadSide } from './world.ts'

/** Reads everything in one snapshot. readUrl: as administrator. */
export function readReadSide(readUrl: string): Promise<ReadSide> {
  return connectedTo(readUrl, async (query) => {
    const bookingsOf = (table: string) =>
      query<ReadSide['bookings'][number]>(
        `select $1 as table, tenant_id as "tenantId", booking_id as "bookingId", status, stream_version as "streamVersion"
         from read_models.${table}`,
        [table],
      )
    return {
      checkpoints: await query(
        `select c.projection, c.topic, c.generation, c.partition, c.position
         from projection_checkpoints c join projection_versions v on v.name = c.projection and v.version = c.version
         where v.status = 'live'`,
      ),
      parked: await query(
        'select projection, tenant_id as "tenantId", stream, reason from parked_streams order by 1, 2, 3',
      ),
      bookings: [...(await bookingsOf('booking_details')), ...(await bookingsOf('booking_list'))],
      nights: await query(
        `select x.property_id as "propertyId", n.day::text as day
         from read_models.index_nights n join read_models.index_places x using (tenant_id, block) where get_bit(n.taken, x.slot) = 1`,
      ),
      lines: await query(
        `select tenant_id as "tenantId", stream, stream_version as "streamVersion", account, currency, amount, kind,
           booking_id as "bookingId"
         from read_models.ledger_lines order by 1, 2, 3, line`,
      ),
      balances: await query(
        `select tenant_id as "tenantId", account, currency, sum(balance)::bigint as balance, sum(line_count)::bigint as "lineCount"
         from read_models.ledger_balances group by 1, 2, 3`,
      ),
    }
  })
}
