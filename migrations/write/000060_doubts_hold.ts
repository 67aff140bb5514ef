/**
 * A booking that a correction opened again counts as one that has not ended, so a republication marks it. The refusals of a log that
 * was not compared say when to come back, because they now reach members too. Older code calls both functions alike.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(unendedBookings)
  await knex.raw(requireLogVerified)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const unendedBookings = `
  -- Streams of bookings behind a given one, across tenants, for marking. Ended is what \`endedAt\` of a booking says: an end counts
  -- unless a correction came after it.
  create or replace function unended_bookings(after_tenant text, after_stream text, rows_max integer)
  returns table (tenant_id text, stream text, is_unended boolean)
  language sql stable security definer set search_path = public, pg_temp
  as $$
    select s.tenant_id, s.stream, not exists (
      select from events e
      where e.tenant_id = s.tenant_id and e.stream = s.stream
        and e.type in ('BookingRejected', 'BookingFailed', 'BookingExpired', 'BookingCancelled')
        and not exists (
          select from events c
          where c.tenant_id = s.tenant_id and c.stream = s.stream
            and c.type = 'OutcomeCorrected' and c.stream_version > e.stream_version
        )
    )
    from (
      select * from streams
      where (streams.tenant_id, streams.stream) > (after_tenant, after_stream) and topic = 'bookings.events.v1'
      order by streams.tenant_id, streams.stream
      limit rows_max
    ) s
    order by s.tenant_id, s.stream
  $$;
`

const requireLogVerified = `
  -- Refuses a claim, or the end of a booking that no claim's holder reported, until the relay has compared Kafka with this incarnation
  -- of the store: a store restored to an earlier point would grant what it has forgotten having granted, and end what had gone on.
  -- Refuses too while the log is being republished.
  create or replace function effects.require_log_verified(tenant text, args jsonb) returns void
  language plpgsql
  as $$
  declare
    now_running text := public.log_incarnation();
  begin
    if exists (select from public.log_republications where raised_at is null) then
      raise sqlstate 'PT001' using
        message = 'unavailable', detail = 'The event log is being republished.', hint = '{"retry_after": 10}';
    end if;
    if exists (
      select from public.log_heads h
      left join public.log_verifications v on v.topic = h.topic and v.partition = h.partition
      where v.incarnation is distinct from now_running
    ) then
      raise sqlstate 'PT001' using
        message = 'unavailable',
        detail = 'The event log has not been compared with its copy since the database started.',
        hint = '{"retry_after": 5}';
    end if;
  end $$;
`
