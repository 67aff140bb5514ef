/** Forgets among the events that a restored store lacks are applied again as soon as the relay has found them in Kafka. Additive. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Returns how many forgotten keys had come back with the backup.
    create function reapply_lost_forgets() returns bigint
    language sql security definer set search_path = public, pg_temp
    as $$
      select count(*) filter (where reapply_forget(
        tenant_id, data ->> 'personId', data ->> 'keyId', data ->> 'reason', data ->> 'by', (data ->> 'at')::timestamptz
      ))
      from (
        select tenant_id, envelope -> 'data' as data from lost_events where type = 'PersonForgotten' and envelope is not null
      ) forgotten
    $$;
    revoke all on function reapply_lost_forgets() from public;
    grant execute on function reapply_lost_forgets() to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
