/**
 * Statements of the hottest functions are planned once per connection. A function in SQL is planned anew by every call, which cost the
 * relay more than its read; and for a list in a parameter Postgres prefers plans made for that very list, so every append that holds
 * steps was planned anew. Additive; older code goes on.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create or replace function read_log(topics text[], partitions integer[], after bigint[], rows_max integer, bytes_max integer)
    returns setof events
    language plpgsql stable security definer
    set search_path to 'public', 'pg_temp'
    set plan_cache_mode to force_generic_plan
    as $$
    #variable_conflict use_column
    begin
      return query
        select
          b.topic, b.partition, b.position, b.event_id, b.tenant_id, b.stream, b.stream_version,
          b.type, b.schema_version, b.data, b.metadata, b.recorded_at
        from unnest(topics, partitions, after) as w(topic, partition, after)
        cross join lateral (
          select e.*, sum(pg_column_size(e.data) + pg_column_size(e.metadata)) over (order by e.position) as bytes
          from (
            select * from events
            where topic = w.topic and partition = w.partition and position > w.after
            order by position
            limit rows_max
          ) e
        ) b
        where b.bytes <= bytes_max or b.position = w.after + 1
        order by b.topic, b.partition, b.position;
    end $$;

    -- Also for the functions that these call.
    alter function append_commands(jsonb, jsonb) set plan_cache_mode to force_generic_plan;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
