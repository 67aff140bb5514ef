/**
 * As 000064, for the functions that every claim, every sealed passenger and every waiting request asks: they were written in SQL and
 * planned anew by every call. Additive; older code goes on.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create or replace function log_incarnation() returns text language plpgsql stable as $$
    begin
      return (
        select concat_ws('/', extract(epoch from pg_postmaster_start_time()), d.oid, 'public.events'::regclass::oid)
        from pg_database d
        where d.datname = current_database()
      );
    end $$;

    create or replace function topic_is_verified(name text) returns boolean language plpgsql stable as $$
    #variable_conflict use_column
    declare
      now_running text := log_incarnation();
    begin
      return (
        select count(*) = (select partitions from log_topics t where t.topic = topic_is_verified.name)
        from log_verifications v
        where v.topic = topic_is_verified.name and v.incarnation = now_running
      );
    end $$;

    create or replace function stream_versions(tenants text[], names text[])
    returns table (tenant_id text, stream text, version bigint)
    language plpgsql stable security definer
    set search_path to 'public', 'pg_temp'
    set plan_cache_mode to force_generic_plan
    as $$
    #variable_conflict use_column
    begin
      return query
        select s.tenant_id, s.stream, s.version
        from unnest(tenants, names) as w(tenant_id, stream)
        join streams s on s.tenant_id = w.tenant_id and s.stream = w.stream;
    end $$;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
