/**
 * A night is sold once (P6): per property and month one row with a bit per day, which a reservation sets where none of those that it asks
 * for is set. What else was thought of is measured by `npm run bench -- nights`. Additive; older code does not know the tables.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table stay_properties (
      tenant_id text not null,
      property_id text not null,
      retired boolean not null default false,
      constraint stay_properties_pkey primary key (tenant_id, property_id)
    );
    alter table stay_properties enable row level security;
    create policy tenant on stay_properties to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
    grant select, insert, update on stay_properties to portolan_command_api;

    -- Room for a changed row on its own page: no index column ever changes.
    create table stay_months (
      tenant_id text not null,
      property_id text not null,
      -- Months since year 0.
      month integer not null,
      -- Bit 0 is the first day. Taken by one reservation at least.
      taken integer not null,
      -- By two: only reservations that were imported as they were, under a rule that would refuse them.
      twice integer not null default 0,
      constraint stay_months_pkey primary key (tenant_id, property_id, month),
      constraint twice_is_taken check (twice & ~taken = 0)
    ) with (fillfactor = 80);
    alter table stay_months enable row level security;
    create policy tenant on stay_months to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
    grant select, insert, update on stay_months to portolan_command_api;

    -- The rule that the months were filled by. Read by another one they would free and ask for the wrong days.
    create table stay_rules (
      tenant_id text not null,
      rule text not null,
      constraint stay_rules_pkey primary key (tenant_id)
    );
    alter table stay_rules enable row level security;
    create policy tenant on stay_rules to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
    grant select, insert on stay_rules to portolan_command_api;

    create function effects.register_property(tenant text, args jsonb) returns void
    language plpgsql
    as $$
    begin
      insert into public.stay_properties (tenant_id, property_id) values (tenant, args ->> 'propertyId');
    end $$;

    create function effects.retire_property(tenant text, args jsonb) returns void
    language plpgsql
    as $$
    begin
      update public.stay_properties set retired = true where tenant_id = tenant and property_id = args ->> 'propertyId';
    end $$;

    -- args: rule, propertyId; months: [{month, free, ask, take}] in ascending order, so that two commands never wait for each other. A command that
    -- asks for nothing only frees, which a retired property allows too. asIs: takes what is taken already, a second time.
    create function effects.change_nights(tenant text, args jsonb) returns void
    language plpgsql
    as $$
    declare
      property constant text := args ->> 'propertyId';
      as_is constant boolean := coalesce((args ->> 'asIs')::boolean, false);
      kept_rule text := (select r.rule from public.stay_rules r where r.tenant_id = tenant);
      change record;
    begin
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

    revoke all on function effects.register_property(text, jsonb), effects.retire_property(text, jsonb), effects.change_nights(text, jsonb)
      from public;
    grant execute on function
      effects.register_property(text, jsonb), effects.retire_property(text, jsonb), effects.change_nights(text, jsonb)
      to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
