/** An index for the disputed conclusions in the operators' queue, on every version of the list. Older code does not ask for them. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(index)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const index = `
  -- Operators' queue: conclusions that the caller of an attempt contradicted, oldest first.
  do $$
  declare list record;
  begin
    for list in select schemaname from pg_tables where tablename = 'booking_list' and schemaname ~ '^booking_list_[0-9]+$' loop
      execute format(
        'create index booking_list_disputed on %I.booking_list (created_at, tenant_id, booking_id)
           where (progress -> ''disputed'') is not null', list.schemaname);
    end loop;
  end $$`
