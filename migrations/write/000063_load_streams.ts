/**
 * Streams are loaded by one statement: it binds its own transaction to the tenant, where a begin, a setting, a query per stream and a
 * commit went over the wire before. Additive; older code goes on.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Runs as its caller, so row-level security holds inside.
    -- after: of each stream, the version behind which its events are wanted, 0: all. schemas: of each stream's snapshots; null: none are
    -- looked for. A snapshot's row comes first and has no type; the events behind it follow.
    create function load_streams(tenant text, names text[], after bigint[], schemas integer[], events_max integer)
    returns table (
      nth integer, type text, schema_version integer, data jsonb, partition integer, "position" bigint, generation integer,
      stream_version bigint
    )
    language plpgsql as $$
    #variable_conflict use_column
    begin
      perform set_config('portolan.tenant', tenant, true);
      for i in 1 .. cardinality(names) loop
        if schemas[i] is null then
          return query
            select i, e.type, e.schema_version, e.data, e.partition, e.position, (select s.generation from log_state s), e.stream_version
            from events e
            where e.tenant_id = tenant and e.stream = names[i] and e.stream_version > after[i]
            order by e.stream_version
            limit events_max;
        else
          return query
            with kept as materialized (
              select s.version, s.state, e.partition, e.position
              from stream_snapshots s
              join events e
                on e.tenant_id = s.tenant_id and e.stream = s.stream and e.stream_version = s.version and e.event_id = s.event_id
              where s.tenant_id = tenant and s.stream = names[i] and s.schema = schemas[i]
            )
            select i, null::text, 0, k.state, k.partition, k.position, (select s.generation from log_state s), k.version as stream_version
            from kept k
            union all
            (
              select i, e.type, e.schema_version, e.data, e.partition, e.position, (select s.generation from log_state s), e.stream_version
              from events e
              where e.tenant_id = tenant and e.stream = names[i] and e.stream_version > coalesce((select k.version from kept k), after[i])
              order by e.stream_version
              limit events_max
            )
            order by stream_version;
        end if;
      end loop;
    end $$;

    revoke all on function load_streams(text, text[], bigint[], integer[], integer) from public;
    grant execute on function load_streams(text, text[], bigint[], integer[], integer) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
