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
-- Name: booking_details_1; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA booking_details_1;

--
-- Name: booking_list_1; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA booking_list_1;

--
-- Name: ledger_1; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA ledger_1;

--
-- Name: read_models; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA read_models;

--
-- Name: stays_1; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA stays_1;

--
-- Name: tenants_1; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA tenants_1;

--
-- Name: pg_trgm; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

--
-- Name: EXTENSION pg_trgm; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

--
-- Name: create_projection_version(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.create_projection_version(wanted text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
    declare
      live integer;
      next_version integer;
      table_name text;
      storage text;
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
        -- Which LIKE leaves out: room on the page for changed rows.
        select array_to_string(reloptions, ', ') into storage from pg_class
        where oid = format('%I.%I', public.read_model_schema(wanted, live), table_name)::regclass;
        if storage <> '' then
          execute format('alter table %I.%I set (%s)', public.read_model_schema(wanted, next_version), table_name, storage);
        end if;
      end loop;
      perform public.secure_read_tables(wanted, next_version);
      insert into public.projection_versions (name, version, status) values (wanted, next_version, 'building');
      return next_version;
    end $$;

--
-- Name: default_generation(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.default_generation() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
  begin
    new.generation := coalesce(
      new.generation,
      (select generation from projection_versions where name = new.name and status = 'live'),
      (select max(generation) from projection_versions),
      1
    );
    return new;
  end $$;

--
-- Name: follow_generation(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.follow_generation(wanted text, wanted_generation integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    newer integer;
  begin
    -- The answer of every look but the first ones, so it takes no lock that a switch or a consumer would have to wait for.
    if exists (select from projection_versions
               where name = wanted and generation >= wanted_generation and status <> 'retired') then
      return false;
    end if;
    lock table projection_versions in share row exclusive mode;
    if exists (select from projection_versions
               where name = wanted and generation >= wanted_generation and status <> 'retired')
      or not exists (select from projection_versions where name = wanted and status = 'live') then
      return false;
    end if;
    newer := create_projection_version(wanted);
    update projection_versions set generation = wanted_generation where name = wanted and version = newer;
    return true;
  end $$;

--
-- Name: place_stay_properties(text, text, text[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.place_stay_properties(tables_schema text, tenant text, wanted text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
  declare
    none constant bit(1024) := repeat('0', 1024)::bit(1024);
    path constant text := current_setting('search_path');
    id text;
    home record;
    middle text;
    moved bit(1024);
    next_block integer;
    free_slot integer;
  begin
    perform set_config('search_path', format('%I, public', tables_schema), true);
    for id in
      select distinct w collate "C" from unnest(wanted) as w
      where not exists (select from index_places p where p.tenant_id = tenant and p.property_id = w collate "C")
      order by 1
    loop
      select * into home from index_blocks b where b.tenant_id = tenant and b.first_id <= id collate "C" order by b.first_id desc limit 1;
      if not found then
        insert into index_blocks values (tenant, '', 1, none, none) returning * into home;
      elsif home.used = ~none then
        select max(b.block) + 1 into next_block from index_blocks b where b.tenant_id = tenant;
        if not exists (select from index_blocks b where b.tenant_id = tenant and b.first_id > home.first_id)
          and not exists (select from index_places p where p.tenant_id = tenant and p.block = home.block and p.property_id > id collate "C") then
          -- Ids that grow with time fill one block after the other.
          insert into index_blocks values (tenant, id, next_block, none, none) returning * into home;
        else
          select p.property_id into middle from index_places p where p.tenant_id = tenant and p.block = home.block
          order by p.property_id offset 512 limit 1;
          select bit_or(set_bit(none, p.slot, 1)) into moved from index_places p
          where p.tenant_id = tenant and p.block = home.block and p.property_id >= middle;
          -- Who moves keeps the number of its slot, so that whole rows of bits are cut in two.
          insert into index_blocks values (tenant, middle, next_block, home.live & moved, moved);
          update index_blocks b set live = b.live & ~moved, used = b.used & ~moved where b.tenant_id = tenant and b.block = home.block;
          insert into index_nights select n.tenant_id, next_block, n.day, n.taken & moved from index_nights n
          where n.tenant_id = tenant and n.block = home.block and n.taken & moved <> none;
          update index_nights n set taken = n.taken & ~moved
          where n.tenant_id = tenant and n.block = home.block and n.taken & moved <> none;
          update index_places p set block = next_block where p.tenant_id = tenant and p.block = home.block and p.property_id >= middle;
          select * into home from index_blocks b where b.tenant_id = tenant and b.first_id <= id collate "C" order by b.first_id desc limit 1;
        end if;
      end if;
      free_slot := strpos(home.used::text, '0') - 1;
      insert into index_places values (tenant, id, home.block, free_slot);
      update index_blocks b set used = set_bit(b.used, free_slot, 1) where b.tenant_id = tenant and b.block = home.block;
    end loop;
    perform set_config('search_path', path, true);
  end $$;

--
-- Name: publish_read_tables(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.publish_read_tables(name text, version integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

--
-- Name: publish_read_tables_patiently(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.publish_read_tables_patiently(name text, version integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
  begin
    for attempt in 1..10 loop
      begin
        perform set_config('lock_timeout', '20ms', true);
        perform public.publish_read_tables(name, version);
        perform set_config('lock_timeout', '0', true);
        return;
      exception when lock_not_available then
        perform pg_sleep(0.01 + 0.02 * random());
      end;
    end loop;
    raise exception 'readers of % hold its views', name using errcode = 'lock_not_available';
  end $$;

--
-- Name: read_model_schema(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.read_model_schema(name text, version integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ select name || '_' || version $$;

--
-- Name: refuse_retired_checkpoint(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refuse_retired_checkpoint() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    found_status text;
  begin
    select status into found_status from public.projection_versions
    where name = new.projection and version = new.version for share;
    return case when found_status = 'retired' then null else new end;
  end $$;

--
-- Name: retire_projection_version(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.retire_projection_version(wanted text, wanted_version integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
  begin
    update public.projection_versions set status = 'retired'
    where name = wanted and version = wanted_version and status in ('building', 'standby');
    if not found then
      raise exception 'projection % has no version % that could be retired', wanted, wanted_version using errcode = 'no_data_found';
    end if;
    delete from public.projection_checkpoints where projection = wanted and version = wanted_version;
    delete from public.parked_streams where projection = wanted and version = wanted_version;
    execute format('drop schema %I cascade', public.read_model_schema(wanted, wanted_version));
  end $$;

--
-- Name: search_stays(text, date, date, text, integer, text, integer, text, bigint, bigint, double precision, double precision, double precision, double precision); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_stays(tenant text, first_day date, end_day date, after text, page integer, words text, guests integer, currency text, price_from bigint, price_to bigint, south double precision, west double precision, north double precision, east double precision) RETURNS TABLE(property_id text, description text, capacity integer, price_minor bigint, price_currency text, latitude double precision, longitude double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $_$
  #variable_conflict use_column
  declare
    few constant integer := 2000;
    none constant bit(1024) := repeat('0', 1024)::bit(1024);
    conditions text := '';
    candidates text[];
    home record;
    free bit(1024);
    chunk date;
    days integer;
    -- Free slots, or blocks with any, that a filter is tried on at a time: few for one that most match, soon many for one that hardly any does.
    many integer := 4 * page;
    most_blocks constant integer := 128;
    blocks integer[] := '{}';
    frees bit(1024)[] := '{}';
    free_here bigint := 0;
    is_last boolean;
    found_here integer;
    missing integer := page;
  begin
    if tenant is distinct from current_setting('portolan.tenant', true) then return; end if;
    if words is not null then conditions := conditions || format(' and description ilike %L', words); end if;
    if guests is not null then conditions := conditions || format(' and capacity >= %s', guests); end if;
    if currency is not null then conditions := conditions || format(' and price_currency = %L', currency); end if;
    if price_from is not null then conditions := conditions || format(' and price_minor >= %s', price_from); end if;
    if price_to is not null then conditions := conditions || format(' and price_minor <= %s', price_to); end if;
    if south is not null then
      conditions := conditions || format(' and latitude between %L and %L and ', south, north)
        -- A box over the antimeridian has its west in the east.
        || case when west <= east then format('longitude between %L and %L', west, east)
                else format('(longitude >= %L or longitude <= %L)', west, east) end;
    end if;

    if conditions <> '' then
      execute format(
        'select array_agg(property_id) from (
           select property_id from read_models.stay_properties where tenant_id = %L and not is_retired%s limit %s) as c', tenant, conditions, few + 1)
      into candidates;
      if coalesce(cardinality(candidates), 0) <= few then
        return query
          select p.property_id::text, p.description, p.capacity, p.price_minor, p.price_currency, p.latitude, p.longitude
          from (select c collate "C" as id from unnest(candidates) as c where after is null or c collate "C" > after order by 1) as c
          join read_models.index_places x on x.tenant_id = tenant and x.property_id = c.id
          join read_models.stay_properties p on p.tenant_id = tenant and p.property_id = c.id
          where not exists (
            select from read_models.index_nights n
            where n.tenant_id = tenant and n.block = x.block and n.day >= first_day and n.day < end_day and get_bit(n.taken, x.slot) = 1)
          order by c.id
          limit page;
        return;
      end if;
    end if;

    -- One block at a time: the planner would sort them all for the one that is needed.
    select b.first_id, b.block, b.live into home from read_models.index_blocks b
    where b.tenant_id = tenant and b.first_id <= coalesce(after, '') collate "C" order by b.first_id desc limit 1;
    is_last := not found;
    while not is_last loop
      free := home.live;
      chunk := first_day;
      days := 14;
      while chunk < end_day and free <> none loop
        select free & ~coalesce(bit_or(n.taken), none) into free from read_models.index_nights n
        where n.tenant_id = tenant and n.block = home.block and n.day >= chunk and n.day < least(end_day, chunk + days);
        chunk := chunk + days;
        days := days * 2;
      end loop;
      if free <> none then
        blocks := blocks || home.block;
        frees := frees || free;
        free_here := free_here + bit_count(free);
      end if;
      select b.first_id, b.block, b.live into home from read_models.index_blocks b
      where b.tenant_id = tenant and b.first_id > home.first_id order by b.first_id limit 1;
      is_last := not found;
      if free_here = 0 then
        continue;
      elsif conditions = '' then
        -- Not the statement below, which is planned anew each time: that takes longer than the rest.
        return query
          select p.property_id::text, p.description, p.capacity, p.price_minor, p.price_currency, p.latitude, p.longitude
          from read_models.index_places x
          join read_models.stay_properties p on p.tenant_id = x.tenant_id and p.property_id = x.property_id
          where x.tenant_id = tenant and x.block = blocks[1] and x.property_id > coalesce(after, '') collate "C" and get_bit(frees[1], x.slot) = 1
          order by x.property_id limit missing;
      elsif is_last or free_here >= many or cardinality(blocks) >= most_blocks then
        return query execute format(
          'select p.property_id::text, p.description, p.capacity, p.price_minor, p.price_currency, p.latitude, p.longitude
           from unnest($2, $4) as b (block, free)
           join read_models.index_places x on x.tenant_id = $1 and x.block = b.block and x.property_id > coalesce($3, '''') collate "C"
           join read_models.stay_properties p on p.tenant_id = x.tenant_id and p.property_id = x.property_id
           where get_bit(b.free, x.slot) = 1%s
           order by x.property_id limit $5', conditions)
        using tenant, blocks, after, frees, missing;
      else
        continue;
      end if;
      get diagnostics found_here = row_count;
      missing := missing - found_here;
      exit when missing <= 0;
      blocks := '{}';
      frees := '{}';
      free_here := 0;
      many := least(4 * many, 100000);
    end loop;
  end $_$;

--
-- Name: secure_read_tables(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.secure_read_tables(name text, version integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

--
-- Name: switch_projection(text, integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.switch_projection(wanted text, wanted_version integer) RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout TO '300ms'
    AS $$
  declare
    live integer;
    behind bigint;
    parked bigint;
    deadline timestamptz := clock_timestamp() + interval '1 second';
  begin
    perform from public.projection_versions where name = wanted order by version for update;
    if not exists (select from public.projection_versions
                   where name = wanted and version = wanted_version and status in ('building', 'standby')) then
      raise exception 'projection % has no version % that could go live', wanted, wanted_version using errcode = 'no_data_found';
    end if;
    select version into live from public.projection_versions where name = wanted and status = 'live';
    -- From here to commit the live version applies nothing. A consumer locks one checkpoint and then its parked streams.
    perform from public.projection_checkpoints
    where projection = wanted and version = live
    order by topic, generation, partition
    for update;
    loop
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
      exit when behind = 0;
      if clock_timestamp() > deadline then
        raise exception 'version % of % is behind the live version in % partitions', wanted_version, wanted, behind
          using errcode = 'object_not_in_prerequisite_state';
      end if;
      perform pg_sleep(0.005);
    end loop;
    perform from public.projection_checkpoints
    where projection = wanted and version = wanted_version
    order by topic, generation, partition
    for update;
    -- A retry of either version must not come between the comparison and the switch.
    perform from public.parked_streams
    where projection = wanted and version in (live, wanted_version)
    order by version, tenant_id, stream
    for update;
    select count(*) into parked
    from public.parked_streams new
    where new.projection = wanted and new.version = wanted_version
      and not exists (select from public.parked_streams old
                      where old.projection = wanted and old.version = live
                        and old.tenant_id = new.tenant_id and old.stream = new.stream
                        -- Parked at a later event, the live one shows more of the stream.
                        and (old.generation <> new.generation or old.position <= new.position))
      -- A live one of an older log shows what that log held: everybody who has written since waits for this one.
      and not exists (select from public.projection_versions old
                      where old.name = wanted and old.version = live and old.generation < new.generation);
    if parked > 0 then
      raise exception 'version % of % has parked % streams that the live version shows', wanted_version, wanted, parked
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    update public.projection_versions set status = 'standby' where name = wanted and version = live;
    update public.projection_versions set status = 'live', switched_at = now() where name = wanted and version = wanted_version;
    perform public.publish_read_tables_patiently(wanted, wanted_version);
  end $$;

--
-- Name: switch_to_generation(text, integer, integer, timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.switch_to_generation(wanted text, wanted_generation integer, partitions integer, complete_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  declare
    newer integer;
    older integer;
  begin
    if exists (select from projection_versions
               where name = wanted and status = 'live' and generation >= wanted_generation) then
      for older in select version from projection_versions
                   where name = wanted and generation < wanted_generation and status in ('building', 'standby') loop
        perform retire_projection_version(wanted, older);
      end loop;
      return true;
    end if;
    select max(version) into newer from projection_versions
    where name = wanted and generation = wanted_generation and status = 'building';
    if newer is null or partitions <> (
      select count(*) from projection_checkpoints
      where projection = wanted and version = newer and generation = wanted_generation and current_at >= complete_at
    ) then
      return false;
    end if;
    perform switch_projection(wanted, newer);
    return false;
  end $$;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: booking_details; Type: TABLE; Schema: booking_details_1; Owner: -
--

CREATE TABLE booking_details_1.booking_details (
    tenant_id text NOT NULL,
    booking_id text NOT NULL,
    member_id text NOT NULL,
    status text NOT NULL,
    details jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    stream_version bigint NOT NULL
)
WITH (fillfactor='80');

--
-- Name: booking_list; Type: TABLE; Schema: booking_list_1; Owner: -
--

CREATE TABLE booking_list_1.booking_list (
    tenant_id text NOT NULL,
    booking_id text NOT NULL,
    member_id text NOT NULL,
    status text NOT NULL,
    flight_number text NOT NULL,
    origin text NOT NULL,
    destination text NOT NULL,
    departure_date date NOT NULL,
    loyalty_amount bigint NOT NULL,
    loyalty_currency text NOT NULL,
    progress jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    stream_version bigint NOT NULL
)
WITH (fillfactor='80');

--
-- Name: ledger_balances; Type: TABLE; Schema: ledger_1; Owner: -
--

CREATE TABLE ledger_1.ledger_balances (
    tenant_id text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    partition integer NOT NULL,
    balance bigint NOT NULL,
    line_count bigint NOT NULL
)
WITH (fillfactor='50');

--
-- Name: ledger_lines; Type: TABLE; Schema: ledger_1; Owner: -
--

CREATE TABLE ledger_1.ledger_lines (
    tenant_id text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    line smallint NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    kind text NOT NULL,
    booking_id text NOT NULL,
    member_id text,
    at timestamp with time zone NOT NULL
);

--
-- Name: parked_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parked_events (
    projection text NOT NULL,
    version integer NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    "position" bigint NOT NULL,
    value text NOT NULL
);

--
-- Name: parked_streams; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parked_streams (
    projection text NOT NULL,
    version integer NOT NULL,
    tenant_id text NOT NULL,
    stream text NOT NULL,
    topic text NOT NULL,
    generation integer NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    reason text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    tried_at timestamp with time zone DEFAULT now() NOT NULL,
    retry_requested_at timestamp with time zone
);

--
-- Name: projection_checkpoints; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projection_checkpoints (
    projection text NOT NULL,
    version integer NOT NULL,
    topic text NOT NULL,
    generation integer NOT NULL,
    partition integer NOT NULL,
    "position" bigint NOT NULL,
    kafka_offset bigint NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    current_at timestamp with time zone
)
WITH (fillfactor='25');

--
-- Name: projection_versions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projection_versions (
    name text NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    switched_at timestamp with time zone,
    generation integer NOT NULL,
    CONSTRAINT projection_versions_status CHECK ((status = ANY (ARRAY['building'::text, 'live'::text, 'standby'::text, 'retired'::text])))
);

--
-- Name: booking_details; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.booking_details WITH (security_invoker='true') AS
 SELECT booking_details.tenant_id,
    booking_details.booking_id,
    booking_details.member_id,
    booking_details.status,
    booking_details.details,
    booking_details.created_at,
    booking_details.updated_at,
    booking_details.stream_version
   FROM booking_details_1.booking_details;

--
-- Name: booking_list; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.booking_list WITH (security_invoker='true') AS
 SELECT booking_list.tenant_id,
    booking_list.booking_id,
    booking_list.member_id,
    booking_list.status,
    booking_list.flight_number,
    booking_list.origin,
    booking_list.destination,
    booking_list.departure_date,
    booking_list.loyalty_amount,
    booking_list.loyalty_currency,
    booking_list.progress,
    booking_list.created_at,
    booking_list.updated_at,
    booking_list.stream_version
   FROM booking_list_1.booking_list;

--
-- Name: index_blocks; Type: TABLE; Schema: stays_1; Owner: -
--

CREATE TABLE stays_1.index_blocks (
    tenant_id text NOT NULL,
    first_id text NOT NULL COLLATE pg_catalog."C",
    block integer NOT NULL,
    live bit(1024) NOT NULL,
    used bit(1024) NOT NULL
)
WITH (fillfactor='80');

--
-- Name: index_blocks; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.index_blocks WITH (security_invoker='true') AS
 SELECT index_blocks.tenant_id,
    index_blocks.first_id,
    index_blocks.block,
    index_blocks.live,
    index_blocks.used
   FROM stays_1.index_blocks;

--
-- Name: index_nights; Type: TABLE; Schema: stays_1; Owner: -
--

CREATE TABLE stays_1.index_nights (
    tenant_id text NOT NULL,
    block integer NOT NULL,
    day date NOT NULL,
    taken bit(1024) NOT NULL
)
WITH (fillfactor='80');

--
-- Name: index_nights; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.index_nights WITH (security_invoker='true') AS
 SELECT index_nights.tenant_id,
    index_nights.block,
    index_nights.day,
    index_nights.taken
   FROM stays_1.index_nights;

--
-- Name: index_places; Type: TABLE; Schema: stays_1; Owner: -
--

CREATE TABLE stays_1.index_places (
    tenant_id text NOT NULL,
    property_id text NOT NULL COLLATE pg_catalog."C",
    block integer NOT NULL,
    slot integer NOT NULL
);

--
-- Name: index_places; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.index_places WITH (security_invoker='true') AS
 SELECT index_places.tenant_id,
    index_places.property_id,
    index_places.block,
    index_places.slot
   FROM stays_1.index_places;

--
-- Name: ledger_balances; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.ledger_balances WITH (security_invoker='true') AS
 SELECT ledger_balances.tenant_id,
    ledger_balances.account,
    ledger_balances.currency,
    ledger_balances.partition,
    ledger_balances.balance,
    ledger_balances.line_count
   FROM ledger_1.ledger_balances;

--
-- Name: ledger_lines; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.ledger_lines WITH (security_invoker='true') AS
 SELECT ledger_lines.tenant_id,
    ledger_lines.stream,
    ledger_lines.stream_version,
    ledger_lines.line,
    ledger_lines.account,
    ledger_lines.currency,
    ledger_lines.amount,
    ledger_lines.kind,
    ledger_lines.booking_id,
    ledger_lines.member_id,
    ledger_lines.at
   FROM ledger_1.ledger_lines;

--
-- Name: stay_properties; Type: TABLE; Schema: stays_1; Owner: -
--

CREATE TABLE stays_1.stay_properties (
    tenant_id text NOT NULL,
    property_id text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    capacity integer,
    price_minor bigint,
    price_currency text,
    latitude double precision,
    longitude double precision,
    is_retired boolean NOT NULL,
    stream_version bigint NOT NULL
);

--
-- Name: stay_properties; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.stay_properties WITH (security_invoker='true') AS
 SELECT stay_properties.tenant_id,
    stay_properties.property_id,
    stay_properties.description,
    stay_properties.capacity,
    stay_properties.price_minor,
    stay_properties.price_currency,
    stay_properties.latitude,
    stay_properties.longitude,
    stay_properties.is_retired,
    stay_properties.stream_version
   FROM stays_1.stay_properties;

--
-- Name: stay_reservations; Type: TABLE; Schema: stays_1; Owner: -
--

CREATE TABLE stays_1.stay_reservations (
    tenant_id text NOT NULL,
    reservation_id uuid NOT NULL,
    property_id text NOT NULL COLLATE pg_catalog."C",
    start_date date NOT NULL,
    nights integer NOT NULL,
    status text NOT NULL,
    stream_version bigint NOT NULL
)
WITH (fillfactor='90');

--
-- Name: stay_reservations; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.stay_reservations WITH (security_invoker='true') AS
 SELECT stay_reservations.tenant_id,
    stay_reservations.reservation_id,
    stay_reservations.property_id,
    stay_reservations.start_date,
    stay_reservations.nights,
    stay_reservations.status,
    stay_reservations.stream_version
   FROM stays_1.stay_reservations;

--
-- Name: tenants; Type: TABLE; Schema: tenants_1; Owner: -
--

CREATE TABLE tenants_1.tenants (
    tenant_id text NOT NULL,
    name text NOT NULL,
    settings jsonb NOT NULL,
    stream_version bigint NOT NULL
);

--
-- Name: tenants; Type: VIEW; Schema: read_models; Owner: -
--

CREATE VIEW read_models.tenants WITH (security_invoker='true') AS
 SELECT tenants.tenant_id,
    tenants.name,
    tenants.settings,
    tenants.stream_version
   FROM tenants_1.tenants;

--
-- Name: booking_details booking_details_pkey; Type: CONSTRAINT; Schema: booking_details_1; Owner: -
--

ALTER TABLE ONLY booking_details_1.booking_details
    ADD CONSTRAINT booking_details_pkey PRIMARY KEY (tenant_id, booking_id);

--
-- Name: booking_list booking_list_pkey; Type: CONSTRAINT; Schema: booking_list_1; Owner: -
--

ALTER TABLE ONLY booking_list_1.booking_list
    ADD CONSTRAINT booking_list_pkey PRIMARY KEY (tenant_id, booking_id);

--
-- Name: ledger_balances ledger_balances_pkey; Type: CONSTRAINT; Schema: ledger_1; Owner: -
--

ALTER TABLE ONLY ledger_1.ledger_balances
    ADD CONSTRAINT ledger_balances_pkey PRIMARY KEY (tenant_id, account, currency, partition);

--
-- Name: ledger_lines ledger_lines_pkey; Type: CONSTRAINT; Schema: ledger_1; Owner: -
--

ALTER TABLE ONLY ledger_1.ledger_lines
    ADD CONSTRAINT ledger_lines_pkey PRIMARY KEY (tenant_id, stream, stream_version, line);

--
-- Name: parked_events parked_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked_events
    ADD CONSTRAINT parked_events_pkey PRIMARY KEY (projection, version, tenant_id, stream, "position");

--
-- Name: parked_streams parked_streams_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked_streams
    ADD CONSTRAINT parked_streams_pkey PRIMARY KEY (projection, version, tenant_id, stream);

--
-- Name: projection_checkpoints projection_checkpoints_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projection_checkpoints
    ADD CONSTRAINT projection_checkpoints_pkey PRIMARY KEY (projection, version, topic, generation, partition);

--
-- Name: projection_versions projection_versions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projection_versions
    ADD CONSTRAINT projection_versions_pkey PRIMARY KEY (name, version);

--
-- Name: index_blocks index_blocks_pkey; Type: CONSTRAINT; Schema: stays_1; Owner: -
--

ALTER TABLE ONLY stays_1.index_blocks
    ADD CONSTRAINT index_blocks_pkey PRIMARY KEY (tenant_id, first_id);

--
-- Name: index_nights index_nights_pkey; Type: CONSTRAINT; Schema: stays_1; Owner: -
--

ALTER TABLE ONLY stays_1.index_nights
    ADD CONSTRAINT index_nights_pkey PRIMARY KEY (tenant_id, block, day);

--
-- Name: index_places index_places_pkey; Type: CONSTRAINT; Schema: stays_1; Owner: -
--

ALTER TABLE ONLY stays_1.index_places
    ADD CONSTRAINT index_places_pkey PRIMARY KEY (tenant_id, property_id);

--
-- Name: stay_properties stay_properties_pkey; Type: CONSTRAINT; Schema: stays_1; Owner: -
--

ALTER TABLE ONLY stays_1.stay_properties
    ADD CONSTRAINT stay_properties_pkey PRIMARY KEY (tenant_id, property_id);

--
-- Name: stay_reservations stay_reservations_pkey; Type: CONSTRAINT; Schema: stays_1; Owner: -
--

ALTER TABLE ONLY stays_1.stay_reservations
    ADD CONSTRAINT stay_reservations_pkey PRIMARY KEY (tenant_id, reservation_id);

--
-- Name: tenants tenants_pkey; Type: CONSTRAINT; Schema: tenants_1; Owner: -
--

ALTER TABLE ONLY tenants_1.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id);

--
-- Name: booking_list_by_member; Type: INDEX; Schema: booking_list_1; Owner: -
--

CREATE INDEX booking_list_by_member ON booking_list_1.booking_list USING btree (tenant_id, member_id, created_at DESC, booking_id DESC);

--
-- Name: booking_list_by_status; Type: INDEX; Schema: booking_list_1; Owner: -
--

CREATE INDEX booking_list_by_status ON booking_list_1.booking_list USING btree (status, created_at DESC, tenant_id DESC, booking_id DESC);

--
-- Name: booking_list_by_tenant; Type: INDEX; Schema: booking_list_1; Owner: -
--

CREATE INDEX booking_list_by_tenant ON booking_list_1.booking_list USING btree (tenant_id, created_at DESC, booking_id DESC);

--
-- Name: booking_list_by_time; Type: INDEX; Schema: booking_list_1; Owner: -
--

CREATE INDEX booking_list_by_time ON booking_list_1.booking_list USING btree (created_at DESC, tenant_id DESC, booking_id DESC);

--
-- Name: booking_list_disputed; Type: INDEX; Schema: booking_list_1; Owner: -
--

CREATE INDEX booking_list_disputed ON booking_list_1.booking_list USING btree (created_at, tenant_id, booking_id) WHERE ((progress -> 'disputed'::text) IS NOT NULL);

--
-- Name: ledger_lines_by_booking; Type: INDEX; Schema: ledger_1; Owner: -
--

CREATE INDEX ledger_lines_by_booking ON ledger_1.ledger_lines USING btree (tenant_id, booking_id);

--
-- Name: ledger_lines_by_member; Type: INDEX; Schema: ledger_1; Owner: -
--

CREATE INDEX ledger_lines_by_member ON ledger_1.ledger_lines USING btree (tenant_id, member_id, at DESC);

--
-- Name: ledger_lines_by_time; Type: INDEX; Schema: ledger_1; Owner: -
--

CREATE INDEX ledger_lines_by_time ON ledger_1.ledger_lines USING btree (at DESC, tenant_id DESC, stream DESC, stream_version DESC, line DESC);

--
-- Name: projection_versions_one_live; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX projection_versions_one_live ON public.projection_versions USING btree (name) WHERE (status = 'live'::text);

--
-- Name: index_blocks_by_number; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE UNIQUE INDEX index_blocks_by_number ON stays_1.index_blocks USING btree (tenant_id, block);

--
-- Name: index_places_by_block; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE INDEX index_places_by_block ON stays_1.index_places USING btree (tenant_id, block, property_id) INCLUDE (slot);

--
-- Name: stay_properties_by_capacity; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE INDEX stay_properties_by_capacity ON stays_1.stay_properties USING btree (tenant_id, capacity);

--
-- Name: stay_properties_by_place; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE INDEX stay_properties_by_place ON stays_1.stay_properties USING btree (tenant_id, latitude, longitude);

--
-- Name: stay_properties_by_price; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE INDEX stay_properties_by_price ON stays_1.stay_properties USING btree (tenant_id, price_currency, price_minor);

--
-- Name: stay_properties_by_text; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE INDEX stay_properties_by_text ON stays_1.stay_properties USING gin (description public.gin_trgm_ops);

--
-- Name: stay_reservations_by_property; Type: INDEX; Schema: stays_1; Owner: -
--

CREATE INDEX stay_reservations_by_property ON stays_1.stay_reservations USING btree (tenant_id, property_id, start_date, reservation_id) INCLUDE (nights) WHERE (status = 'reserved'::text);

--
-- Name: projection_versions default_generation; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER default_generation BEFORE INSERT ON public.projection_versions FOR EACH ROW EXECUTE FUNCTION public.default_generation();

--
-- Name: projection_checkpoints refuse_retired; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER refuse_retired BEFORE INSERT ON public.projection_checkpoints FOR EACH ROW EXECUTE FUNCTION public.refuse_retired_checkpoint();

--
-- Name: parked_events parked_events_stream; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked_events
    ADD CONSTRAINT parked_events_stream FOREIGN KEY (projection, version, tenant_id, stream) REFERENCES public.parked_streams(projection, version, tenant_id, stream) ON DELETE CASCADE;

--
-- Name: booking_details; Type: ROW SECURITY; Schema: booking_details_1; Owner: -
--

ALTER TABLE booking_details_1.booking_details ENABLE ROW LEVEL SECURITY;

--
-- Name: booking_details projections; Type: POLICY; Schema: booking_details_1; Owner: -
--

CREATE POLICY projections ON booking_details_1.booking_details TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: booking_details staff; Type: POLICY; Schema: booking_details_1; Owner: -
--

CREATE POLICY staff ON booking_details_1.booking_details FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: booking_details tenant; Type: POLICY; Schema: booking_details_1; Owner: -
--

CREATE POLICY tenant ON booking_details_1.booking_details FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: booking_list; Type: ROW SECURITY; Schema: booking_list_1; Owner: -
--

ALTER TABLE booking_list_1.booking_list ENABLE ROW LEVEL SECURITY;

--
-- Name: booking_list projections; Type: POLICY; Schema: booking_list_1; Owner: -
--

CREATE POLICY projections ON booking_list_1.booking_list TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: booking_list staff; Type: POLICY; Schema: booking_list_1; Owner: -
--

CREATE POLICY staff ON booking_list_1.booking_list FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: booking_list tenant; Type: POLICY; Schema: booking_list_1; Owner: -
--

CREATE POLICY tenant ON booking_list_1.booking_list FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: ledger_balances; Type: ROW SECURITY; Schema: ledger_1; Owner: -
--

ALTER TABLE ledger_1.ledger_balances ENABLE ROW LEVEL SECURITY;

--
-- Name: ledger_lines; Type: ROW SECURITY; Schema: ledger_1; Owner: -
--

ALTER TABLE ledger_1.ledger_lines ENABLE ROW LEVEL SECURITY;

--
-- Name: ledger_balances projections; Type: POLICY; Schema: ledger_1; Owner: -
--

CREATE POLICY projections ON ledger_1.ledger_balances TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: ledger_lines projections; Type: POLICY; Schema: ledger_1; Owner: -
--

CREATE POLICY projections ON ledger_1.ledger_lines TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: ledger_balances staff; Type: POLICY; Schema: ledger_1; Owner: -
--

CREATE POLICY staff ON ledger_1.ledger_balances FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: ledger_lines staff; Type: POLICY; Schema: ledger_1; Owner: -
--

CREATE POLICY staff ON ledger_1.ledger_lines FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: ledger_balances tenant; Type: POLICY; Schema: ledger_1; Owner: -
--

CREATE POLICY tenant ON ledger_1.ledger_balances FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: ledger_lines tenant; Type: POLICY; Schema: ledger_1; Owner: -
--

CREATE POLICY tenant ON ledger_1.ledger_lines FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: index_blocks; Type: ROW SECURITY; Schema: stays_1; Owner: -
--

ALTER TABLE stays_1.index_blocks ENABLE ROW LEVEL SECURITY;

--
-- Name: index_nights; Type: ROW SECURITY; Schema: stays_1; Owner: -
--

ALTER TABLE stays_1.index_nights ENABLE ROW LEVEL SECURITY;

--
-- Name: index_places; Type: ROW SECURITY; Schema: stays_1; Owner: -
--

ALTER TABLE stays_1.index_places ENABLE ROW LEVEL SECURITY;

--
-- Name: index_blocks projections; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY projections ON stays_1.index_blocks TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: index_nights projections; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY projections ON stays_1.index_nights TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: index_places projections; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY projections ON stays_1.index_places TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: stay_properties projections; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY projections ON stays_1.stay_properties TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: stay_reservations projections; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY projections ON stays_1.stay_reservations TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: index_blocks staff; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY staff ON stays_1.index_blocks FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: index_nights staff; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY staff ON stays_1.index_nights FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: index_places staff; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY staff ON stays_1.index_places FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: stay_properties staff; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY staff ON stays_1.stay_properties FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: stay_reservations staff; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY staff ON stays_1.stay_reservations FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: stay_properties; Type: ROW SECURITY; Schema: stays_1; Owner: -
--

ALTER TABLE stays_1.stay_properties ENABLE ROW LEVEL SECURITY;

--
-- Name: stay_reservations; Type: ROW SECURITY; Schema: stays_1; Owner: -
--

ALTER TABLE stays_1.stay_reservations ENABLE ROW LEVEL SECURITY;

--
-- Name: index_blocks tenant; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY tenant ON stays_1.index_blocks FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: index_nights tenant; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY tenant ON stays_1.index_nights FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: index_places tenant; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY tenant ON stays_1.index_places FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: stay_properties tenant; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY tenant ON stays_1.stay_properties FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: stay_reservations tenant; Type: POLICY; Schema: stays_1; Owner: -
--

CREATE POLICY tenant ON stays_1.stay_reservations FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: tenants projections; Type: POLICY; Schema: tenants_1; Owner: -
--

CREATE POLICY projections ON tenants_1.tenants TO portolan_projections USING (true) WITH CHECK (true);

--
-- Name: tenants staff; Type: POLICY; Schema: tenants_1; Owner: -
--

CREATE POLICY staff ON tenants_1.tenants FOR SELECT TO portolan_staff_reader USING (true);

--
-- Name: tenants tenant; Type: POLICY; Schema: tenants_1; Owner: -
--

CREATE POLICY tenant ON tenants_1.tenants FOR SELECT TO portolan_query_api USING ((tenant_id = current_setting('portolan.tenant'::text, true)));

--
-- Name: tenants; Type: ROW SECURITY; Schema: tenants_1; Owner: -
--

ALTER TABLE tenants_1.tenants ENABLE ROW LEVEL SECURITY;

--
-- Name: SCHEMA booking_details_1; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA booking_details_1 TO portolan_projections;
GRANT USAGE ON SCHEMA booking_details_1 TO portolan_query_api;
GRANT USAGE ON SCHEMA booking_details_1 TO portolan_staff_reader;

--
-- Name: SCHEMA booking_list_1; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA booking_list_1 TO portolan_projections;
GRANT USAGE ON SCHEMA booking_list_1 TO portolan_query_api;
GRANT USAGE ON SCHEMA booking_list_1 TO portolan_staff_reader;

--
-- Name: SCHEMA ledger_1; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA ledger_1 TO portolan_projections;
GRANT USAGE ON SCHEMA ledger_1 TO portolan_query_api;
GRANT USAGE ON SCHEMA ledger_1 TO portolan_staff_reader;

--
-- Name: SCHEMA read_models; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA read_models TO portolan_query_api;
GRANT USAGE ON SCHEMA read_models TO portolan_staff_reader;

--
-- Name: SCHEMA stays_1; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA stays_1 TO portolan_projections;
GRANT USAGE ON SCHEMA stays_1 TO portolan_query_api;
GRANT USAGE ON SCHEMA stays_1 TO portolan_staff_reader;

--
-- Name: SCHEMA tenants_1; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA tenants_1 TO portolan_projections;
GRANT USAGE ON SCHEMA tenants_1 TO portolan_query_api;
GRANT USAGE ON SCHEMA tenants_1 TO portolan_staff_reader;

--
-- Name: FUNCTION create_projection_version(wanted text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.create_projection_version(wanted text) FROM PUBLIC;

--
-- Name: FUNCTION default_generation(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.default_generation() FROM PUBLIC;

--
-- Name: FUNCTION follow_generation(wanted text, wanted_generation integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.follow_generation(wanted text, wanted_generation integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.follow_generation(wanted text, wanted_generation integer) TO portolan_projections;

--
-- Name: FUNCTION place_stay_properties(tables_schema text, tenant text, wanted text[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.place_stay_properties(tables_schema text, tenant text, wanted text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.place_stay_properties(tables_schema text, tenant text, wanted text[]) TO portolan_projections;

--
-- Name: FUNCTION publish_read_tables(name text, version integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.publish_read_tables(name text, version integer) FROM PUBLIC;

--
-- Name: FUNCTION publish_read_tables_patiently(name text, version integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.publish_read_tables_patiently(name text, version integer) FROM PUBLIC;

--
-- Name: FUNCTION refuse_retired_checkpoint(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.refuse_retired_checkpoint() FROM PUBLIC;

--
-- Name: FUNCTION retire_projection_version(wanted text, wanted_version integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.retire_projection_version(wanted text, wanted_version integer) FROM PUBLIC;

--
-- Name: FUNCTION search_stays(tenant text, first_day date, end_day date, after text, page integer, words text, guests integer, currency text, price_from bigint, price_to bigint, south double precision, west double precision, north double precision, east double precision); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.search_stays(tenant text, first_day date, end_day date, after text, page integer, words text, guests integer, currency text, price_from bigint, price_to bigint, south double precision, west double precision, north double precision, east double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search_stays(tenant text, first_day date, end_day date, after text, page integer, words text, guests integer, currency text, price_from bigint, price_to bigint, south double precision, west double precision, north double precision, east double precision) TO portolan_query_api;

--
-- Name: FUNCTION secure_read_tables(name text, version integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.secure_read_tables(name text, version integer) FROM PUBLIC;

--
-- Name: FUNCTION switch_projection(wanted text, wanted_version integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.switch_projection(wanted text, wanted_version integer) FROM PUBLIC;

--
-- Name: FUNCTION switch_to_generation(wanted text, wanted_generation integer, partitions integer, complete_at timestamp with time zone); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.switch_to_generation(wanted text, wanted_generation integer, partitions integer, complete_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.switch_to_generation(wanted text, wanted_generation integer, partitions integer, complete_at timestamp with time zone) TO portolan_projections;

--
-- Name: TABLE booking_details; Type: ACL; Schema: booking_details_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE booking_details_1.booking_details TO portolan_projections;
GRANT SELECT ON TABLE booking_details_1.booking_details TO portolan_query_api;
GRANT SELECT ON TABLE booking_details_1.booking_details TO portolan_staff_reader;

--
-- Name: TABLE booking_list; Type: ACL; Schema: booking_list_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE booking_list_1.booking_list TO portolan_projections;
GRANT SELECT ON TABLE booking_list_1.booking_list TO portolan_query_api;
GRANT SELECT ON TABLE booking_list_1.booking_list TO portolan_staff_reader;

--
-- Name: TABLE ledger_balances; Type: ACL; Schema: ledger_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ledger_1.ledger_balances TO portolan_projections;
GRANT SELECT ON TABLE ledger_1.ledger_balances TO portolan_query_api;
GRANT SELECT ON TABLE ledger_1.ledger_balances TO portolan_staff_reader;

--
-- Name: TABLE ledger_lines; Type: ACL; Schema: ledger_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ledger_1.ledger_lines TO portolan_projections;
GRANT SELECT ON TABLE ledger_1.ledger_lines TO portolan_query_api;
GRANT SELECT ON TABLE ledger_1.ledger_lines TO portolan_staff_reader;

--
-- Name: TABLE parked_events; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parked_events TO portolan_projections;

--
-- Name: TABLE parked_streams; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parked_streams TO portolan_projections;

--
-- Name: COLUMN parked_streams.projection; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(projection) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(projection) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.version; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(version) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(version) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.tenant_id; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(tenant_id) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(tenant_id) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.stream; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(stream) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(stream) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.topic; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(topic) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(topic) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.generation; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(generation) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(generation) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.partition; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(partition) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(partition) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams."position"; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT("position") ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT("position") ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: COLUMN parked_streams.parked_at; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT(parked_at) ON TABLE public.parked_streams TO portolan_query_api;
GRANT SELECT(parked_at) ON TABLE public.parked_streams TO portolan_staff_reader;

--
-- Name: TABLE projection_checkpoints; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.projection_checkpoints TO portolan_projections;
GRANT SELECT ON TABLE public.projection_checkpoints TO portolan_query_api;
GRANT SELECT ON TABLE public.projection_checkpoints TO portolan_staff_reader;

--
-- Name: TABLE projection_versions; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.projection_versions TO portolan_projections;
GRANT SELECT ON TABLE public.projection_versions TO portolan_query_api;
GRANT SELECT ON TABLE public.projection_versions TO portolan_staff_reader;

--
-- Name: TABLE booking_details; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.booking_details TO portolan_query_api;
GRANT SELECT ON TABLE read_models.booking_details TO portolan_staff_reader;

--
-- Name: TABLE booking_list; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.booking_list TO portolan_query_api;
GRANT SELECT ON TABLE read_models.booking_list TO portolan_staff_reader;

--
-- Name: TABLE index_blocks; Type: ACL; Schema: stays_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE stays_1.index_blocks TO portolan_projections;
GRANT SELECT ON TABLE stays_1.index_blocks TO portolan_query_api;
GRANT SELECT ON TABLE stays_1.index_blocks TO portolan_staff_reader;

--
-- Name: TABLE index_blocks; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.index_blocks TO portolan_query_api;
GRANT SELECT ON TABLE read_models.index_blocks TO portolan_staff_reader;

--
-- Name: TABLE index_nights; Type: ACL; Schema: stays_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE stays_1.index_nights TO portolan_projections;
GRANT SELECT ON TABLE stays_1.index_nights TO portolan_query_api;
GRANT SELECT ON TABLE stays_1.index_nights TO portolan_staff_reader;

--
-- Name: TABLE index_nights; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.index_nights TO portolan_query_api;
GRANT SELECT ON TABLE read_models.index_nights TO portolan_staff_reader;

--
-- Name: TABLE index_places; Type: ACL; Schema: stays_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE stays_1.index_places TO portolan_projections;
GRANT SELECT ON TABLE stays_1.index_places TO portolan_query_api;
GRANT SELECT ON TABLE stays_1.index_places TO portolan_staff_reader;

--
-- Name: TABLE index_places; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.index_places TO portolan_query_api;
GRANT SELECT ON TABLE read_models.index_places TO portolan_staff_reader;

--
-- Name: TABLE ledger_balances; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.ledger_balances TO portolan_query_api;
GRANT SELECT ON TABLE read_models.ledger_balances TO portolan_staff_reader;

--
-- Name: TABLE ledger_lines; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.ledger_lines TO portolan_query_api;
GRANT SELECT ON TABLE read_models.ledger_lines TO portolan_staff_reader;

--
-- Name: TABLE stay_properties; Type: ACL; Schema: stays_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE stays_1.stay_properties TO portolan_projections;
GRANT SELECT ON TABLE stays_1.stay_properties TO portolan_query_api;
GRANT SELECT ON TABLE stays_1.stay_properties TO portolan_staff_reader;

--
-- Name: TABLE stay_properties; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.stay_properties TO portolan_query_api;
GRANT SELECT ON TABLE read_models.stay_properties TO portolan_staff_reader;

--
-- Name: TABLE stay_reservations; Type: ACL; Schema: stays_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE stays_1.stay_reservations TO portolan_projections;
GRANT SELECT ON TABLE stays_1.stay_reservations TO portolan_query_api;
GRANT SELECT ON TABLE stays_1.stay_reservations TO portolan_staff_reader;

--
-- Name: TABLE stay_reservations; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.stay_reservations TO portolan_query_api;
GRANT SELECT ON TABLE read_models.stay_reservations TO portolan_staff_reader;

--
-- Name: TABLE tenants; Type: ACL; Schema: tenants_1; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tenants_1.tenants TO portolan_projections;
GRANT SELECT ON TABLE tenants_1.tenants TO portolan_query_api;
GRANT SELECT ON TABLE tenants_1.tenants TO portolan_staff_reader;

--
-- Name: TABLE tenants; Type: ACL; Schema: read_models; Owner: -
--

GRANT SELECT ON TABLE read_models.tenants TO portolan_query_api;
GRANT SELECT ON TABLE read_models.tenants TO portolan_staff_reader;

--
-- PostgreSQL database dump complete
--
