/**
 * A snapshot names the event it was folded up to by its id: after a restore another event may get the same version and position, and a
 * process that outlived the restore may still write what it had folded. Not for older code: it can neither write snapshots nor load a
 * stream that has them, its queries name the column that goes, so members' accounts fail until it is replaced.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    delete from stream_snapshots;
    alter table stream_snapshots drop column position, add column event_id uuid not null;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
