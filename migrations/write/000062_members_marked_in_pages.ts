/** Members are marked a page at a time while the log is prepared to be republished, like bookings. Additive; older code goes on. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table log_republications
      -- The last member that was looked at, in (tenant, member) order.
      add column looked_at_members_tenant text not null default '',
      add column looked_at_member text not null default '',
      add column marked_members bigint not null default 0;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
