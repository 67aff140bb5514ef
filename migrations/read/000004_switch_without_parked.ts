/** A version that has parked streams which the live one shows is not to go live. Replaces a function; older code calls it alike. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
  -- Makes a version the live one, in one instant for every reader. Refused while it is behind the live one anywhere: whoever
  -- has waited for a position of the old version must not read an older row from the new one (P11). Refused too while it
  -- lacks, being parked, what the live one shows. The old version stays in standby and goes on consuming.
  create or replace function switch_projection(wanted text, wanted_version integer) returns void
  language plpgsql as $$
  declare
    live integer;
    behind bigint;
    parked bigint;
  begin
    perform from public.projection_versions where name = wanted order by version for update;
    if not exists (select from public.projection_versions
                   where name = wanted and version = wanted_version and status in ('building', 'standby')) then
      raise exception 'projection % has no version % that could go live', wanted, wanted_version using errcode = 'no_data_found';
    end if;
    select version into live from public.projection_versions where name = wanted and status = 'live';
    -- Holds both versions still for the few milliseconds until commit.
    perform from public.projection_checkpoints
    where projection = wanted and version in (live, wanted_version)
    order by version, topic, generation, partition
    for update;
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
    if behind > 0 then
      raise exception 'version % of % is behind the live version in % partitions', wanted_version, wanted, behind
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    select count(*) into parked
    from public.parked_streams new
    where new.projection = wanted and new.version = wanted_version
      and not exists (select from public.parked_streams old
                      where old.projection = wanted and old.version = live
                        and old.tenant_id = new.tenant_id and old.stream = new.stream);
    if parked > 0 then
      raise exception 'version % of % has parked % streams that the live version shows', wanted_version, wanted, parked
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    update public.projection_versions set status = 'standby' where name = wanted and version = live;
    update public.projection_versions set status = 'live', switched_at = now() where name = wanted and version = wanted_version;
    perform public.publish_read_tables(wanted, wanted_version);
  end $$;`)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
