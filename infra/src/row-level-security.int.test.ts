/**
 * P12, the second lock: whatever a query forgets, the database shows one tenant's rows only. Every table with a tenant that the processes
 * behind the APIs may read has row-level security, for their role, and by the tenant of the transaction.
 *
 * Seen failing: with the policy of `offers` made `using (true)`, with its row-level security not enabled, and with
 * `secure_read_tables` not called for the ledger.
 */
import { testDatabase } from '@portolan/infra/testing/database.ts'
import { expect } from 'chai'
import pg from 'pg'

/**
 * Read across tenants by their nature: what consumers parked, for operators and for the tenant's own readers who must wait; what a restored
 * store lacks, for operators and the relay.
 */
const operational = ['public.parked_events', 'public.parked_streams', 'public.lost_events']

describe('row-level security', () => {
  for (const [folder, role] of [
    ['write', 'portolan_command_api'],
    ['read', 'portolan_query_api'],
  ] as const) {
    it(`hides every other tenant's rows of the ${folder} database from ${role}`, async () => {
      const database = await testDatabase(folder)
      const client = new pg.Client(database.adminUrl)
      try {
        await client.connect()
        const { rows } = await client.query<{ name: string; is_enabled: boolean; policies: string[] | null }>(
          `select format('%s.%s', n.nspname, t.relname) as name, t.relrowsecurity as is_enabled,
             (select array_agg(pg_get_expr(p.polqual, t.oid)) from pg_policy p
              where p.polrelid = t.oid and (p.polroles = '{0}' or $1::regrole = any (p.polroles))) as policies
           from pg_class t join pg_namespace n on n.oid = t.relnamespace
           join pg_attribute a on a.attrelid = t.oid and a.attname = 'tenant_id'
           where t.relkind in ('r', 'p') and has_table_privilege($1, t.oid, 'select')`,
          [role],
        )
        const locked = rows.filter(({ name }) => !operational.includes(name))
        expect(locked.length).to.be.greaterThan(4)
        for (const { name, is_enabled, policies } of locked) {
          expect(is_enabled, name).to.equal(true)
          expect(policies, name).to.deep.equal(["(tenant_id = current_setting('portolan.tenant'::text, true))"])
        }
        const { rows: views } = await client.query<{ name: string }>(
          `select format('%s.%s', n.nspname, v.relname) as name from pg_class v join pg_namespace n on n.oid = v.relnamespace
           where v.relkind = 'v' and has_table_privilege($1, v.oid, 'select')
             and n.nspname not in ('pg_catalog', 'information_schema')
             and not coalesce(v.reloptions @> '{security_invoker=true}', false)`,
          [role],
        )
        expect(views, 'views with the rights of their owner').to.deep.equal([])
      } finally {
        await client.end()
        await database.drop()
      }
    })
  }
})
