/**
 * Switching and retiring while events and readers keep coming. Replaces functions and adds a trigger; older code calls
 * them alike.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(switching)
  await knex.raw(retiring)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const switching = `
  -- Points the views at a version while readers come and go. A reader may hold one view and want another, and whoever waits
  -- for a view makes all later readers wait too: so nothing is waited for longer than lock_timeout, after which every lock
  -- is let go and the whole is tried again. Raises lock_not_available after about a second of that.
  create function publish_read_tables_patiently(name text, version integer) returns void
  language plpgsql as $$
  begin
    for attempt in 1..30 loop
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
  revoke execute on function publish_read_tables_patiently from public;

  -- Makes a version the live one, in one instant for every reader. Whoever has waited for a position of the old version must
  -- not read an older row from the new one (P11), so the old one is held still until the new one has passed it everywhere;
  -- refused when that takes longer than a second. Refused too while it lacks, being parked, what the live one shows. The old
  -- version stays in standby and goes on consuming.
  create or replace function switch_projection(wanted text, wanted_version integer) returns void
  language plpgsql as $$
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
                        and (old.generation <> new.generation or old.position <= new.position));
    if parked > 0 then
      raise exception 'version % of % has parked % streams that the live version shows', wanted_version, wanted, parked
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    update public.projection_versions set status = 'standby' where name = wanted and version = live;
    update public.projection_versions set status = 'live', switched_at = now() where name = wanted and version = wanted_version;
    perform public.publish_read_tables_patiently(wanted, wanted_version);
  end $$;`

const retiring = `
  -- A consumer that has not yet heard that its version is retired would begin it again, from nothing: it gets no checkpoint.
  -- Waits for a retirement under way. Runs as its owner, since projections may not lock the list of versions.
  create function refuse_retired_checkpoint() returns trigger
  language plpgsql security definer set search_path = public as $$
  declare
    found_status text;
  begin
    select status into found_status from projection_versions
    where name = new.projection and version = new.version for share;
    return case when found_status = 'retired' then null else new end;
  end $$;
  revoke execute on function refuse_retired_checkpoint from public;
  create trigger refuse_retired before insert on projection_checkpoints
    for each row execute function refuse_retired_checkpoint();

  -- Gives up a version that is not live: its consumers stop at their next look, its rows go at once. Checkpoints go first, in
  -- the order in which consumers lock, so that none is in the middle of a batch when the tables go.
  create or replace function retire_projection_version(wanted text, wanted_version integer) returns void
  language plpgsql as $$
  begin
    update public.projection_versions set status = 'retired'
    where name = wanted and version = wanted_version and status in ('building', 'standby');
    if not found then
      raise exception 'projection % has no version % that could be retired', wanted, wanted_version using errcode = 'no_data_found';
    end if;
    delete from public.projection_checkpoints where projection = wanted and version = wanted_version;
    delete from public.parked_streams where projection = wanted and version = wanted_version;
    execute format('drop schema %I cascade', public.read_model_schema(wanted, wanted_version));
  end $$;`
