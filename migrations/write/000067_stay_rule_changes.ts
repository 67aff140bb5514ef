/**
 * The months of stays can be filled again from the log: for another rule, where the reservations fit it, and for the same one when an operator
 * doubts them. Commands look at the rule only once they hold a lock that a rebuild excludes. Older code goes on: it takes the lock with the
 * function.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(reading)
  await knex.raw(rebuilding)
  await knex.raw(commands)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const reading = `
  -- Reservations that are not cancelled, as the log has them. Days since 1970-01-01. decided_at: when it got its dates. is_loaded: nobody
  -- reserved it, so no rule was asked. Their events are read as they are stored: a new version of one needs a new version of this.
  create function live_stays(tenant text)
  returns table (reservation_id text, property_id text, start_day integer, nights integer, is_loaded boolean, decided_at timestamptz)
  language sql stable
  as $$
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

  -- Months since year 0 that the days touch, with a bit for each day; until is the day behind the last one.
  create function days_as_months(from_day integer, until_day integer)
  returns table (month integer, bits bigint)
  language sql immutable
  as $$
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

  -- Pairs of which the later one would have been refused by the rule, because it asks for a day that the earlier one occupies. Two that were
  -- loaded may stand beside each other. Two of one commit have no order: they collide where neither order would have done.
  create function stay_collisions(tenant text, by_rule text)
  returns table (
    property_id text, first_id text, first_day integer, first_nights integer, second_id text, second_day integer, second_nights integer
  )
  language sql stable
  as $$
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
`

const rebuilding = `
  -- Taken bits in the lower half, those taken by two in the upper.
  create function add_bits(kept bigint, bits bigint) returns bigint language sql immutable
  as $$ select kept | bits | ((kept & bits) << 32) $$;
  create aggregate taken_and_twice (bigint) (sfunc = add_bits, stype = bigint, initcond = '0');

  -- Makes the months and the properties what the log says. Returns how many of both were not. Commands that ask for nights meanwhile are refused as busy; those
  -- that are being committed are waited for, and seen: a night's event and its bit are one commit.
  create function rebuild_nights(tenant text, by_rule text) returns integer
  language plpgsql
  set search_path = public, pg_temp
  as $$
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

  -- Changes the rule that the nights are kept by, all of it or nothing. Returns {"from", "collisions", "months"}; where collisions is not 0
  -- nothing was changed, and "first" names the first ten pairs. from is null where nobody has reserved yet, and nothing is done then.
  create function change_stay_rule(tenant text, to_rule text) returns jsonb
  language plpgsql security definer
  set search_path = public, pg_temp
  as $$
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

  revoke all on function live_stays(text), days_as_months(integer, integer), stay_collisions(text, text), add_bits(bigint, bigint),
    taken_and_twice(bigint), rebuild_nights(text, text), change_stay_rule(text, text) from public;
  grant execute on function change_stay_rule(text, text) to portolan_command_api;
`

const commands = `
  create or replace function effects.change_nights(tenant text, args jsonb) returns void
  language plpgsql
  as $$
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
    if args ->> 'asks' = 'true' and not exists (
      select from public.stay_properties p where p.tenant_id = tenant and p.property_id = property and not p.retired
    ) then
      raise exception 'unknown-property' using errcode = 'PT001',
        detail = format('There is no property with the id ''%s''', property);
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
  end $$;
`
