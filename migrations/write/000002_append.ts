/**
 * The functions of the event store: the group commit, and the few named doors through row-level security.
 * Adds only; older code keeps working.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(commitEvents)
  await knex.raw(maintainOpenSteps)
  await knex.raw(appendCommands)
  await knex.raw(doors)
  await knex.raw(requireLogVerified)
  await knex.raw(rights)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const commitEvents = `
  -- Gives the events of the accepted commands their positions and inserts them. The last thing before commit: the heads
  -- stay locked until then, so that numbers are dense and follow commit order, and no longer, so that commits hardly queue.
  -- events: see append_commands. accepted: numbers of the commands whose savepoint stands, from 1.
  -- Returns { at, heads: [[topic, partition, position before the first new event], ...] }; the k-th accepted event of a
  -- partition, in the order of the array, has position head + k.
  -- Security definer: it receives each event's tenant, and inserts for several of them at once.
  create function commit_events(events jsonb, accepted integer[]) returns jsonb
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
    return answer;
  end $$;
`

const maintainOpenSteps = `
  -- Keeps open_steps in line with the step events of a batch. Nobody else changes these rows, and the heads of their streams
  -- are locked by this transaction, so the statements below can neither wait nor fail.
  create function maintain_open_steps(events jsonb, accepted integer[]) returns void
  language plpgsql
  as $$
  declare
    fresh jsonb[];
  begin
    select array_agg(e order by nth) into fresh
    from jsonb_array_elements(events) with ordinality as a(e, nth)
    where e ->> 'type' in ('StepRequested', 'AttemptStarted', 'AttemptEnded', 'StepWithdrawn')
      and (e -> 'command')::integer = any (accepted);
    if fresh is null then
      return;
    end if;

    delete from open_steps o
    using unnest(fresh) e
    where e ->> 'type' in ('AttemptEnded', 'StepWithdrawn')
      and o.tenant_id = e ->> 'tenant_id' and o.stream = e ->> 'stream'
      and o.step = e #>> '{data,step}' and o.attempt = (e #> '{data,attempt}')::integer;

    insert into open_steps (
      tenant_id, stream, step, attempt, due_at, deadline, input, correlation_id, causation_id, mock_error, traceparent
    )
    select distinct on (e ->> 'tenant_id', e ->> 'stream', e #>> '{data,step}')
      e ->> 'tenant_id', e ->> 'stream', e #>> '{data,step}', (e #> '{data,attempt}')::integer,
      (e #>> '{data,dueAt}')::timestamptz, (e #>> '{data,deadline}')::timestamptz, e #> '{data,input}',
      e #>> '{metadata,correlationId}', e ->> 'event_id', e #>> '{metadata,mockError}', e #>> '{metadata,traceparent}'
    from unnest(fresh) with ordinality as a(e, nth)
    where e ->> 'type' = 'StepRequested'
      -- Not when the same batch already ended it.
      and not exists (
        select from unnest(fresh) with ordinality as b(later, later_nth)
        where later_nth > nth and later ->> 'type' in ('AttemptEnded', 'StepWithdrawn')
          and later ->> 'tenant_id' = e ->> 'tenant_id' and later ->> 'stream' = e ->> 'stream'
          and later #>> '{data,step}' = e #>> '{data,step}' and later #> '{data,attempt}' = e #> '{data,attempt}'
      )
    order by e ->> 'tenant_id', e ->> 'stream', e #>> '{data,step}', nth desc
    on conflict (tenant_id, stream, step) do update set
      attempt = excluded.attempt, due_at = excluded.due_at, deadline = excluded.deadline, input = excluded.input,
      correlation_id = excluded.correlation_id, causation_id = excluded.causation_id, mock_error = excluded.mock_error,
      traceparent = excluded.traceparent, claimed_until = null;

    update open_steps o set claimed_until = (e #>> '{data,lostAt}')::timestamptz
    from unnest(fresh) e
    where e ->> 'type' = 'AttemptStarted'
      and o.tenant_id = e ->> 'tenant_id' and o.stream = e ->> 'stream'
      and o.step = e #>> '{data,step}' and o.attempt = (e #> '{data,attempt}')::integer;
  end $$;
`

const appendCommands = `
  -- Group commit: up to 60 commands (more than 64 subtransactions spill over) in one autocommit statement, each in a
  -- savepoint of its own, so that one refused or contended command takes nothing from the others.
  --
  -- commands: [{ tenant, streams: [{ stream, topic, partition, expected, version }, ...] sorted, and where there are any
  --   locks: [name, ...] sorted, idempotency: { principal, method, path, key, body_hash, reference, rejection },
  --   effects: [{ name, args }, ...] }, ...]
  -- events: [{ command: number of its command from 1, and the columns of events without position and recorded_at }, ...]
  -- Returns what commit_events returns, and outcomes: for each command that did not commit, by its number,
  --   ['duplicate']                    the idempotency key is taken: look its record up
  --   ['conflict']                     a stream moved on, or an effect raised PT002: reload and decide again
  --   ['busy', 'key' or 'rows']        lock timeout or deadlock there: try this command again
  --   ['refused', code, detail, hint]  an effect raised PT001
  --   ['fault', sqlstate, message]     anything else
  create function append_commands(commands jsonb, events jsonb) returns jsonb
  language plpgsql
  set lock_timeout = '100ms'
  as $$
  declare
    command jsonb;
    part jsonb;
    nth integer := 0;
    accepted integer[] := '{}';
    outcomes jsonb := '{}';
    tenant text;
    waiting_for text;
    problem_state text;
    problem text;
    explanation text;
    extra text;
  begin
    for command in select value from jsonb_array_elements(commands) loop
      nth := nth + 1;
      begin
        tenant := command ->> 'tenant';
        perform set_config('portolan.tenant', tenant, true);
        waiting_for := 'rows';

        -- A command that locks more than one thing first takes these, sorted, so that two such commands never wait for each other.
        if command -> 'locks' is not null then
          perform pg_advisory_xact_lock(hashtextextended(tenant || ' ' || name, 0))
          from jsonb_array_elements_text(command -> 'locks') name;
        end if;

        if command -> 'idempotency' is not null then
          part := command -> 'idempotency';
          waiting_for := 'key';
          insert into idempotency_keys (tenant_id, principal, method, path, key, body_hash, reference, rejection)
          values (
            tenant, part ->> 'principal', part ->> 'method', part ->> 'path', part ->> 'key', part ->> 'body_hash',
            part ->> 'reference', nullif(part -> 'rejection', 'null')
          )
          on conflict do nothing;
          if not found then
            raise sqlstate 'PT003';
          end if;
          waiting_for := 'rows';
        end if;

        for part in select value from jsonb_array_elements(command -> 'streams') loop
          if part -> 'expected' = part -> 'version' then
            -- Only read by the decision. That a stream does not exist cannot be locked; its creator's own check decides then.
            perform from streams s
            where s.tenant_id = tenant and s.stream = part ->> 'stream' and s.version = (part -> 'expected')::bigint
            for share;
            if not found and (part -> 'expected')::bigint > 0 then
              raise sqlstate 'PT002';
            end if;
          elsif (part -> 'expected')::bigint = 0 then
            insert into streams (tenant_id, stream, version, topic, partition)
            values (tenant, part ->> 'stream', (part -> 'version')::bigint, part ->> 'topic', (part -> 'partition')::integer)
            on conflict do nothing;
            if not found then
              raise sqlstate 'PT002';
            end if;
          else
            update streams s set version = (part -> 'version')::bigint
            where s.tenant_id = tenant and s.stream = part ->> 'stream' and s.version = (part -> 'expected')::bigint;
            if not found then
              raise sqlstate 'PT002';
            end if;
          end if;
        end loop;

        if command -> 'effects' is not null then
          for part in select value from jsonb_array_elements(command -> 'effects') loop
            execute format('select effects.%I($1, $2)', part ->> 'name') using tenant, part -> 'args';
          end loop;
        end if;

        accepted := accepted || nth;
      exception
        when sqlstate 'PT001' then
          get stacked diagnostics problem = message_text, explanation = pg_exception_detail, extra = pg_exception_hint;
          outcomes := outcomes || jsonb_build_object(nth, jsonb_build_array('refused', problem, explanation, extra));
        when sqlstate 'PT002' then
          outcomes := outcomes || jsonb_build_object(nth, jsonb_build_array('conflict'));
        when sqlstate 'PT003' then
          outcomes := outcomes || jsonb_build_object(nth, jsonb_build_array('duplicate'));
        when lock_not_available or deadlock_detected then
          outcomes := outcomes || jsonb_build_object(nth, jsonb_build_array('busy', waiting_for));
        when others then
          get stacked diagnostics problem_state = returned_sqlstate, problem = message_text;
          outcomes := outcomes || jsonb_build_object(nth, jsonb_build_array('fault', problem_state, problem));
      end;
    end loop;

    -- The heads are held for one commit only: waiting for a few of them is normal under load.
    perform set_config('lock_timeout', '5s', true);
    return commit_events(events, accepted) || jsonb_build_object('outcomes', outcomes);
  end $$;
`

const doors = `
  -- What runs across tenants by its nature, each as a named door. The callers show nothing of it to a tenant.

  -- The relay, and operators reading a partition: events behind each given position in order, at most rows_max and about
  -- bytes_max stored bytes per partition, but always one.
  create function read_log(topics text[], partitions integer[], after bigint[], rows_max integer, bytes_max integer)
  returns setof events
  language sql stable security definer set search_path = public, pg_temp
  as $$
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
    order by b.topic, b.partition, b.position
  $$;

  -- Versions of the streams that requests are waiting for; a stream that does not exist has no row.
  create function stream_versions(tenants text[], names text[])
  returns table (tenant_id text, stream text, version bigint)
  language sql stable security definer set search_path = public, pg_temp
  as $$
    select s.tenant_id, s.stream, s.version
    from unnest(tenants, names) as w(tenant_id, stream)
    join streams s on s.tenant_id = w.tenant_id and s.stream = w.stream
  $$;

  -- The sweep: unclaimed steps that fell due before a moment, oldest first, at most each_max of one tenant and step (P12).
  create function overdue_steps(due_before timestamptz, rows_max integer, each_max integer)
  returns setof open_steps
  language sql stable security definer set search_path = public, pg_temp
  as $$
    select
      r.tenant_id, r.stream, r.step, r.attempt, r.due_at, r.deadline, r.input, r.correlation_id, r.causation_id,
      r.mock_error, r.traceparent, r.claimed_until
    from (
      select o.*, row_number() over (partition by o.tenant_id, o.step order by o.due_at) as nth
      from open_steps o
      where o.claimed_until is null and o.due_at <= due_before
    ) r
    where r.nth <= each_max
    order by r.due_at
    limit rows_max
  $$;

  -- Deletes at most rows_max records, never one younger than 24 hours (P10). Returns how many.
  create function prune_idempotency_keys(older_than interval, rows_max integer) returns bigint
  language sql security definer set search_path = public, pg_temp
  as $$
    with old as (
      select ctid from idempotency_keys
      where created_at < now() - greatest(older_than, interval '24 hours')
      order by created_at
      limit rows_max
      for update skip locked
    ),
    gone as (
      delete from idempotency_keys k using old where k.ctid = old.ctid returning 1
    )
    select count(*) from gone
  $$;
`

const requireLogVerified = `
  -- Refuses a claim until the relay has compared Kafka with this incarnation of the store: a store restored to an earlier
  -- point would grant what it has forgotten having granted.
  create function effects.require_log_verified(tenant text, args jsonb) returns void
  language plpgsql
  as $$
  declare
    now_running text := public.log_incarnation();
  begin
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

const rights = `
  revoke all on all functions in schema public from public;
  revoke all on all functions in schema effects from public;
  grant execute on function
    append_commands(jsonb, jsonb),
    commit_events(jsonb, integer[]),
    read_log(text[], integer[], bigint[], integer, integer),
    stream_versions(text[], text[]),
    overdue_steps(timestamptz, integer, integer),
    prune_idempotency_keys(interval, integer),
    effects.require_log_verified(text, jsonb)
  to portolan_command_api;
`
