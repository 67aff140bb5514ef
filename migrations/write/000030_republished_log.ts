/**
 * Generations of the log: what a store that was restored to an earlier point lacks, republishing, and where a generation began.
 * Replaces functions of 000002; older code calls them alike, and must not run beside a republished log.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(lostEvents)
  await knex.raw(republications)
  await knex.raw(effects)
  await knex.raw(requireLogVerified)
  await knex.raw(commitEvents)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const lostEvents = `
  -- Events that Kafka held and the store did not know, as the relay found them: the store was restored to an earlier point.
  -- Operators read them; nobody applies them.
  create table lost_events (
    -- Of the log that held them.
    generation integer not null,
    topic text not null,
    partition integer not null,
    position bigint not null,
    event_id text not null,
    tenant_id text not null,
    stream text not null,
    type text not null,
    recorded_at timestamptz,
    -- The EventEnvelope; null where the record could not be read.
    envelope jsonb,
    found_at timestamptz not null default now(),
    constraint lost_events_pkey primary key (generation, topic, partition, position, event_id)
  );
  -- What is missing from one stream.
  create index lost_events_by_stream on lost_events (tenant_id, stream);

  -- Partitions that the relay compared with Kafka to find the store behind it, and for which incarnation of the store.
  create table log_surveys (
    topic text not null,
    partition integer not null,
    -- The newest one of which Kafka holds anything.
    generation integer not null,
    incarnation text not null,
    -- Last position at which both hold the same event.
    agreed_position bigint not null,
    surveyed_at timestamptz not null default now(),
    constraint log_surveys_pkey primary key (topic, partition)
  );

  -- Which event stands at each of these positions of a partition; a position that the store does not know has no row.
  create function event_ids(of_topic text, of_partition integer, positions bigint[])
  returns table (at_position bigint, id text)
  language sql stable security definer set search_path = public, pg_temp
  as $$
    select e.position, e.event_id::text from events e
    where e.topic = of_topic and e.partition = of_partition and e.position = any (positions)
  $$;
  revoke all on function event_ids(text, integer, bigint[]) from public;
  grant execute on function event_ids(text, integer, bigint[]) to portolan_command_api;

  -- Operational rows of the platform, across tenants, reached by operators and the relay only.
  grant select, insert on lost_events to portolan_command_api;
  grant select, insert, update on log_surveys to portolan_command_api;
`

const republications = `
  -- One row per generation after the first: who asked for it, how far the streams' marking is, and when it began.
  create table log_republications (
    generation integer not null constraint log_republications_pkey primary key,
    started_by text not null,
    reason text not null,
    started_at timestamptz not null default now(),
    -- The last booking stream that was looked at, in (tenant, stream) order.
    looked_at_tenant text not null default '',
    looked_at_stream text not null default '',
    looked_at bigint not null default 0,
    marked bigint not null default 0,
    raised_at timestamptz
  );
  -- At most one is under way.
  create unique index log_republications_one_open on log_republications ((true)) where raised_at is null;

  -- What the log held when a generation began: once Kafka holds as much of it, readers may follow.
  create table log_generation_starts (
    generation integer not null,
    topic text not null,
    partition integer not null,
    position bigint not null,
    constraint log_generation_starts_pkey primary key (generation, topic, partition)
  );

  grant select, update on log_republications to portolan_command_api;
  grant select on log_generation_starts to portolan_command_api;

  -- The next generation: behind every one that the store or Kafka has known.
  create function next_log_generation() returns integer
  language sql stable
  as $$
    select greatest((select max(generation) from log_state), (select max(generation) from log_surveys)) + 1
  $$;
  revoke all on function next_log_generation() from public;
  grant execute on function next_log_generation() to portolan_command_api;

  -- Streams of bookings behind a given one that have not ended, across tenants, for marking; looked_at counts the others too.
  create function unended_bookings(after_tenant text, after_stream text, rows_max integer)
  returns table (tenant_id text, stream text, is_unended boolean)
  language sql stable security definer set search_path = public, pg_temp
  as $$
    select s.tenant_id, s.stream, not exists (
      select from events e
      where e.tenant_id = s.tenant_id and e.stream = s.stream
        and e.type in ('BookingRejected', 'BookingFailed', 'BookingExpired', 'BookingCancelled')
    )
    from (
      select * from streams
      where (streams.tenant_id, streams.stream) > (after_tenant, after_stream) and topic = 'bookings.events.v1'
      order by streams.tenant_id, streams.stream
      limit rows_max
    ) s
    order by s.tenant_id, s.stream
  $$;
  revoke all on function unended_bookings(text, text, integer) from public;
  grant execute on function unended_bookings(text, text, integer) to portolan_command_api;
`

const effects = `
  -- args: { generation, by, reason }. From its commit on no claim is granted and nothing is relayed.
  create function effects.begin_republication(tenant text, args jsonb) returns void
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  begin
    if (args ->> 'generation')::integer <> public.next_log_generation() then
      raise sqlstate 'PT001' using message = 'conflict', detail = 'The log is of another generation by now.';
    end if;
    insert into public.log_republications (generation, started_by, reason)
    values ((args ->> 'generation')::integer, args ->> 'by', args ->> 'reason');
  exception when unique_violation then
    raise sqlstate 'PT001' using message = 'conflict', detail = 'The log is being republished already.';
  end $$;

  -- args: { generation }. All heads are locked until commit, so an event is either part of the start or committed under the new
  -- generation. Refused until the relay has compared every partition with Kafka.
  create function effects.raise_log_generation(tenant text, args jsonb) returns void
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  declare
    wanted integer := (args ->> 'generation')::integer;
    now_running text := public.log_incarnation();
  begin
    if exists (
      select from public.log_heads h
      left join public.log_verifications v on v.topic = h.topic and v.partition = h.partition and v.incarnation = now_running
      left join public.log_surveys s on s.topic = h.topic and s.partition = h.partition and s.incarnation = now_running
      where v.topic is null and s.topic is null
    ) then
      raise sqlstate 'PT001' using message = 'unavailable',
        detail = 'The relay has not compared the whole log with Kafka since the database started.';
    end if;
    update public.log_republications set raised_at = clock_timestamp() where generation = wanted and raised_at is null;
    if not found then
      raise sqlstate 'PT001' using message = 'conflict', detail = 'This generation is not being prepared.';
    end if;
    perform set_config('lock_timeout', '5s', true);
    perform from public.log_heads order by topic, partition for update;
    insert into public.log_generation_starts (generation, topic, partition, position)
    select wanted, topic, partition, position from public.log_heads;
    update public.log_state set generation = wanted;
    delete from public.log_verifications;
    delete from public.log_surveys;
  end $$;

  revoke all on function effects.begin_republication(text, jsonb), effects.raise_log_generation(text, jsonb) from public;
  grant execute on function effects.begin_republication(text, jsonb), effects.raise_log_generation(text, jsonb) to portolan_command_api;
`

const requireLogVerified = `
  -- Refuses a claim until the relay has compared Kafka with this incarnation of the store: a store restored to an earlier
  -- point would grant what it has forgotten having granted. Refuses too while the log is being republished.
  create or replace function effects.require_log_verified(tenant text, args jsonb) returns void
  language plpgsql
  as $$
  declare
    now_running text := public.log_incarnation();
  begin
    if exists (select from public.log_republications where raised_at is null) then
      raise sqlstate 'PT001' using message = 'unavailable', detail = 'The event log is being republished.';
    end if;
    if exists (
      select from public.log_heads h
      left join public.log_verifications v on v.topic = h.topic and v.partition = h.partition
      where v.incarnation is distinct from now_running
    ) then
      raise sqlstate 'PT001' using
        message = 'unavailable',
        detail = 'The event log has not been compared with its copy since the database started.';
    end if;
  end $$;
`

const commitEvents = `
  -- Gives the events of the accepted commands their positions and inserts them. The last thing before commit: the heads
  -- stay locked until then, so that numbers are dense and follow commit order, and no longer, so that commits hardly queue.
  -- events: see append_commands. accepted: numbers of the commands whose savepoint stands, from 1.
  -- Returns { at, generation, heads: [[topic, partition, position before the first new event], ...] }; the k-th accepted event of
  -- a partition, in the order of the array, has position head + k.
  -- Security definer: it receives each event's tenant, and inserts for several of them at once.
  create or replace function commit_events(events jsonb, accepted integer[]) returns jsonb
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  declare
    answer jsonb;
    expected integer;
    inserted integer;
  begin
    perform maintain_open_steps(events, accepted);
    with fresh as materialized (
      select *
      from rows from (jsonb_to_recordset(events) as (
        command integer, topic text, partition integer, event_id uuid, tenant_id text, stream text, stream_version bigint,
        type text, schema_version integer, data jsonb, metadata jsonb
      )) with ordinality as e(
        command, topic, partition, event_id, tenant_id, stream, stream_version, type, schema_version, data, metadata, nth
      )
      where command = any (accepted)
    ),
    counts as (
      select topic, partition, count(*) as added from fresh group by topic, partition
    ),
    locked as materialized (
      -- In sorted order, or two committing processes would wait for each other.
      select h.topic, h.partition, c.added
      from log_heads h join counts c on c.topic = h.topic and c.partition = h.partition
      order by h.topic, h.partition
      for update of h
    ),
    heads as (
      update log_heads h set position = h.position + l.added
      from locked l
      where h.topic = l.topic and h.partition = l.partition
      returning h.topic, h.partition, h.position - l.added as base
    ),
    -- The clock is read under the locks, so that recorded times follow positions.
    summary as materialized (
      select clock_timestamp() as at, jsonb_agg(jsonb_build_array(topic, partition, base)) as heads from heads
    ),
    placed as (
      insert into events (
        topic, partition, position, event_id, tenant_id, stream, stream_version, type, schema_version, data, metadata, recorded_at
      )
      select
        f.topic, f.partition, h.base + row_number() over (partition by f.topic, f.partition order by f.nth),
        f.event_id, f.tenant_id, f.stream, f.stream_version, f.type, f.schema_version, f.data, f.metadata, s.at
      from fresh f
      join heads h on h.topic = f.topic and h.partition = f.partition
      cross join summary s
      returning 1
    )
    select jsonb_build_object('at', s.at, 'heads', s.heads), (select count(*) from fresh), (select count(*) from placed)
    into answer, expected, inserted
    from summary s;
    if inserted <> expected then
      raise exception 'an event names a topic or partition that is not registered';
    end if;
    -- A statement of its own: it sees a generation that was raised while this one waited for the heads.
    return answer || (select jsonb_build_object('generation', generation) from log_state);
  end $$;
`
