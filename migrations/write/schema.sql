--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: effects; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA effects;

--
-- Name: begin_republication(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.begin_republication(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      perform public.require_log_compared();
      if (args ->> 'generation')::integer <> public.next_log_generation() then
        raise sqlstate 'PT001' using message = 'conflict', detail = 'The log is of another generation by now.';
      end if;
      insert into public.log_republications (generation, started_by, reason)
      values ((args ->> 'generation')::integer, args ->> 'by', args ->> 'reason');
    exception when unique_violation then
      raise sqlstate 'PT001' using message = 'conflict', detail = 'The log is being republished already.';
    end $$;

--
-- Name: change_nights(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.change_nights(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
    declare
      property constant text := args ->> 'propertyId';
      as_is constant boolean := coalesce((args ->> 'asIs')::boolean, false);
      kept_rule text;
      change record;
    begin
      -- Writing the months takes this lock in any case. Taken before the rule is read: a rebuild for another one is over or has not begun.
      -- Without waiting, which would keep the commands behind this one in its group.
      lock table public.stay_months in row exclusive mode nowait;
      select r.rule into kept_rule from public.stay_rules r where r.tenant_id = tenant;
      if kept_rule is null then
        insert into public.stay_rules (tenant_id, rule) values (tenant, args ->> 'rule') on conflict do nothing;
        select r.rule into kept_rule from public.stay_rules r where r.tenant_id = tenant;
      end if;
      if kept_rule is distinct from args ->> 'rule' then
        raise exception 'unavailable' using errcode = 'PT001',
          detail = format('Stays are kept by the rule ''%s'' here', kept_rule), hint = '{"retry_after":60}';
      end if;
      if args ->> 'asks' = 'true' then
        -- Before any of its months, as whoever retires it does. It waits for a retirement, and sees it.
        perform from public.stay_properties p where p.tenant_id = tenant and p.property_id = property and not p.retired for share;
        if not found then
          raise exception 'unknown-property' using errcode = 'PT001',
            detail = format('There is no property with the id ''%s''', property);
        end if;
      end if;
      for change in
        select * from jsonb_to_recordset(args -> 'months') as m (month integer, free integer, ask integer, take integer)
      loop
        insert into public.stay_months as n (tenant_id, property_id, month, taken)
        values (tenant, property, change.month, change.take)
        on conflict on constraint stay_months_pkey do update set
          -- & and | bind alike.
          taken = (n.taken & ~change.free) | (n.twice & change.free) | change.take,
          twice = (n.twice & ~change.free) | case when as_is then n.taken & ~change.free & change.take else 0 end
        where as_is or ((n.taken & ~change.free) | (n.twice & change.free)) & change.ask = 0;
        if not found then
          raise exception 'not-available' using errcode = 'PT001', detail = 'The property is taken for these dates';
        end if;
      end loop;
      -- Beside what was loaded, never over what a guest was sold; months do not say which it is. They are locked by now, so every reservation that
      -- took a day of them is in the log.
      if as_is and exists (
        select from jsonb_to_recordset(args -> 'months') as c (month integer, ask integer, take integer)
        join public.stay_months n on n.tenant_id = tenant and n.property_id = property and n.month = c.month and n.twice & (c.ask | c.take) <> 0
      ) and exists (
        select from public.live_stays(tenant) l
        cross join lateral public.days_as_months(l.start_day, l.start_day + l.nights + (kept_rule = 'closed')::integer) m
        join jsonb_to_recordset(args -> 'months') as c (month integer, ask integer) on c.month = m.month
        where l.property_id = property and not l.is_loaded and m.bits & c.ask <> 0
      ) then
        raise exception 'not-available' using errcode = 'PT001', detail = 'The property is taken for these dates by a guest';
      end if;
    end $$;

--
-- Name: change_staff_password(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.change_staff_password(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
    begin
      update public.staff_accounts set password_hash = args ->> 'passwordHash'
      where account_id = args ->> 'accountId' and password_hash = args ->> 'formerHash' and disabled_at is null;
      if not found then
        raise exception 'conflict' using errcode = 'PT001', detail = 'The password was changed meanwhile';
      end if;
      update public.staff_sessions set revoked_at = now()
      where account_id = args ->> 'accountId' and revoked_at is null;
    end $$;

--
-- Name: claim_offer(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.claim_offer(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
    declare
      found_offer public.offers;
    begin
      select * into found_offer from public.offers
      where tenant_id = tenant and flight_id = args->>'flightId' and member_id = args->>'memberId'
      for update;
      if found_offer.booking_id is not null then
        raise exception 'offer-already-booked' using errcode = 'PT001',
          detail = format('Flight with ID ''%s'' has already been booked', args->>'flightId');
      end if;
      if found_offer.flight_id is null or found_offer.expires_at <= clock_timestamp() then
        raise exception 'flight-not-found' using errcode = 'PT001',
          detail = format('Flight with ID ''%s'' not found or no longer available', args->>'flightId');
      end if;
      update public.offers set booking_id = args->>'bookingId'
      where tenant_id = tenant and flight_id = found_offer.flight_id;
    end $$;

--
-- Name: create_personal_key(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.create_personal_key(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
  begin
    insert into public.personal_keys (tenant_id, person_id, key_id, wrapped_key, kek_id)
    values (tenant, args ->> 'personId', args ->> 'keyId', decode(args ->> 'wrappedKey', 'base64'), args ->> 'kekId')
    on conflict do nothing;
    if not found then
      raise exception 'another command made the key of this person' using errcode = 'PT002';
    end if;
  end $$;

--
-- Name: create_staff_account(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.create_staff_account(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
  begin
    insert into public.staff_accounts (account_id, email, password_hash, role, tenant_scope)
    values (args ->> 'accountId', args ->> 'email', args ->> 'passwordHash', args ->> 'role', args ->> 'tenantScope')
    on conflict on constraint staff_accounts_email do nothing;
    if not found then
      raise exception 'conflict' using errcode = 'PT001', detail = 'An account with this e-mail address exists already';
    end if;
  end $$;

--
-- Name: disable_staff_account(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.disable_staff_account(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
    begin
      -- Orders those who disable operators at the same time: each sees what the one before has left.
      perform from public.staff_accounts
      where role = 'operator' and tenant_scope is null and disabled_at is null
      order by account_id for update;
      update public.staff_accounts set disabled_at = now() where account_id = args ->> 'accountId';
      update public.staff_sessions set revoked_at = now()
      where account_id = args ->> 'accountId' and revoked_at is null;
      if not exists (
        select from public.staff_accounts where role = 'operator' and tenant_scope is null and disabled_at is null
      ) then
        raise exception 'conflict' using errcode = 'PT001',
          detail = 'This is the last operator: nobody could enable an account again';
      end if;
    end $$;

--
-- Name: enable_staff_account(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.enable_staff_account(tenant text, args jsonb) RETURNS void
    LANGUAGE sql
    AS $$
      update public.staff_accounts set disabled_at = null where account_id = args ->> 'accountId'
    $$;

--
-- Name: forget_person(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.forget_person(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    open_bookings jsonb;
  begin
    delete from public.personal_keys
    where tenant_id = tenant and person_id = args ->> 'personId' and key_id = args ->> 'keyId';
    if not found then
      raise exception 'another command forgot this person' using errcode = 'PT002';
    end if;
    select jsonb_agg(distinct input ->> 'bookingId') into open_bookings
    from public.open_steps where tenant_id = tenant and input ->> 'memberId' = args ->> 'personId';
    if open_bookings is not null then
      raise exception 'not-forgettable' using errcode = 'PT001',
        detail = 'Bookings of this member are still being worked on',
        hint = jsonb_build_object('bookingIds', open_bookings);
    end if;
    insert into public.forgotten_keys (tenant_id, person_id, key_id, reason, forgotten_by, forgotten_at)
    values (tenant, args ->> 'personId', args ->> 'keyId', args ->> 'reason', args ->> 'by', (args ->> 'at')::timestamptz);
  end $$;

--
-- Name: raise_log_generation(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.raise_log_generation(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      wanted integer := (args ->> 'generation')::integer;
    begin
      perform public.require_log_compared();
      update public.log_republications set raised_at = clock_timestamp() where generation = wanted and raised_at is null;
      if not found then
        raise sqlstate 'PT001' using message = 'conflict', detail = 'This generation is not being prepared.';
      end if;
      perform set_config('lock_timeout', '5s', true);
      perform from public.log_heads order by topic, partition for update;
      -- A relay that is recording a comparison either has committed before the deletion below, or waits and sees the new generation.
      lock table public.log_verifications in share row exclusive mode;
      insert into public.log_generation_starts (generation, topic, partition, position)
      select wanted, topic, partition, position from public.log_heads;
      update public.log_state set generation = wanted;
      delete from public.log_verifications;
      delete from public.log_surveys;
    end $$;

--
-- Name: record_forget(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.record_forget(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      update public.forgotten_keys set in_log = true
      where tenant_id = tenant and key_id = args ->> 'keyId' and not in_log;
      if not found then
        raise exception 'conflict' using errcode = 'PT001', detail = 'This forget is recorded already';
      end if;
    end $$;

--
-- Name: register_property(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.register_property(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
    begin
      insert into public.stay_properties (tenant_id, property_id) values (tenant, args ->> 'propertyId');
    end $$;

--
-- Name: require_log_verified(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.require_log_verified(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
  declare
    now_running text := public.log_incarnation();
  begin
    if exists (select from public.log_republications where raised_at is null) then
      raise sqlstate 'PT001' using
        message = 'unavailable', detail = 'The event log is being republished.', hint = '{"retry_after": 10}';
    end if;
    if exists (
      select from public.log_heads h
      left join public.log_verifications v on v.topic = h.topic and v.partition = h.partition
      where v.incarnation is distinct from now_running
    ) then
      raise sqlstate 'PT001' using
        message = 'unavailable',
        detail = 'The event log has not been compared with its copy since the database started.',
        hint = '{"retry_after": 5}';
    end if;
  end $$;

--
-- Name: retire_property(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.retire_property(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
    begin
      update public.stay_properties set retired = true where tenant_id = tenant and property_id = args ->> 'propertyId';
    end $$;

--
-- Name: store_tenant(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.store_tenant(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
  begin
    insert into public.tenants (tenant_id, settings) values (tenant, args -> 'settings')
    on conflict (tenant_id) do update set settings = excluded.settings;
    insert into public.tenant_secrets (tenant_id, credential_sha256, partner_api_key_sealed)
    values (tenant, decode(args ->> 'credentialSha256', 'hex'), args ->> 'partnerApiKeySealed')
    on conflict (tenant_id) do update set
      credential_sha256 = excluded.credential_sha256, partner_api_key_sealed = excluded.partner_api_key_sealed;
  end $$;

--
-- Name: use_personal_key(text, jsonb); Type: FUNCTION; Schema: effects; Owner: -
--

CREATE FUNCTION effects.use_personal_key(tenant text, args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  begin
    perform from public.personal_keys
    where tenant_id = tenant and person_id = args ->> 'personId' and key_id = args ->> 'keyId'
    for key share;
    if not found then
      raise exception 'the key of this person was forgotten' using errcode = 'PT002';
    end if;
  end $$;

--
-- Name: add_bits(bigint, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.add_bits(kept bigint, bits bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$ select kept | bits | ((kept & bits) << 32) $$;

--
-- Name: append_commands(jsonb, jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.append_commands(commands jsonb, events jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET lock_timeout TO '100ms'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
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
  end $_$;

--
-- Name: change_stay_rule(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.change_stay_rule(tenant text, to_rule text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    kept_rule text;
    found_pairs bigint;
    first_pairs jsonb;
  begin
    if to_rule not in ('nights', 'closed', 'literal') then
      raise exception 'there is no rule %', to_rule;
    end if;
    lock table stay_months in share row exclusive mode;
    select r.rule into kept_rule from stay_rules r where r.tenant_id = tenant;
    if kept_rule is null or kept_rule = to_rule then
      return jsonb_build_object('from', kept_rule, 'collisions', 0, 'months', 0);
    end if;
    with numbered as (
      select c.*, row_number() over (order by c.property_id, c.first_day, c.second_day) as nth from stay_collisions(tenant, to_rule) c
    )
    select count(*), jsonb_agg(to_jsonb(n) - 'nth' order by n.nth) filter (where n.nth <= 10)
    into found_pairs, first_pairs
    from numbered n;
    if found_pairs > 0 then
      return jsonb_build_object('from', kept_rule, 'collisions', found_pairs, 'first', first_pairs, 'months', 0);
    end if;
    update stay_rules set rule = to_rule where tenant_id = tenant;
    return jsonb_build_object('from', kept_rule, 'collisions', 0, 'months', rebuild_nights(tenant, to_rule));
  end $$;

--
-- Name: commit_events(jsonb, integer[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.commit_events(events jsonb, accepted integer[]) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

--
-- Name: days_as_months(integer, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.days_as_months(from_day integer, until_day integer) RETURNS TABLE(month integer, bits bigint)
    LANGUAGE sql IMMUTABLE
    AS $$
    select m, ((1::bigint << least(until_day, first_day + days) - greatest(from_day, first_day)) - 1) << greatest(from_day - first_day, 0)
    from generate_series(
        (select extract(year from d) * 12 + extract(month from d) - 1 from (select date '1970-01-01' + from_day) as first (d))::integer,
        (select extract(year from d) * 12 + extract(month from d) - 1 from (select date '1970-01-01' + until_day - 1) as last (d))::integer
      ) m
    cross join lateral (
      select make_date(m / 12, m % 12 + 1, 1) - date '1970-01-01',
        extract(day from make_date(m / 12, m % 12 + 1, 1) + interval '1 month' - interval '1 day')::integer
    ) as whole (first_day, days)
  $$;

--
-- Name: event_ids(text, integer, bigint[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.event_ids(of_topic text, of_partition integer, positions bigint[]) RETURNS TABLE(at_position bigint, id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    select e.position, e.event_id::text from events e
    where e.topic = of_topic and e.partition = of_partition and e.position = any (positions)
  $$;

--
-- Name: extend_events(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.extend_events() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: forgotten_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.forgotten_keys (
    tenant_id text NOT NULL,
    person_id text NOT NULL,
    key_id text NOT NULL,
    reason text NOT NULL,
    forgotten_by text NOT NULL,
    forgotten_at timestamp with time zone NOT NULL,
    in_log boolean DEFAULT true NOT NULL
);

--
-- Name: forgets_to_record(integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.forgets_to_record(rows_max integer) RETURNS SETOF public.forgotten_keys
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
      select * from forgotten_keys where not in_log order by forgotten_at limit rows_max
    $$;

--
-- Name: live_stays(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.live_stays(tenant text) RETURNS TABLE(reservation_id text, property_id text, start_day integer, nights integer, is_loaded boolean, decided_at timestamp with time zone)
    LANGUAGE sql STABLE
    AS $$
    select l.data ->> 'reservationId', l.data ->> 'propertyId', (l.data ->> 'startDate')::date - date '1970-01-01',
      (l.data ->> 'nights')::integer, l.is_loaded, l.recorded_at
    from (
      select distinct on (e.stream) e.type, e.data, e.recorded_at,
        bool_or(e.type = 'StayReserved' and e.data -> 'holder' = 'null') over (partition by e.stream) as is_loaded
      from public.events e
      where e.topic = 'stays.events.v1' and e.tenant_id = tenant
        and e.type in ('StayReserved', 'StayDatesChanged', 'StayCancelled')
      order by e.stream, e.stream_version desc
    ) l
    where l.type <> 'StayCancelled'
  $$;

--
-- Name: load_streams(text, text[], bigint[], integer[], integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.load_streams(tenant text, names text[], after bigint[], schemas integer[], events_max integer) RETURNS TABLE(nth integer, type text, schema_version integer, data jsonb, partition integer, "position" bigint, generation integer, stream_version bigint)
    LANGUAGE plpgsql
    AS $$
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

--
-- Name: log_incarnation(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.log_incarnation() RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
    begin
      return (
        select concat_ws('/', extract(epoch from pg_postmaster_start_time()), d.oid, 'public.events'::regclass::oid)
        from pg_database d
        where d.datname = current_database()
      );
    end $$;

--
-- Name: maintain_open_steps(jsonb, integer[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.maintain_open_steps(events jsonb, accepted integer[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

--
-- Name: next_log_generation(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.next_log_generation() RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    select greatest((select max(generation) from log_state), (select max(generation) from log_surveys)) + 1
  $$;

--
-- Name: open_order_polls(integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.open_order_polls(rows_max integer) RETURNS TABLE(tenant_id text, stream text, order_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
      select o.tenant_id, o.stream, o.input ->> 'orderId'
      from open_steps o
      where o.step in ('poll-order', 'reconcile-order')
      order by o.due_at
      limit rows_max
    $$;

--
-- Name: open_steps; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.open_steps (
    tenant_id text NOT NULL,
    stream text NOT NULL,
    step text NOT NULL,
    attempt integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    deadline timestamp with time zone NOT NULL,
    input jsonb NOT NULL,
    correlation_id text NOT NULL,
    causation_id text NOT NULL,
    mock_error text,
    traceparent text,
    claimed_until timestamp with time zone
);

--
-- Name: overdue_steps(timestamp with time zone, integer, integer, jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.overdue_steps(due_before timestamp with time zone, rows_max integer, each_max integer, seen jsonb) RETURNS SETOF public.open_steps
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
      with recursive groups as (
        (select o.tenant_id, o.step from open_steps o where o.claimed_until is null order by o.tenant_id, o.step limit 1)
        union all
        select n.tenant_id, n.step
        from groups g
        cross join lateral (
          select o.tenant_id, o.step
          from open_steps o
          where o.claimed_until is null and (o.tenant_id, o.step) > (g.tenant_id, g.step)
          order by o.tenant_id, o.step
          limit 1
        ) n
      )
      select
        r.tenant_id, r.stream, r.step, r.attempt, r.due_at, r.deadline, r.input, r.correlation_id, r.causation_id,
        r.mock_error, r.traceparent, r.claimed_until
      from groups g
      left join jsonb_to_recordset(seen) as s(tenant_id text, step text, due_at timestamptz, stream text)
        on s.tenant_id = g.tenant_id and s.step = g.step
      cross join lateral (
        select o.*, row_number() over (order by o.due_at, o.stream) as nth
        from open_steps o
        where o.claimed_until is null and o.tenant_id = g.tenant_id and o.step = g.step and o.due_at <= due_before
          and (o.due_at, o.stream) > (coalesce(s.due_at, '-infinity'), coalesce(s.stream, ''))
        order by o.due_at, o.stream
        limit each_max
      ) r
      where s.tenant_id is null or s.due_at is not null
      order by r.nth, r.due_at, r.stream
      limit rows_max
    $$;

--
-- Name: personal_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.personal_keys (
    tenant_id text NOT NULL,
    person_id text NOT NULL,
    key_id text NOT NULL,
    wrapped_key bytea NOT NULL,
    kek_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: personal_keys_to_rewrap(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.personal_keys_to_rewrap(current_kek text, rows_max integer) RETURNS SETOF public.personal_keys
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    select tenant_id, person_id, key_id, wrapped_key, kek_id, created_at
    from personal_keys where kek_id <> current_kek limit rows_max
  $$;

--
-- Name: prune_idempotency_keys(interval, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.prune_idempotency_keys(older_than interval, rows_max integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

--
-- Name: prune_offers(integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.prune_offers(rows_max integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    declare
      pruned integer;
    begin
      delete from offers where (tenant_id, flight_id) in (
        select tenant_id, flight_id from offers where expires_at < now() - interval '1 day' limit rows_max
      );
      get diagnostics pruned = row_count;
      return pruned;
    end $$;

--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
)
PARTITION BY RANGE ("position");

--
-- Name: read_log(text[], integer[], bigint[], integer, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.read_log(topics text[], partitions integer[], after bigint[], rows_max integer, bytes_max integer) RETURNS SETOF public.events
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

--
-- Name: reapply_forget(text, text, text, text, text, timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.reapply_forget(tenant text, person text, key text, why text, by_whom text, at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    begin
      insert into forgotten_keys (tenant_id, person_id, key_id, reason, forgotten_by, forgotten_at, in_log)
      values (tenant, person, key, why, by_whom, at, false)
      on conflict do nothing;
      delete from personal_keys where tenant_id = tenant and key_id = key;
      return found;
    end $$;

--
-- Name: reapply_lost_forgets(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.reapply_lost_forgets() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
      select count(*) filter (where reapply_forget(
        tenant_id, data ->> 'personId', data ->> 'keyId', data ->> 'reason', data ->> 'by', (data ->> 'at')::timestamptz
      ))
      from (
        select tenant_id, envelope -> 'data' as data from lost_events where type = 'PersonForgotten' and envelope is not null
      ) forgotten
    $$;

--
-- Name: rebuild_nights(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.rebuild_nights(tenant text, by_rule text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    differed integer;
  begin
    lock table stay_months in share row exclusive mode;
    with wanted as materialized (
      select s.property_id, m.month, taken_and_twice(m.bits) as bits
      from live_stays(tenant) s
      cross join lateral days_as_months(s.start_day, s.start_day + s.nights + (by_rule = 'closed')::integer) m
      group by s.property_id, m.month
    ),
    compared as materialized (
      select property_id, month, coalesce(w.bits & 2147483647, 0)::integer as taken, coalesce(w.bits >> 32, 0)::integer as twice
      from wanted w
      full join (select * from stay_months n where n.tenant_id = tenant) n using (property_id, month)
      where coalesce(w.bits, 0) <> coalesce(n.taken | (n.twice::bigint << 32), 0)
    ),
    mended as (
      insert into stay_months (tenant_id, property_id, month, taken, twice)
      select tenant, c.property_id, c.month, c.taken, c.twice from compared c
      on conflict on constraint stay_months_pkey do update set taken = excluded.taken, twice = excluded.twice
      returning 1
    )
    select count(*) into differed from mended;
    -- Who may be reserved is part of it. Whoever registers or retires one meanwhile comes after.
    lock table stay_properties in share row exclusive mode;
    with wanted as (
      select e.data ->> 'propertyId' as property_id, bool_or(e.type = 'PropertyRetired') as retired
      from events e
      where e.topic = 'stays.events.v1' and e.tenant_id = tenant and e.type in ('PropertyRegistered', 'PropertyRetired')
      group by 1
    ),
    mended as (
      insert into stay_properties as p (tenant_id, property_id, retired)
      select tenant, w.property_id, w.retired from wanted w
      on conflict on constraint stay_properties_pkey do update set retired = excluded.retired where p.retired <> excluded.retired
      returning 1
    )
    select differed + count(*) into differed from mended;
    return differed;
  end $$;

--
-- Name: register_topics(text[], integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.register_topics(names text[], wanted_partitions integer) RETURNS void
    LANGUAGE sql
    AS $$
    insert into log_topics (topic, partitions) select name, wanted_partitions from unnest(names) name on conflict do nothing;
    insert into log_heads (topic, partition)
    select t.topic, p from log_topics t, generate_series(0, t.partitions - 1) p on conflict do nothing;
  $$;

--
-- Name: require_log_compared(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.require_log_compared() RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
    declare
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
    end $$;

--
-- Name: rewrap_personal_key(text, text, text, bytea, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.rewrap_personal_key(tenant text, person text, key text, wrapped bytea, kek text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  begin
    update personal_keys set wrapped_key = wrapped, kek_id = kek
    where tenant_id = tenant and person_id = person and key_id = key;
    return found;
  end $$;

--
-- Name: rotate_refresh_token(bytea, bytea); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.rotate_refresh_token(presented bytea, successor bytea) RETURNS TABLE(outcome text, session uuid, account text)
    LANGUAGE plpgsql
    AS $$
  declare
    token public.refresh_tokens;
    owner public.staff_sessions;
  begin
    select * into token from public.refresh_tokens t where t.token_sha256 = presented;
    select * into owner from public.staff_sessions s where s.session_id = token.session_id for update;
    if owner.session_id is null or owner.revoked_at is not null or owner.expires_at <= now() then
      return query select 'unknown', null::uuid, null::text;
      return;
    end if;
    update public.refresh_tokens t set used_at = now() where t.token_sha256 = presented and t.used_at is null;
    if not found then
      update public.staff_sessions s set revoked_at = now() where s.session_id = owner.session_id;
      return query select 'reused', owner.session_id, owner.account_id;
      return;
    end if;
    insert into public.refresh_tokens (token_sha256, session_id) values (successor, owner.session_id);
    return query select 'rotated', owner.session_id, owner.account_id;
  end $$;

--
-- Name: stay_collisions(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.stay_collisions(tenant text, by_rule text) RETURNS TABLE(property_id text, first_id text, first_day integer, first_nights integer, second_id text, second_day integer, second_nights integer)
    LANGUAGE sql STABLE
    AS $$
    with stays as materialized (select * from public.live_stays(tenant)),
    -- Only stays that meet in a month can collide.
    monthly as (
      select s.*, m.month from stays s cross join lateral public.days_as_months(s.start_day, s.start_day + s.nights + 1) m
    )
    select distinct a.property_id, a.reservation_id, a.start_day, a.nights, b.reservation_id, b.start_day, b.nights
    from monthly a
    join monthly b on b.property_id = a.property_id and b.month = a.month
      and (a.start_day, a.reservation_id) < (b.start_day, b.reservation_id)
    cross join lateral (select (by_rule = 'closed')::integer, (by_rule <> 'nights')::integer) as more (occupied, asked)
    cross join lateral (
      select b.start_day < a.start_day + a.nights + occupied and a.start_day < b.start_day + b.nights + asked,
        a.start_day < b.start_day + b.nights + occupied and b.start_day < a.start_day + a.nights + asked
    ) as refused (b_after_a, a_after_b)
    where not (a.is_loaded and b.is_loaded)
      and case when a.decided_at < b.decided_at then b_after_a when a.decided_at > b.decided_at then a_after_b else b_after_a and a_after_b end
  $$;

--
-- Name: stream_versions(text[], text[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.stream_versions(tenants text[], names text[]) RETURNS TABLE(tenant_id text, stream text, version bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    #variable_conflict use_column
    begin
      return query
        select s.tenant_id, s.stream, s.version
        from unnest(tenants, names) as w(tenant_id, stream)
        join streams s on s.tenant_id = w.tenant_id and s.stream = w.stream;
    end $$;

--
-- Name: topic_is_verified(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.topic_is_verified(name text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
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

--
-- Name: unended_bookings(text, text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.unended_bookings(after_tenant text, after_stream text, rows_max integer) RETURNS TABLE(tenant_id text, stream text, is_unended boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    select s.tenant_id, s.stream, not exists (
      select from events e
      where e.tenant_id = s.tenant_id and e.stream = s.stream
        and e.type in ('BookingRejected', 'BookingFailed', 'BookingExpired', 'BookingCancelled')
        and not exists (
          select from events c
          where c.tenant_id = s.tenant_id and c.stream = s.stream
            and c.type = 'OutcomeCorrected' and c.stream_version > e.stream_version
        )
    )
    from (
      select * from streams
      where (streams.tenant_id, streams.stream) > (after_tenant, after_stream) and topic = 'bookings.events.v1'
      order by streams.tenant_id, streams.stream
      limit rows_max
    ) s
    order by s.tenant_id, s.stream
  $$;

--
-- Name: taken_and_twice(bigint); Type: AGGREGATE; Schema: public; Owner: -
--

CREATE AGGREGATE public.taken_and_twice(bigint) (
    SFUNC = public.add_bits,
    STYPE = bigint,
    INITCOND = '0'
);

--
-- Name: events_000000; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events_000000 (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
);

--
-- Name: events_000001; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events_000001 (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
);

--
-- Name: events_000002; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events_000002 (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_data_size CHECK ((pg_column_size(data) <= 262144))
);

--
-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_keys (
    tenant_id text NOT NULL,
    principal text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    reference text,
    rejection jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: log_generation_starts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_generation_starts (
    generation integer NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL
);

--
-- Name: log_heads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_heads (
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='10');

--
-- Name: log_republications; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_republications (
    generation integer NOT NULL,
    started_by text NOT NULL,
    reason text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    looked_at_tenant text DEFAULT ''::text NOT NULL,
    looked_at_stream text DEFAULT ''::text NOT NULL,
    looked_at bigint DEFAULT 0 NOT NULL,
    marked bigint DEFAULT 0 NOT NULL,
    raised_at timestamp with time zone,
    looked_at_members_tenant text DEFAULT ''::text NOT NULL,
    looked_at_member text DEFAULT ''::text NOT NULL,
    marked_members bigint DEFAULT 0 NOT NULL
);

--
-- Name: log_state; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_state (
    only_row boolean DEFAULT true NOT NULL,
    generation integer DEFAULT 1 NOT NULL,
    CONSTRAINT log_state_only_row CHECK (only_row)
);

--
-- Name: log_surveys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_surveys (
    topic text NOT NULL,
    partition integer NOT NULL,
    generation integer NOT NULL,
    incarnation text NOT NULL,
    agreed_position bigint NOT NULL,
    surveyed_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: log_topics; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_topics (
    topic text NOT NULL,
    partitions integer NOT NULL,
    CONSTRAINT log_topics_partitions CHECK (((partitions >= 1) AND (partitions <= 1024)))
);

--
-- Name: log_verifications; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.log_verifications (
    topic text NOT NULL,
    partition integer NOT NULL,
    incarnation text NOT NULL,
    verified_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: lost_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.lost_events (
    generation integer NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    event_id text NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    type text NOT NULL,
    recorded_at timestamp with time zone,
    envelope jsonb,
    found_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: offers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.offers (
    tenant_id text NOT NULL,
    flight_id text NOT NULL,
    member_id text NOT NULL,
    offer jsonb NOT NULL,
    price jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    booking_id text
);

--
-- Name: parked_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parked_events (
    consumer text NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    envelope jsonb NOT NULL,
    reason text,
    parked_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: parked_streams; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parked_streams (
    consumer text NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    reason text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    retry_requested_at timestamp with time zone,
    claimed_until timestamp with time zone
);

--
-- Name: refresh_tokens; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.refresh_tokens (
    token_sha256 bytea NOT NULL,
    session_id uuid NOT NULL,
    used_at timestamp with time zone
);

--
-- Name: staff_accounts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.staff_accounts (
    account_id text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    tenant_scope text,
    disabled_at timestamp with time zone
);

--
-- Name: staff_sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.staff_sessions (
    session_id uuid NOT NULL,
    account_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);

--
-- Name: stay_months; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.stay_months (
    tenant_id text NOT NULL,
    property_id text NOT NULL,
    month integer NOT NULL,
    taken integer NOT NULL,
    twice integer DEFAULT 0 NOT NULL,
    CONSTRAINT twice_is_taken CHECK (((twice & (~ taken)) = 0))
)
WITH (fillfactor='80');

--
-- Name: stay_properties; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.stay_properties (
    tenant_id text NOT NULL,
    property_id text NOT NULL,
    retired boolean DEFAULT false NOT NULL
);

--
-- Name: stay_rules; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.stay_rules (
    tenant_id text NOT NULL,
    rule text NOT NULL
);

--
-- Name: stream_snapshots; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.stream_snapshots (
    tenant_id text NOT NULL,
    stream text NOT NULL,
    schema integer NOT NULL,
    version bigint NOT NULL,
    state jsonb NOT NULL,
    event_id uuid NOT NULL
)
WITH (fillfactor='70');

--
-- Name: streams; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.streams (
    tenant_id text NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL
)
WITH (fillfactor='90');

--
-- Name: tenant_secrets; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tenant_secrets (
    tenant_id text NOT NULL,
    credential_sha256 bytea NOT NULL,
    partner_api_key_sealed text NOT NULL,
    CONSTRAINT tenant_secrets_credential CHECK ((length(credential_sha256) = 32))
);

--
-- Name: tenants; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tenants (
    tenant_id text NOT NULL,
    settings jsonb NOT NULL
);

--
-- Name: events_000000; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_000000 FOR VALUES FROM ('0') TO ('1000000');

--
-- Name: events_000001; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_000001 FOR VALUES FROM ('1000000') TO ('2000000');

--
-- Name: events_000002; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_000002 FOR VALUES FROM ('2000000') TO ('3000000');

--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: events_000000 events_000000_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events_000000
    ADD CONSTRAINT events_000000_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: events_000001 events_000001_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events_000001
    ADD CONSTRAINT events_000001_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: events_000002 events_000002_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events_000002
    ADD CONSTRAINT events_000002_pkey PRIMARY KEY (topic, partition, "position");

--
-- Name: forgotten_keys forgotten_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.forgotten_keys
    ADD CONSTRAINT forgotten_keys_pkey PRIMARY KEY (tenant_id, key_id);

--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, principal, method, path, key);

--
-- Name: log_generation_starts log_generation_starts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_generation_starts
    ADD CONSTRAINT log_generation_starts_pkey PRIMARY KEY (generation, topic, partition);

--
-- Name: log_heads log_heads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_heads
    ADD CONSTRAINT log_heads_pkey PRIMARY KEY (topic, partition);

--
-- Name: log_republications log_republications_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_republications
    ADD CONSTRAINT log_republications_pkey PRIMARY KEY (generation);

--
-- Name: log_state log_state_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_state
    ADD CONSTRAINT log_state_pkey PRIMARY KEY (only_row);

--
-- Name: log_surveys log_surveys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_surveys
    ADD CONSTRAINT log_surveys_pkey PRIMARY KEY (topic, partition);

--
-- Name: log_topics log_topics_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_topics
    ADD CONSTRAINT log_topics_pkey PRIMARY KEY (topic);

--
-- Name: log_verifications log_verifications_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_verifications
    ADD CONSTRAINT log_verifications_pkey PRIMARY KEY (topic, partition);

--
-- Name: lost_events lost_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.lost_events
    ADD CONSTRAINT lost_events_pkey PRIMARY KEY (generation, topic, partition, "position", event_id);

--
-- Name: offers offers_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.offers
    ADD CONSTRAINT offers_pkey PRIMARY KEY (tenant_id, flight_id);

--
-- Name: open_steps open_steps_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.open_steps
    ADD CONSTRAINT open_steps_pkey PRIMARY KEY (tenant_id, stream, step);

--
-- Name: parked_events parked_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked_events
    ADD CONSTRAINT parked_events_pkey PRIMARY KEY (consumer, tenant_id, stream, stream_version);

--
-- Name: parked_streams parked_streams_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked_streams
    ADD CONSTRAINT parked_streams_pkey PRIMARY KEY (consumer, tenant_id, stream);

--
-- Name: personal_keys personal_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.personal_keys
    ADD CONSTRAINT personal_keys_pkey PRIMARY KEY (tenant_id, person_id);

--
-- Name: refresh_tokens refresh_tokens_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_sha256);

--
-- Name: staff_accounts staff_accounts_email; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.staff_accounts
    ADD CONSTRAINT staff_accounts_email UNIQUE (email);

--
-- Name: staff_accounts staff_accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.staff_accounts
    ADD CONSTRAINT staff_accounts_pkey PRIMARY KEY (account_id);

--
-- Name: staff_sessions staff_sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.staff_sessions
    ADD CONSTRAINT staff_sessions_pkey PRIMARY KEY (session_id);

--
-- Name: stay_months stay_months_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stay_months
    ADD CONSTRAINT stay_months_pkey PRIMARY KEY (tenant_id, property_id, month);

--
-- Name: stay_properties stay_properties_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stay_properties
    ADD CONSTRAINT stay_properties_pkey PRIMARY KEY (tenant_id, property_id);

--
-- Name: stay_rules stay_rules_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stay_rules
    ADD CONSTRAINT stay_rules_pkey PRIMARY KEY (tenant_id);

--
-- Name: stream_snapshots stream_snapshots_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stream_snapshots
    ADD CONSTRAINT stream_snapshots_pkey PRIMARY KEY (tenant_id, stream, schema);

--
-- Name: streams streams_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (tenant_id, stream);

--
-- Name: tenant_secrets tenant_secrets_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tenant_secrets
    ADD CONSTRAINT tenant_secrets_pkey PRIMARY KEY (tenant_id);

--
-- Name: tenants tenants_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id);

--
-- Name: events_by_stream; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_by_stream ON ONLY public.events USING btree (tenant_id, stream, stream_version);

--
-- Name: events_000000_tenant_id_stream_stream_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_000000_tenant_id_stream_stream_version_idx ON public.events_000000 USING btree (tenant_id, stream, stream_version);

--
-- Name: events_000001_tenant_id_stream_stream_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_000001_tenant_id_stream_stream_version_idx ON public.events_000001 USING btree (tenant_id, stream, stream_version);

--
-- Name: events_000002_tenant_id_stream_stream_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_000002_tenant_id_stream_stream_version_idx ON public.events_000002 USING btree (tenant_id, stream, stream_version);

--
-- Name: forgotten_keys_by_person; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX forgotten_keys_by_person ON public.forgotten_keys USING btree (tenant_id, person_id, forgotten_at);

--
-- Name: forgotten_keys_to_record; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX forgotten_keys_to_record ON public.forgotten_keys USING btree (forgotten_at) WHERE (NOT in_log);

--
-- Name: idempotency_keys_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);

--
-- Name: log_republications_one_open; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX log_republications_one_open ON public.log_republications USING btree ((true)) WHERE (raised_at IS NULL);

--
-- Name: lost_events_by_stream; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX lost_events_by_stream ON public.lost_events USING btree (tenant_id, stream);

--
-- Name: offers_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX offers_expiry ON public.offers USING btree (expires_at);

--
-- Name: open_steps_order_polls; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX open_steps_order_polls ON public.open_steps USING btree (due_at) WHERE (step = ANY (ARRAY['poll-order'::text, 'reconcile-order'::text]));

--
-- Name: open_steps_overdue; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX open_steps_overdue ON public.open_steps USING btree (tenant_id, step, due_at, stream) WHERE (claimed_until IS NULL);

--
-- Name: personal_keys_by_kek; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX personal_keys_by_kek ON public.personal_keys USING btree (kek_id);

--
-- Name: refresh_tokens_by_session; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX refresh_tokens_by_session ON public.refresh_tokens USING btree (session_id);

--
-- Name: staff_sessions_by_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX staff_sessions_by_account ON public.staff_sessions USING btree (account_id, expires_at);

--
-- Name: events_000000_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_pkey ATTACH PARTITION public.events_000000_pkey;

--
-- Name: events_000000_tenant_id_stream_stream_version_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_by_stream ATTACH PARTITION public.events_000000_tenant_id_stream_stream_version_idx;

--
-- Name: events_000001_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_pkey ATTACH PARTITION public.events_000001_pkey;

--
-- Name: events_000001_tenant_id_stream_stream_version_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_by_stream ATTACH PARTITION public.events_000001_tenant_id_stream_stream_version_idx;

--
-- Name: events_000002_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_pkey ATTACH PARTITION public.events_000002_pkey;

--
-- Name: events_000002_tenant_id_stream_stream_version_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.events_by_stream ATTACH PARTITION public.events_000002_tenant_id_stream_stream_version_idx;

--
-- Name: log_heads log_heads_topic; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.log_heads
    ADD CONSTRAINT log_heads_topic FOREIGN KEY (topic) REFERENCES public.log_topics(topic);

--
-- Name: refresh_tokens refresh_tokens_session; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session FOREIGN KEY (session_id) REFERENCES public.staff_sessions(session_id) ON DELETE CASCADE;

--
-- Name: staff_sessions staff_sessions_account; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.staff_sessions
    ADD CONSTRAINT staff_sessions_account FOREIGN KEY (account_id) REFERENCES public.staff_accounts(account_id);

--
-- Name: tenant_secrets tenant_secrets_tenant; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tenant_secrets
    ADD CONSTRAINT tenant_secrets_tenant FOREIGN KEY (tenant_id) REFERENCES public.tenants(tenant_id);

--
-- Name: events; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.events ENABLE ROW LEVEL SECURITY;

--
-- Name: forgotten_keys; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.forgotten_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: idempotency_keys; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: offers; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.offers ENABLE ROW LEVEL SECURITY;

--
-- Name: open_steps; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.open_steps ENABLE ROW LEVEL SECURITY;

--
-- Name: personal_keys; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.personal_keys ENABLE ROW LEVEL SECURITY;

--
-- Name: stay_months; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.stay_months ENABLE ROW LEVEL SECURITY;

--
-- Name: stay_properties; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.stay_properties ENABLE ROW LEVEL SECURITY;

--
-- Name: stay_rules; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.stay_rules ENABLE ROW LEVEL SECURITY;

--
-- Name: stream_snapshots; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.stream_snapshots ENABLE ROW LEVEL SECURITY;

--
-- Name: streams; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.streams ENABLE ROW LEVEL SECURITY;

--
-- Name: events tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.events TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: forgotten_keys tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.forgotten_keys TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: idempotency_keys tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.idempotency_keys TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: offers tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.offers TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: open_steps tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.open_steps TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: personal_keys tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.personal_keys TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: stay_months tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.stay_months TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: stay_properties tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.stay_properties TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: stay_rules tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.stay_rules TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: stream_snapshots tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.stream_snapshots TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: streams tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.streams TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: tenant_secrets tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.tenant_secrets TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: tenants tenant; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY tenant ON public.tenants TO portolan_command_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: tenant_secrets; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.tenant_secrets ENABLE ROW LEVEL SECURITY;

--
-- Name: tenants; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;

--
-- Name: SCHEMA effects; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA effects TO portolan_command_api;

--
-- Name: FUNCTION begin_republication(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.begin_republication(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.begin_republication(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION change_nights(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.change_nights(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.change_nights(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION change_staff_password(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.change_staff_password(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.change_staff_password(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION claim_offer(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.claim_offer(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.claim_offer(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION create_personal_key(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.create_personal_key(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.create_personal_key(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION create_staff_account(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.create_staff_account(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.create_staff_account(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION disable_staff_account(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.disable_staff_account(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.disable_staff_account(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION enable_staff_account(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.enable_staff_account(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.enable_staff_account(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION forget_person(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.forget_person(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.forget_person(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION raise_log_generation(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.raise_log_generation(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.raise_log_generation(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION record_forget(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.record_forget(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.record_forget(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION register_property(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.register_property(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.register_property(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION require_log_verified(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.require_log_verified(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.require_log_verified(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION retire_property(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.retire_property(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.retire_property(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION store_tenant(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.store_tenant(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.store_tenant(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION use_personal_key(tenant text, args jsonb); Type: ACL; Schema: effects; Owner: -
--

REVOKE ALL ON FUNCTION effects.use_personal_key(tenant text, args jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION effects.use_personal_key(tenant text, args jsonb) TO portolan_command_api;

--
-- Name: FUNCTION add_bits(kept bigint, bits bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.add_bits(kept bigint, bits bigint) FROM PUBLIC;

--
-- Name: FUNCTION append_commands(commands jsonb, events jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.append_commands(commands jsonb, events jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.append_commands(commands jsonb, events jsonb) TO portolan_command_api;

--
-- Name: FUNCTION change_stay_rule(tenant text, to_rule text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.change_stay_rule(tenant text, to_rule text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_stay_rule(tenant text, to_rule text) TO portolan_command_api;

--
-- Name: FUNCTION commit_events(events jsonb, accepted integer[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.commit_events(events jsonb, accepted integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.commit_events(events jsonb, accepted integer[]) TO portolan_command_api;

--
-- Name: FUNCTION days_as_months(from_day integer, until_day integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.days_as_months(from_day integer, until_day integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.days_as_months(from_day integer, until_day integer) TO portolan_command_api;

--
-- Name: FUNCTION event_ids(of_topic text, of_partition integer, positions bigint[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.event_ids(of_topic text, of_partition integer, positions bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.event_ids(of_topic text, of_partition integer, positions bigint[]) TO portolan_command_api;

--
-- Name: FUNCTION extend_events(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.extend_events() FROM PUBLIC;
GRANT ALL ON FUNCTION public.extend_events() TO portolan_command_api;

--
-- Name: TABLE forgotten_keys; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.forgotten_keys TO portolan_command_api;

--
-- Name: FUNCTION forgets_to_record(rows_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.forgets_to_record(rows_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.forgets_to_record(rows_max integer) TO portolan_command_api;

--
-- Name: FUNCTION live_stays(tenant text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.live_stays(tenant text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.live_stays(tenant text) TO portolan_command_api;

--
-- Name: FUNCTION load_streams(tenant text, names text[], after bigint[], schemas integer[], events_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.load_streams(tenant text, names text[], after bigint[], schemas integer[], events_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.load_streams(tenant text, names text[], after bigint[], schemas integer[], events_max integer) TO portolan_command_api;

--
-- Name: FUNCTION log_incarnation(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.log_incarnation() FROM PUBLIC;
GRANT ALL ON FUNCTION public.log_incarnation() TO portolan_command_api;

--
-- Name: FUNCTION maintain_open_steps(events jsonb, accepted integer[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.maintain_open_steps(events jsonb, accepted integer[]) FROM PUBLIC;

--
-- Name: FUNCTION next_log_generation(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.next_log_generation() FROM PUBLIC;
GRANT ALL ON FUNCTION public.next_log_generation() TO portolan_command_api;

--
-- Name: FUNCTION open_order_polls(rows_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.open_order_polls(rows_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_order_polls(rows_max integer) TO portolan_command_api;

--
-- Name: TABLE open_steps; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.open_steps TO portolan_command_api;

--
-- Name: FUNCTION overdue_steps(due_before timestamp with time zone, rows_max integer, each_max integer, seen jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.overdue_steps(due_before timestamp with time zone, rows_max integer, each_max integer, seen jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.overdue_steps(due_before timestamp with time zone, rows_max integer, each_max integer, seen jsonb) TO portolan_command_api;

--
-- Name: TABLE personal_keys; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.personal_keys TO portolan_command_api;

--
-- Name: FUNCTION personal_keys_to_rewrap(current_kek text, rows_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.personal_keys_to_rewrap(current_kek text, rows_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.personal_keys_to_rewrap(current_kek text, rows_max integer) TO portolan_command_api;

--
-- Name: FUNCTION prune_idempotency_keys(older_than interval, rows_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.prune_idempotency_keys(older_than interval, rows_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.prune_idempotency_keys(older_than interval, rows_max integer) TO portolan_command_api;

--
-- Name: FUNCTION prune_offers(rows_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.prune_offers(rows_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.prune_offers(rows_max integer) TO portolan_command_api;

--
-- Name: TABLE events; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.events TO portolan_command_api;

--
-- Name: FUNCTION read_log(topics text[], partitions integer[], after bigint[], rows_max integer, bytes_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.read_log(topics text[], partitions integer[], after bigint[], rows_max integer, bytes_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_log(topics text[], partitions integer[], after bigint[], rows_max integer, bytes_max integer) TO portolan_command_api;

--
-- Name: FUNCTION reapply_forget(tenant text, person text, key text, why text, by_whom text, at timestamp with time zone); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.reapply_forget(tenant text, person text, key text, why text, by_whom text, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reapply_forget(tenant text, person text, key text, why text, by_whom text, at timestamp with time zone) TO portolan_command_api;

--
-- Name: FUNCTION reapply_lost_forgets(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.reapply_lost_forgets() FROM PUBLIC;
GRANT ALL ON FUNCTION public.reapply_lost_forgets() TO portolan_command_api;

--
-- Name: FUNCTION rebuild_nights(tenant text, by_rule text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.rebuild_nights(tenant text, by_rule text) FROM PUBLIC;

--
-- Name: FUNCTION register_topics(names text[], wanted_partitions integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.register_topics(names text[], wanted_partitions integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.register_topics(names text[], wanted_partitions integer) TO portolan_command_api;

--
-- Name: FUNCTION require_log_compared(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.require_log_compared() FROM PUBLIC;

--
-- Name: FUNCTION rewrap_personal_key(tenant text, person text, key text, wrapped bytea, kek text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.rewrap_personal_key(tenant text, person text, key text, wrapped bytea, kek text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rewrap_personal_key(tenant text, person text, key text, wrapped bytea, kek text) TO portolan_command_api;

--
-- Name: FUNCTION rotate_refresh_token(presented bytea, successor bytea); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.rotate_refresh_token(presented bytea, successor bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rotate_refresh_token(presented bytea, successor bytea) TO portolan_command_api;

--
-- Name: FUNCTION stay_collisions(tenant text, by_rule text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.stay_collisions(tenant text, by_rule text) FROM PUBLIC;

--
-- Name: FUNCTION stream_versions(tenants text[], names text[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.stream_versions(tenants text[], names text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.stream_versions(tenants text[], names text[]) TO portolan_command_api;

--
-- Name: FUNCTION topic_is_verified(name text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.topic_is_verified(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.topic_is_verified(name text) TO portolan_command_api;

--
-- Name: FUNCTION unended_bookings(after_tenant text, after_stream text, rows_max integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.unended_bookings(after_tenant text, after_stream text, rows_max integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unended_bookings(after_tenant text, after_stream text, rows_max integer) TO portolan_command_api;

--
-- Name: FUNCTION taken_and_twice(bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.taken_and_twice(bigint) FROM PUBLIC;

--
-- Name: TABLE idempotency_keys; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.idempotency_keys TO portolan_command_api;

--
-- Name: TABLE log_generation_starts; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.log_generation_starts TO portolan_command_api;

--
-- Name: TABLE log_heads; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.log_heads TO portolan_command_api;

--
-- Name: TABLE log_republications; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,UPDATE ON TABLE public.log_republications TO portolan_command_api;

--
-- Name: TABLE log_state; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.log_state TO portolan_command_api;

--
-- Name: TABLE log_surveys; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.log_surveys TO portolan_command_api;

--
-- Name: TABLE log_topics; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.log_topics TO portolan_command_api;

--
-- Name: TABLE log_verifications; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.log_verifications TO portolan_command_api;

--
-- Name: TABLE lost_events; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.lost_events TO portolan_command_api;

--
-- Name: TABLE offers; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.offers TO portolan_command_api;

--
-- Name: TABLE parked_events; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parked_events TO portolan_command_api;

--
-- Name: TABLE parked_streams; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parked_streams TO portolan_command_api;

--
-- Name: TABLE refresh_tokens; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.refresh_tokens TO portolan_command_api;

--
-- Name: TABLE staff_accounts; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.staff_accounts TO portolan_command_api;

--
-- Name: COLUMN staff_accounts.password_hash; Type: ACL; Schema: public; Owner: -
--

GRANT UPDATE(password_hash) ON TABLE public.staff_accounts TO portolan_command_api;

--
-- Name: COLUMN staff_accounts.disabled_at; Type: ACL; Schema: public; Owner: -
--

GRANT UPDATE(disabled_at) ON TABLE public.staff_accounts TO portolan_command_api;

--
-- Name: TABLE staff_sessions; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.staff_sessions TO portolan_command_api;

--
-- Name: TABLE stay_months; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.stay_months TO portolan_command_api;

--
-- Name: TABLE stay_properties; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.stay_properties TO portolan_command_api;

--
-- Name: TABLE stay_rules; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT ON TABLE public.stay_rules TO portolan_command_api;

--
-- Name: TABLE stream_snapshots; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.stream_snapshots TO portolan_command_api;

--
-- Name: TABLE streams; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.streams TO portolan_command_api;

--
-- Name: TABLE tenant_secrets; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.tenant_secrets TO portolan_command_api;

--
-- Name: TABLE tenants; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.tenants TO portolan_command_api;

--
-- PostgreSQL database dump complete
--
