/**
 * The sweep reads all overdue steps, page by page: before, it was given the same oldest ones of each tenant and step again and
 * again, and never saw what lay behind those that were merely waiting. Replaces overdue_steps(); older code's sweep fails until
 * it is replaced as well, which delays lost steps and loses none.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create index open_steps_overdue on open_steps (tenant_id, step, due_at, stream) where claimed_until is null;
    drop index open_steps_due;
    drop function overdue_steps(timestamptz, integer, integer);

    -- The sweep: unclaimed steps that fell due before a moment. A group is a tenant and step; each gives its oldest ones, at most
    -- each_max, and first come the first of every group, so that no tenant crowds out another (P12).
    -- seen: [{ tenant_id, step, due_at, stream }, ...], where the earlier pages ended in each group; without due_at the group is left out.
    create or replace function overdue_steps(due_before timestamptz, rows_max integer, each_max integer, seen jsonb)
    returns setof open_steps
    language sql stable security definer set search_path = public, pg_temp
    as $$
      with recursive groups as (
        (select o.tenant_id, o.step from open_steps o where o.claimed_until is null order by o.tenant_id, o.step limit 1)
        union all
        select n.tenant_id, n.step
        from groups g
        cross join lateral (
          select o.tenant_id, o.step
          from open_steps o
          where o.claimed_until is null and (o.tenant_id, o.step) > (g.tenant_id, g.step)
          order by o.tenant_id, o.step
          limit 1
        ) n
      )
      select
        r.tenant_id, r.stream, r.step, r.attempt, r.due_at, r.deadline, r.input, r.correlation_id, r.causation_id,
        r.mock_error, r.traceparent, r.claimed_until
      from groups g
      left join jsonb_to_recordset(seen) as s(tenant_id text, step text, due_at timestamptz, stream text)
        on s.tenant_id = g.tenant_id and s.step = g.step
      cross join lateral (
        select o.*, row_number() over (order by o.due_at, o.stream) as nth
        from open_steps o
        where o.claimed_until is null and o.tenant_id = g.tenant_id and o.step = g.step and o.due_at <= due_before
          and (o.due_at, o.stream) > (coalesce(s.due_at, '-infinity'), coalesce(s.stream, ''))
        order by o.due_at, o.stream
        limit each_max
      ) r
      where s.tenant_id is null or s.due_at is not null
      order by r.nth, r.due_at, r.stream
      limit rows_max
    $$;
    revoke all on function overdue_steps(timestamptz, integer, integer, jsonb) from public;
    grant execute on function overdue_steps(timestamptz, integer, integer, jsonb) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
