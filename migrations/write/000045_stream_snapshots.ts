/**
 * Snapshots of streams that grow for ever, so that loading one does not cost more every year. A cache: every row may be deleted at any
 * time, and is made again. Adds only; older code does not know the table.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table stream_snapshots (
      tenant_id text not null,
      stream text not null,
      -- Number of the state's shape in the code that wrote it; code of another number takes no notice of the row.
      schema integer not null,
      -- The event up to which the state is folded, and where it stands: the row counts only while just that event is there.
      version bigint not null,
      position bigint not null,
      state jsonb not null,
      constraint stream_snapshots_pkey primary key (tenant_id, stream, schema)
    ) with (fillfactor = 70);

    alter table stream_snapshots enable row level security;
    create policy tenant on stream_snapshots to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
    grant select, insert, update on stream_snapshots to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
