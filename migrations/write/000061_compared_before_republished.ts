/**
 * Republishing starts only when the relay has compared the whole log with Kafka: what is marked and counted from then on must not
 * be behind the survey. Raising a generation forgets comparisons that commit at the same moment too. Additive; older code goes on.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Rejects until every partition was compared with Kafka since the database started: they agreed, or what is missing was recorded.
    create function require_log_compared() returns void
    language plpgsql stable
    as $$
    declare
      now_running text := public.log_incarnation();
    begin
      if exists (
        select from public.log_heads h
        left join public.log_verifications v on v.topic = h.topic and v.partition = h.partition and v.incarnation = now_running
        left join public.log_surveys s on s.topic = h.topic and s.partition = h.partition and s.incarnation = now_running
        where v.topic is null and s.topic is null
      ) then
        raise sqlstate 'PT001' using message = 'unavailable',
          detail = 'The relay has not compared the whole log with Kafka since the database started.';
      end if;
    end $$;
    revoke all on function require_log_compared() from public;

    create or replace function effects.begin_republication(tenant text, args jsonb) returns void
    language plpgsql security definer set search_path = public, pg_temp
    as $$
    begin
      perform public.require_log_compared();
      if (args ->> 'generation')::integer <> public.next_log_generation() then
        raise sqlstate 'PT001' using message = 'conflict', detail = 'The log is of another generation by now.';
      end if;
      insert into public.log_republications (generation, started_by, reason)
      values ((args ->> 'generation')::integer, args ->> 'by', args ->> 'reason');
    exception when unique_violation then
      raise sqlstate 'PT001' using message = 'conflict', detail = 'The log is being republished already.';
    end $$;

    create or replace function effects.raise_log_generation(tenant text, args jsonb) returns void
    language plpgsql security definer set search_path = public, pg_temp
    as $$
    declare
      wanted integer := (args ->> 'generation')::integer;
    begin
      perform public.require_log_compared();
      update public.log_republications set raised_at = clock_timestamp() where generation = wanted and raised_at is null;
      if not found then
        raise sqlstate 'PT001' using message = 'conflict', detail = 'This generation is not being prepared.';
      end if;
      perform set_config('lock_timeout', '5s', true);
      perform from public.log_heads order by topic, partition for update;
      -- A relay that is recording a comparison either has committed before the deletion below, or waits and sees the new generation.
      lock table public.log_verifications in share row exclusive mode;
      insert into public.log_generation_starts (generation, topic, partition, position)
      select wanted, topic, partition, position from public.log_heads;
      update public.log_state set generation = wanted;
      delete from public.log_verifications;
      delete from public.log_surveys;
    end $$;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
