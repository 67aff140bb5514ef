/**
 * The log and what commits together with it: events, stream heads, log heads, open steps, idempotency records.
 * First migration: there is no older code.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await createRole(knex, 'portolan_command_api')
  await knex.raw(log)
  await knex.raw(ranges)
  await knex.raw(besideTheLog)
  await knex.raw(tenancy)
  await knex.raw(sessionLimits)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

/** Roles belong to the server, not to the database: another database's migration may create the same one at this moment. */
async function createRole(knex: Knex, role: string): Promise<void> {
  await knex.raw(`
    do $$ begin
      if not exists (select from pg_roles where rolname = '${role}') then
        create role ${role} nologin;
      end if;
    exception when duplicate_object or unique_violation then null;
    end $$`)
}

const log = `
  create table events (
    topic text not null,
    partition integer not null,
    -- Dense within (topic, partition) from 1, in commit order: given by commit_events() under the lock of log_heads.
    position bigint not null,
    event_id uuid not null,
    tenant_id text not null,
    stream text not null,
    stream_version bigint not null,
    type text not null,
    schema_version integer not null,
    data jsonb not null constraint events_data_size check (pg_column_size(data) <= 262144),
    metadata jsonb not null,
    recorded_at timestamptz not null,
    constraint events_pkey primary key (topic, partition, position)
  ) partition by range (position);

  -- Loading a stream in order.
  create index events_by_stream on events (tenant_id, stream, stream_version);

  -- The version check is a compare-and-set of this row, so that events needs no unique constraint across its table partitions.
  create table streams (
    tenant_id text not null,
    stream text not null,
    version bigint not null,
    topic text not null,
    partition integer not null,
    constraint streams_pkey primary key (tenant_id, stream)
  ) with (fillfactor = 90);

  -- Fixed when a topic enters the log: more partitions would tear streams apart, so they mean a new generation.
  create table log_topics (
    topic text not null constraint log_topics_pkey primary key,
    partitions integer not null constraint log_topics_partitions check (partitions between 1 and 1024)
  );

  -- Updated by every commit: nearly empty pages keep those updates on the row's own page (HOT).
  create table log_heads (
    topic text not null constraint log_heads_topic references log_topics,
    partition integer not null,
    position bigint not null default 0,
    constraint log_heads_pkey primary key (topic, partition)
  ) with (fillfactor = 10);

  create table log_state (
    only_row boolean not null default true constraint log_state_pkey primary key constraint log_state_only_row check (only_row),
    generation integer not null default 1
  );
  insert into log_state default values;

  -- Which partitions the relay has compared with Kafka, and for which incarnation of the store (see log_incarnation).
  create table log_verifications (
    topic text not null,
    partition integer not null,
    incarnation text not null,
    verified_at timestamptz not null default now(),
    constraint log_verifications_pkey primary key (topic, partition)
  );

  -- Another value after a restart of the server and after any restore, also one into the same running server.
  create function log_incarnation() returns text
  language sql stable
  as $$
    select concat_ws('/', extract(epoch from pg_postmaster_start_time()), d.oid, 'public.events'::regclass::oid)
    from pg_database d
    where d.datname = current_database()
  $$;

  -- Makes topics known to the log with their partitions. A topic that is known keeps the number it was created with.
  create function register_topics(names text[], wanted_partitions integer) returns void
  language sql
  as $$
    insert into log_topics (topic, partitions) select name, wanted_partitions from unnest(names) name on conflict do nothing;
    insert into log_heads (topic, partition)
    select t.topic, p from log_topics t, generate_series(0, t.partitions - 1) p on conflict do nothing;
  $$;
`

const ranges = `
  -- Creates the table partitions that positions will need, two ranges ahead of the furthest head. Attaching instead of
  -- "create ... partition of" takes no lock that stops readers or writers. Returns how many it created.
  create function extend_events() returns integer
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  declare
    range_size constant bigint := 1000000;
    wanted bigint := (select coalesce(max(position), 0) / range_size + 2 from log_heads);
    created integer := 0;
    name text;
  begin
    perform pg_advisory_xact_lock(hashtext('extend_events'));
    for i in 0..wanted loop
      name := 'events_' || lpad(i::text, 6, '0');
      continue when to_regclass(name) is not null;
      execute format('create table %I (like events including defaults including constraints)', name);
      execute format('alter table events attach partition %I for values from (%s) to (%s)', name, i * range_size, (i + 1) * range_size);
      created := created + 1;
    end loop;
    return created;
  end $$;
  select extend_events();
`

const besideTheLog = `
  -- Steps that nobody has reported yet: queues and Kafka can be refilled from here (P9).
  create table open_steps (
    tenant_id text not null,
    stream text not null,
    step text not null,
    attempt integer not null,
    due_at timestamptz not null,
    deadline timestamptz not null,
    input jsonb not null,
    correlation_id text not null,
    -- Id of the StepRequested event.
    causation_id text not null,
    mock_error text,
    traceparent text,
    -- Null: not claimed. Otherwise when an unreported claim counts as lost.
    claimed_until timestamptz,
    constraint open_steps_pkey primary key (tenant_id, stream, step)
  );
  -- The sweep for overdue steps.
  create index open_steps_due on open_steps (due_at) where claimed_until is null;

  -- Answers to repeated requests: what was decided, never a body or personal data.
  create table idempotency_keys (
    tenant_id text not null,
    principal text not null,
    method text not null,
    path text not null,
    key text not null,
    body_hash text not null,
    reference text,
    rejection jsonb,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (tenant_id, principal, method, path, key)
  );
  -- Pruning the oldest.
  create index idempotency_keys_age on idempotency_keys (created_at);

  -- Events that a consumer without a database of its own (a worker) could not apply, and their followers, in stream order.
  create table parked_events (
    consumer text not null,
    tenant_id text not null,
    stream text not null,
    stream_version bigint not null,
    -- The EventEnvelope as it came from Kafka.
    envelope jsonb not null,
    -- Why the first one failed; null for its followers.
    reason text,
    parked_at timestamptz not null default now(),
    constraint parked_events_pkey primary key (consumer, tenant_id, stream, stream_version)
  );
`

const tenancy = `
  alter table events enable row level security;
  alter table streams enable row level security;
  alter table open_steps enable row level security;
  alter table idempotency_keys enable row level security;
  create policy tenant on events to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  create policy tenant on streams to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  create policy tenant on open_steps to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  create policy tenant on idempotency_keys to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));

  -- Events are never changed, and only commit_events() inserts them.
  grant select on events, open_steps, log_topics, log_heads, log_state, log_verifications to portolan_command_api;
  grant select, insert, update on streams to portolan_command_api;
  grant select, insert on idempotency_keys to portolan_command_api;
  grant insert on log_topics, log_heads to portolan_command_api;
  grant insert, update on log_verifications to portolan_command_api;
  -- Operational rows of the platform, across tenants, reached by service token only.
  grant select, insert, update, delete on parked_events to portolan_command_api;

  revoke all on all functions in schema public from public;
  grant execute on function log_incarnation(), register_topics(text[], integer), extend_events() to portolan_command_api;

  -- What a command changes besides streams, as functions effects.<name>(tenant text, args jsonb): see append_commands().
  create schema effects;
  grant usage on schema effects to portolan_command_api;
`

const sessionLimits = `
  do $$ begin
    execute format('alter database %I set idle_in_transaction_session_timeout = %L', current_database(), '10s');
  end $$;
`
