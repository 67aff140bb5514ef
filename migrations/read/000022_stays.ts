/**
 * Version 1 of the read model of stays, and the search over it.
 *
 * What the streams say is in `stay_properties` and `stay_reservations`. The tables whose names begin with `index_` are worked out from them:
 * properties stand in blocks of at most 1024 neighbours by id, and each night of a block has one row with a bit per property. A search for
 * ten nights so reads ten rows to know which of a thousand properties are free. Where a property stands depends on who came first, so versions
 * are not compared in these tables. New tables and functions; older code does not know them.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw('create extension if not exists pg_trgm')
  await knex.raw(tables)
  await knex.raw(placing)
  await knex.raw(search)
  await knex.raw(publish)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const tables = `
  create schema stays_1;

  create table stays_1.stay_properties (
    tenant_id text not null,
    property_id text collate "C" not null,
    description text not null,
    -- Guests; null where the host has not said, like the price and the place.
    capacity integer,
    price_minor bigint,
    price_currency text,
    latitude double precision,
    longitude double precision,
    is_retired boolean not null,
    stream_version bigint not null,
    constraint stay_properties_pkey primary key (tenant_id, property_id)
  );
  create index stay_properties_by_text on stays_1.stay_properties using gin (description gin_trgm_ops);
  create index stay_properties_by_capacity on stays_1.stay_properties (tenant_id, capacity);
  create index stay_properties_by_price on stays_1.stay_properties (tenant_id, price_currency, price_minor);
  create index stay_properties_by_place on stays_1.stay_properties (tenant_id, latitude, longitude);

  create table stays_1.stay_reservations (
    tenant_id text not null,
    reservation_id uuid not null,
    property_id text collate "C" not null,
    start_date date not null,
    nights integer not null,
    status text not null,
    stream_version bigint not null,
    constraint stay_reservations_pkey primary key (tenant_id, reservation_id)
  ) with (fillfactor = 90);
  -- A property's reservations by date: its list, and what still takes a night that another one gave back.
  create index stay_reservations_by_property on stays_1.stay_reservations (tenant_id, property_id, start_date, reservation_id)
    include (nights) where status = 'reserved';

  create table stays_1.index_blocks (
    tenant_id text not null,
    -- Its properties are those from this id up to the next block's.
    first_id text collate "C" not null,
    block integer not null,
    -- Slots of properties that can be found, and slots that are given away.
    live bit(1024) not null,
    used bit(1024) not null,
    constraint index_blocks_pkey primary key (tenant_id, first_id)
  ) with (fillfactor = 80);
  create unique index index_blocks_by_number on stays_1.index_blocks (tenant_id, block);

  -- Where a property stands, from the first time that an event names it.
  create table stays_1.index_places (
    tenant_id text not null,
    property_id text collate "C" not null,
    block integer not null,
    slot integer not null,
    constraint index_places_pkey primary key (tenant_id, property_id)
  );
  create index index_places_by_block on stays_1.index_places (tenant_id, block, property_id) include (slot);

  create table stays_1.index_nights (
    tenant_id text not null,
    block integer not null,
    day date not null,
    taken bit(1024) not null,
    constraint index_nights_pkey primary key (tenant_id, block, day)
  ) with (fillfactor = 80);`

const placing = `
  -- Gives those of these properties a place that have none; a full block is split in two. Callers hold the lock of their version's index.
  create function place_stay_properties(tables_schema text, tenant text, wanted text[]) returns void
  language plpgsql as $$
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
  revoke execute on function place_stay_properties from public;
  grant execute on function place_stay_properties to portolan_projections;`

const search = `
  -- One page of the properties with nothing taken from first_day up to but without end_day, by id, behind the id 'after'. With the rights of its
  -- owner, because ILIKE may not use an index under row-level security: it asks for no tenant but its first argument, which must be the
  -- session's. Null filters ask for nothing.
  --
  -- Where the filters leave few properties, these are looked at one by one; otherwise block by block, a fortnight of rows first and twice as many
  -- each time after, until the page is full. A block that is full is passed after the rows that say so. With filters, what is free is gathered first.
  create function search_stays(
    tenant text, first_day date, end_day date, after text, page integer,
    words text, guests integer, currency text, price_from bigint, price_to bigint, south float8, west float8, north float8, east float8
  ) returns table (
    property_id text, description text, capacity integer, price_minor bigint, price_currency text, latitude float8, longitude float8
  )
  language plpgsql stable security definer set search_path = public, pg_temp as $$
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
  end $$;
  revoke execute on function search_stays from public;
  grant execute on function search_stays to portolan_query_api;`

const publish = `
  insert into projection_versions (name, version, status, switched_at) values ('stays', 1, 'live', now());
  select secure_read_tables('stays', 1);
  select publish_read_tables('stays', 1);`
