/** A rebuilt version's tables leave as much room on their pages as the live one's. Older code goes on: the function takes and gives the same. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(newVersion)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const newVersion = `
  create or replace function public.create_projection_version(wanted text) returns integer
  language plpgsql
  as $$
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
    end $$;`
