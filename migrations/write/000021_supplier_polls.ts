/** The door for a supplier's webhook: open polls and reconciliations of orders, across tenants. Additive. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Few: only bookings whose supplier has not answered yet. Serves open_order_polls().
    create index open_steps_order_polls on open_steps (due_at) where step in ('poll-order', 'reconcile-order');

    create function open_order_polls(rows_max integer)
    returns table (tenant_id text, stream text, order_id text)
    language sql stable security definer set search_path = public, pg_temp
    as $$
      select o.tenant_id, o.stream, o.input ->> 'orderId'
      from open_steps o
      where o.step in ('poll-order', 'reconcile-order')
      order by o.due_at
      limit rows_max
    $$;
    revoke all on function open_order_polls(integer) from public;
    grant execute on function open_order_polls(integer) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
