/**
 * What every projection needs: its versions, its progress, its parked streams, and the functions that make, publish and
 * retire a version. First migration: there is no older code.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(roles)
  await knex.raw(bookkeeping)
  await knex.raw(versionFunctions)
  await knex.raw(switching)
  await knex.raw(grants)
  await knex.raw(sessionLimits)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

/**
 * Roles belong to the server, so the write database's migrations may create one at the same moment.
 * portolan_staff_reader sees every tenant; query-api takes it for one transaction, only on staff routes. NOINHERIT keeps
 * its policies from applying to portolan_query_api by mere membership.
 */
const roles = `
  do $$
  declare name text;
  begin
    foreach name in array array['portolan_projections', 'portolan_query_api', 'portolan_staff_reader'] loop
      begin
        if not exists (select from pg_roles where rolname = name) then
          execute format('create role %I nologin noinherit', name);
        end if;
      exception when duplicate_object or unique_violation then null;
      end;
    end loop;
    if exists (select from pg_roles where rolname = 'portolan_query_api' and rolinherit) then
      alter role portolan_query_api noinherit;
    end if;
    begin
      grant portolan_staff_reader to portolan_query_api;
    exception when unique_violation then null;
    end;
  end $$`

const bookkeeping = `
  -- building: reads the log from its beginning; live: the views show it; standby: was live, keeps consuming for a way back.
  create table projection_versions (
    name text not null,
    version integer not null,
    status text not null constraint projection_versions_status check (status in ('building', 'live', 'standby', 'retired')),
    created_at timestamptz not null default now(),
    switched_at timestamptz,
    constraint projection_versions_pkey primary key (name, version)
  );
  create unique index projection_versions_one_live on projection_versions (name) where status = 'live';

  create table projection_checkpoints (
    projection text not null,
    version integer not null,
    topic text not null,
    generation integer not null,
    partition integer not null,
    -- Last log position applied; 0: none yet.
    position bigint not null,
    -- Where Kafka goes on; only a hint, positions decide.
    kafka_offset bigint not null,
    applied_at timestamptz not null default now(),
    -- The last instant at which everything that Kafka held was applied.
    current_at timestamptz,
    constraint projection_checkpoints_pkey primary key (projection, version, topic, generation, partition)
  ) with (fillfactor = 25);

  -- A stream whose event could not be applied; it and its followers wait in parked_events until a retry succeeds.
  create table parked_streams (
    projection text not null,
    version integer not null,
    tenant_id text not null,
    stream text not null,
    topic text not null,
    generation integer not null,
    partition integer not null,
    -- Of the first event that could not be applied.
    position bigint not null,
    reason text not null,
    attempts integer not null default 1,
    parked_at timestamptz not null default now(),
    tried_at timestamptz not null default now(),
    retry_requested_at timestamptz,
    constraint parked_streams_pkey primary key (projection, version, tenant_id, stream)
  );

  create table parked_events (
    projection text not null,
    version integer not null,
    tenant_id text not null,
    stream text not null,
    -- Order of a stream's events: all of them are in one partition.
    position bigint not null,
    -- The record's value as published, readable or not.
    value text not null,
    constraint parked_events_pkey primary key (projection, version, tenant_id, stream, position),
    constraint parked_events_stream foreign key (projection, version, tenant_id, stream)
      references parked_streams on delete cascade
  );

  create schema read_models;`

const versionFunctions = `
  create function read_model_schema(name text, version integer) returns text
  language sql immutable as $$ select name || '_' || version $$;

  -- Row-level security and rights of every table in a version's schema. Projections write all rows, members' reads see
  -- their tenant's, staff's reads see all.
  create function secure_read_tables(name text, version integer) returns void
  language plpgsql as $$
  declare
    tables_schema text := public.read_model_schema(name, version);
    table_name text;
  begin
    execute format('grant usage on schema %I to portolan_projections, portolan_query_api, portolan_staff_reader', tables_schema);
    for table_name in select tablename from pg_tables where schemaname = tables_schema loop
      execute format('alter table %I.%I enable row level security', tables_schema, table_name);
      execute format('create policy projections on %I.%I to portolan_projections using (true) with check (true)', tables_schema, table_name);
      execute format('create policy tenant on %I.%I for select to portolan_query_api using (tenant_id = current_setting(''portolan.tenant'', true))', tables_schema, table_name);
      execute format('create policy staff on %I.%I for select to portolan_staff_reader using (true)', tables_schema, table_name);
      execute format('grant select, insert, update, delete on %I.%I to portolan_projections', tables_schema, table_name);
      execute format('grant select on %I.%I to portolan_query_api, portolan_staff_reader', tables_schema, table_name);
    end loop;
  end $$;

  -- Points the views at a version. They are security_invoker: with their owner's rights they would go round the policies.
  create function publish_read_tables(name text, version integer) returns void
  language plpgsql as $$
  declare
    tables_schema text := public.read_model_schema(name, version);
    table_name text;
  begin
    for table_name in select tablename from pg_tables where schemaname = tables_schema loop
      execute format('drop view if exists read_models.%I', table_name);
      execute format('create view read_models.%I with (security_invoker = true) as select * from %I.%I', table_name, tables_schema, table_name);
      execute format('grant select on read_models.%I to portolan_query_api, portolan_staff_reader', table_name);
    end loop;
  end $$;

  -- The next version of a projection beside the live one: empty tables of the same shape, status building. The projections
  -- process finds the row and fills them from the log's beginning. Returns the version.
  create function create_projection_version(wanted text) returns integer
  language plpgsql as $$
  declare
    live integer;
    next_version integer;
    table_name text;
  begin
    lock table public.projection_versions in share row exclusive mode;
    select version into live from public.projection_versions where name = wanted and status = 'live';
    if live is null then
      raise exception 'there is no live version of projection %', wanted using errcode = 'no_data_found';
    end if;
    select max(version) + 1 into next_version from public.projection_versions where name = wanted;
    execute format('create schema %I', public.read_model_schema(wanted, next_version));
    for table_name in select tablename from pg_tables where schemaname = public.read_model_schema(wanted, live) loop
      execute format('create table %I.%I (like %I.%I including all)',
        public.read_model_schema(wanted, next_version), table_name, public.read_model_schema(wanted, live), table_name);
    end loop;
    perform public.secure_read_tables(wanted, next_version);
    insert into public.projection_versions (name, version, status) values (wanted, next_version, 'building');
    return next_version;
  end $$;`

