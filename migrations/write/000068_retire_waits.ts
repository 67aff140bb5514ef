/**
 * Reserving and retiring one property exclude each other until they are committed: a reservation that had looked at the property a moment before
 * was committed behind its retirement. Those who reserve share the property's row. And what is loaded as it is takes no night that a guest was
 * sold. Older code goes on: it takes the lock with the function.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
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
    grant execute on function live_stays(text), days_as_months(integer, integer) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
