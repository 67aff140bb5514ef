/**
 * Versions of read models by generation of the log: each is built from the topics of one. Adds a column and functions; older code reads
 * the first generation only and must not run beside a republished log.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(column)
  await knex.raw(following)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const column = `
  -- The generation of the log that a version is built from.
  alter table projection_versions add column generation integer;
  update projection_versions set generation = 1;
  alter table projection_versions alter column generation set not null;

  -- Who does not say otherwise builds from what the live version is built from.
  create function default_generation() returns trigger
  language plpgsql set search_path = public, pg_temp
  as $$
  begin
    new.generation := coalesce(
      new.generation,
      (select generation from projection_versions where name = new.name and status = 'live'),
      (select max(generation) from projection_versions),
      1
    );
    return new;
  end $$;
  create trigger default_generation before insert on projection_versions
    for each row execute function default_generation();`

const following = `
  -- By the projections process, as soon as Kafka holds a newer generation: the next version of a projection, to be built from it
  -- beside the live one. Whether it was created now; several processes may ask.
  create function follow_generation(wanted text, wanted_generation integer) returns boolean
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  declare
    newer integer;
  begin
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

  -- Makes the version of a generation the live one, once it has applied everything that Kafka held at \`complete_at\`, an instant
  -- at which Kafka held the whole of what the log was when the generation began. partitions: how many the projection reads.
  -- Older versions can never show what happens from here on: the call after the switch retires them, when the readers of before
  -- have gone. Whether nothing is left to do.
  create function switch_to_generation(wanted text, wanted_generation integer, partitions integer, complete_at timestamptz)
  returns boolean
  language plpgsql security definer set search_path = public, pg_temp
  as $$
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

  revoke execute on function default_generation, follow_generation, switch_to_generation from public;
  grant execute on function follow_generation, switch_to_generation to portolan_projections;`
