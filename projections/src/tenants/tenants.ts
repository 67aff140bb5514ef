/** `tenants`: what staff's views show about a tenant. Settings hold no secret. */
import type { Projection } from '@portolan/infra/consumer/projection.ts'
import type { TenantEvent } from '@portolan/schemas/tenants/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'

export const tenants: Projection = {
  name: 'tenants',
  version: 1,
  handles: { [topics.tenants]: ['TenantRegistered', 'TenantSettingsChanged'] },
  async apply(events, tx) {
    // Each event carries all settings: the newest of a stream is the row.
    const newest = new Map(events.map((event) => [event.stream, event]))
    const rows = [...newest.values()].map((projected) => {
      // The consumer lifted the data to the catalogue's current version and checked it there.
      const { settings } = (projected as unknown as TenantEvent).data
      return {
        tenant_id: settings.tenantId,
        name: settings.name,
        settings,
        stream_version: projected.streamVersion,
      }
    })
    await tx.query({
      name: `save-${tx.schema}`,
      text: `insert into ${tx.schema}.tenants as t (tenant_id, name, settings, stream_version)
             select tenant_id, name, settings, stream_version
             from jsonb_to_recordset($1) as r (tenant_id text, name text, settings jsonb, stream_version bigint)
             on conflict (tenant_id) do update
             set name = excluded.name, settings = excluded.settings, stream_version = excluded.stream_version
             where t.stream_version < excluded.stream_version`,
      values: [JSON.stringify(rows)],
    })
  },
}
