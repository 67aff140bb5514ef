/**
 * Parked streams of consumers without a database, apart from their events: what locks them, and where a retry is asked for.
 * What older code parks after this is not seen by newer code, so both must not run beside each other.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table parked_streams (
      consumer text not null,
      tenant_id text not null,
      stream text not null,
      -- Why the first parked event could not be handled, as of the newest attempt.
      reason text not null,
      attempts integer not null default 1,
      parked_at timestamptz not null default now(),
      -- An operator asked for a retry; null again once it failed.
      retry_requested_at timestamptz,
      -- Until then one process has the stream's events and tries them; afterwards any may.
      claimed_until timestamptz,
      constraint parked_streams_pkey primary key (consumer, tenant_id, stream)
    );
    -- Operational rows of the platform, across tenants, reached by service token only, as parked_events.
    grant select, insert, update, delete on parked_streams to portolan_command_api;
    insert into parked_streams (consumer, tenant_id, stream, reason, parked_at)
    select consumer, tenant_id, stream, coalesce((array_agg(reason order by stream_version) filter (where reason is not null))[1], 'unknown'), min(parked_at)
    from parked_events group by consumer, tenant_id, stream`)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
