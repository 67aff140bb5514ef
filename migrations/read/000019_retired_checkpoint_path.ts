/**
 * A function that runs as its owner looks for temporary tables last, so that no caller can put one in front of ours. Replaces a
 * function; older code calls it alike.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
  create or replace function refuse_retired_checkpoint() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    found_status text;
  begin
    select status into found_status from public.projection_versions
    where name = new.projection and version = new.version for share;
    return case when found_status = 'retired' then null else new end;
  end $$`)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
