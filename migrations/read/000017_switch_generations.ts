/**
 * A new generation of the log is followed even when a stream of it is parked, and asked for without a lock. Replaces functions;
 * older code calls them alike.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(following)
  await knex.raw(switching)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const following = `
  -- By the projections process, as soon as Kafka holds a newer generation: the next version of a projection, to be built from it
  -- beside the live one. Whether it was created now; several processes may ask.
  create or replace function follow_generation(wanted text, wanted_generation integer) returns boolean
  language plpgsql security definer set search_path = public, pg_temp
  as $$
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
  end $$;`

const switching = `
  -- Makes a version the live one, in one instant for every reader. Whoever has waited for a position of the old version must
  -- not read an older row from the new one (P11), so the old one is held still until the new one has passed it everywhere;
  -- refused when that takes longer than a second. Refused too while it lacks, being parked, what a live one of the same log
  -- shows. The old version stays in standby and goes on consuming.
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
  end $$;`