const switching = `
  -- Makes a version the live one, in one instant for every reader. Refused while it is behind the live one anywhere: whoever
  -- has waited for a position of the old version must not read an older row from the new one (P11). The old version stays
  -- in standby and goes on consuming.
  create function switch_projection(wanted text, wanted_version integer) returns void
  language plpgsql as $$
  declare
    live integer;
    behind bigint;
  begin
    perform from public.projection_versions where name = wanted order by version for update;
    if not exists (select from public.projection_versions
                   where name = wanted and version = wanted_version and status in ('building', 'standby')) then
      raise exception 'projection % has no version % that could go live', wanted, wanted_version using errcode = 'no_data_found';
    end if;
    select version into live from public.projection_versions where name = wanted and status = 'live';
    -- Holds both versions still for the few milliseconds until commit.
    perform from public.projection_checkpoints
    where projection = wanted and version in (live, wanted_version)
    order by version, topic, generation, partition
    for update;
    select count(*) into behind
    from public.projection_checkpoints old
    left join public.projection_checkpoints new
      on new.projection = old.projection and new.version = wanted_version
      and new.topic = old.topic and new.generation = old.generation and new.partition = old.partition
    where old.projection = wanted and old.version = live
      and old.position > coalesce(new.position, 0)
      -- A version built from a republished log has no positions of the older generation.
      and not exists (select from public.projection_checkpoints later
                      where later.projection = wanted and later.version = wanted_version and later.generation > old.generation);
    if behind > 0 then
      raise exception 'version % of % is behind the live version in % partitions', wanted_version, wanted, behind
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    update public.projection_versions set status = 'standby' where name = wanted and version = live;
    update public.projection_versions set status = 'live', switched_at = now() where name = wanted and version = wanted_version;
    perform public.publish_read_tables(wanted, wanted_version);
  end $$;

  -- Gives up a version that is not live: its consumers stop at their next look, its rows go at once.
  create function retire_projection_version(wanted text, wanted_version integer) returns void
  language plpgsql as $$
  begin
    update public.projection_versions set status = 'retired'
    where name = wanted and version = wanted_version and status in ('building', 'standby');
    if not found then
      raise exception 'projection % has no version % that could be retired', wanted, wanted_version using errcode = 'no_data_found';
    end if;
    delete from public.parked_streams where projection = wanted and version = wanted_version;
    delete from public.projection_checkpoints where projection = wanted and version = wanted_version;
    execute format('drop schema %I cascade', public.read_model_schema(wanted, wanted_version));
  end $$;`

const grants = `
  grant usage on schema read_models to portolan_query_api, portolan_staff_reader;
  grant select on projection_versions to portolan_projections, portolan_query_api, portolan_staff_reader;
  grant select, insert, update on projection_checkpoints to portolan_projections;
  grant select on projection_checkpoints to portolan_query_api, portolan_staff_reader;
  grant select, insert, update, delete on parked_streams, parked_events to portolan_projections;

  -- query-api sees where a stream is parked, never what is parked.
  grant select (projection, version, tenant_id, stream, topic, generation, partition, position, parked_at)
    on parked_streams to portolan_query_api, portolan_staff_reader;

  revoke execute on function create_projection_version, switch_projection, retire_projection_version,
    publish_read_tables, secure_read_tables from public;`

const sessionLimits = `
  do $$ begin
    execute format('alter database %I set idle_in_transaction_session_timeout = %L', current_database(), '10s');
  end $$`
