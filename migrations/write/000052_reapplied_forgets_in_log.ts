/**
 * A forget that was applied again after a restore gets its event again, so that the audit trail, Kafka and later backups know it. Additive.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- False: reapplied, and its PersonForgotten was lost with the events behind the backup.
    alter table forgotten_keys add column in_log boolean not null default true;
    -- Those to be recorded.
    create index forgotten_keys_to_record on forgotten_keys (forgotten_at) where not in_log;

    create or replace function reapply_forget(tenant text, person text, key text, why text, by_whom text, at timestamptz) returns boolean
    language plpgsql security definer set search_path = public, pg_temp
    as $$
    begin
      insert into forgotten_keys (tenant_id, person_id, key_id, reason, forgotten_by, forgotten_at, in_log)
      values (tenant, person, key, why, by_whom, at, false)
      on conflict do nothing;
      delete from personal_keys where tenant_id = tenant and key_id = key;
      return found;
    end $$;

    -- Across tenants, the oldest first.
    create function forgets_to_record(rows_max integer) returns setof forgotten_keys
    language sql stable security definer set search_path = public, pg_temp
    as $$
      select * from forgotten_keys where not in_log order by forgotten_at limit rows_max
    $$;

    -- Beside the event; refused when another process was first.
    create function effects.record_forget(tenant text, args jsonb) returns void
    language plpgsql security definer set search_path = public, pg_temp
    as $$
    begin
      update public.forgotten_keys set in_log = true
      where tenant_id = tenant and key_id = args ->> 'keyId' and not in_log;
      if not found then
        raise exception 'conflict' using errcode = 'PT001', detail = 'This forget is recorded already';
      end if;
    end $$;

    revoke all on function forgets_to_record(integer), effects.record_forget(text, jsonb) from public;
    grant execute on function forgets_to_record(integer), effects.record_forget(text, jsonb) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
