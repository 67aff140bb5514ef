/**
 * A switch stays shorter than a read waits for its writer (two seconds), or it could refuse one. Replaces a function; older
 * code calls it alike.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
  -- Points the views at a version while readers come and go. A reader may hold one view and want another, and whoever waits
  -- for a view makes all later readers wait too: so nothing is waited for longer than lock_timeout, after which every lock
  -- is let go and the whole is tried again. Raises lock_not_available after about half a second of that.
  create or replace function publish_read_tables_patiently(name text, version integer) returns void
  language plpgsql as $$
  begin
    for attempt in 1..10 loop
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
  end $$`)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
