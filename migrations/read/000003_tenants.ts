/** Version 1 of the read model of tenants. A new table; older code does not know it. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create schema tenants_1;

    create table tenants_1.tenants (
      tenant_id text not null,
      name text not null,
      settings jsonb not null,
      stream_version bigint not null,
      constraint tenants_pkey primary key (tenant_id)
    );

    insert into projection_versions (name, version, status, switched_at) values ('tenants', 1, 'live', now());
    select secure_read_tables('tenants', 1);
    select publish_read_tables('tenants', 1)`)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
