/** The write database as the invariants see it. */
import type { StoredEvent } from '../evidence.ts'
import { connectedTo } from './connected.ts'
import type { IdempotencyRow, OpenStepRow, Store } from './world.ts'

/** The columns of a StoredEvent, for the laboratory too: what a restore takes away is read by the same names. */
export const storedEventColumns = `topic, partition, position, event_id as "eventId", tenant_id as "tenantId", stream,
  stream_version as "streamVersion", type, data, metadata ->> 'causationId' as "causationId", recorded_at as "recordedAt"`

/** Reads everything in one snapshot. writeUrl: as administrator. */
export function readStore(writeUrl: string): Promise<Store> {
  return connectedTo(writeUrl, async (query) => {
    const [state] = await query<{ generation: number }>('select generation from log_state')
    return {
      generation: state?.generation ?? 1,
      events: await query<StoredEvent>(`select ${storedEventColumns} from events order by topic, partition, position`),
      streams: await query(
        'select tenant_id as "tenantId", stream, version, topic, partition from streams order by 1, 2',
      ),
      heads: await query('select topic, partition, position from log_heads order by 1, 2'),
      openSteps: await query<OpenStepRow>(
        `select tenant_id as "tenantId", stream, step, attempt, due_at as "dueAt", claimed_until is not null as "isClaimed",
           input ->> 'of' as "of", input ->> 'why' as why
         from open_steps order by 1, 2, 3`,
      ),
      keys: await query<IdempotencyRow>(
        `select tenant_id as "tenantId", principal, method, path, key, reference, rejection ->> 'code' as rejection
         from idempotency_keys`,
      ),
      saidLost: (await query<{ id: string }>('select event_id as id from lost_events')).map(({ id }) => id),
      nights: await query(
        `select property_id as "propertyId", (make_date(month / 12, 1 + month % 12, 1) + nth)::text as day
         from stay_months, generate_series(0, 30) as nth where taken >> nth & 1 = 1`,
      ),
      parked: await query(
        'select consumer, tenant_id as "tenantId", stream, reason from parked_streams order by 1, 2, 3',
      ),
    }
  })
}
