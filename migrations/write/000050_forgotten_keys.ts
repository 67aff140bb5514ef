/**
 * Forgetting a person (P15): their key goes for good, and a list of forgotten keys stays, to be kept outside and applied again to
 * a restored backup. Additive; older code goes on sealing without `use_personal_key`, so no forget may run beside it.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(forgottenKeys)
  await knex.raw(effects)
  await knex.raw(restored)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const forgottenKeys = `
  -- One row per forgotten key, kept for ever. Key ids are random and stand in every ciphertext, so applying a row again blanks what
  -- the key sealed and nothing that a member who came back has given since.
  create table forgotten_keys (
    tenant_id text not null,
    person_id text not null,
    key_id text not null,
    reason text not null,
    -- staff:<account id>.
    forgotten_by text not null,
    forgotten_at timestamptz not null,
    constraint forgotten_keys_pkey primary key (tenant_id, key_id)
  );
  -- Whether and when a person was forgotten.
  create index forgotten_keys_by_person on forgotten_keys (tenant_id, person_id, forgotten_at);

  alter table forgotten_keys enable row level security;
  create policy tenant on forgotten_keys to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  grant select on forgotten_keys to portolan_command_api;
`

const effects = `
  -- Within a command that seals with a key made earlier. The row's lock keeps a forget out until this commits; a forget that was
  -- first makes the caller load again and decide with a new key.
  create function effects.use_personal_key(tenant text, args jsonb) returns void
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  begin
    perform from public.personal_keys
    where tenant_id = tenant and person_id = args ->> 'personId' and key_id = args ->> 'keyId'
    for key share;
    if not found then
      raise exception 'the key of this person was forgotten' using errcode = 'PT002';
    end if;
  end $$;

  -- Refused while a booking of the person is open. Deleting comes first: it waits for every command that seals with the key, whose
  -- steps the next statement then sees. Must be committed alone: steps of its own group would not be there yet.
  create function effects.forget_person(tenant text, args jsonb) returns void
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  declare
    open_bookings jsonb;
  begin
    delete from public.personal_keys
    where tenant_id = tenant and person_id = args ->> 'personId' and key_id = args ->> 'keyId';
    if not found then
      raise exception 'another command forgot this person' using errcode = 'PT002';
    end if;
    select jsonb_agg(distinct input ->> 'bookingId') into open_bookings
    from public.open_steps where tenant_id = tenant and input ->> 'memberId' = args ->> 'personId';
    if open_bookings is not null then
      raise exception 'not-forgettable' using errcode = 'PT001',
        detail = 'Bookings of this member are still being worked on',
        hint = jsonb_build_object('bookingIds', open_bookings);
    end if;
    insert into public.forgotten_keys (tenant_id, person_id, key_id, reason, forgotten_by, forgotten_at)
    values (tenant, args ->> 'personId', args ->> 'keyId', args ->> 'reason', args ->> 'by', (args ->> 'at')::timestamptz);
  end $$;

  revoke all on function effects.use_personal_key(text, jsonb), effects.forget_person(text, jsonb) from public;
  grant execute on function effects.use_personal_key(text, jsonb), effects.forget_person(text, jsonb) to portolan_command_api;
`

const restored = `
  -- After a restore: a forget that the backup does not know. Returns whether it still found the key.
  create function reapply_forget(tenant text, person text, key text, why text, by_whom text, at timestamptz) returns boolean
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  begin
    insert into forgotten_keys (tenant_id, person_id, key_id, reason, forgotten_by, forgotten_at)
    values (tenant, person, key, why, by_whom, at)
    on conflict do nothing;
    delete from personal_keys where tenant_id = tenant and key_id = key;
    return found;
  end $$;
  revoke all on function reapply_forget(text, text, text, text, text, timestamptz) from public;
  grant execute on function reapply_forget(text, text, text, text, text, timestamptz) to portolan_command_api;

  -- Whether the relay has compared a whole topic with Kafka since the database started or was restored (see log_verifications).
  create function topic_is_verified(name text) returns boolean
  language sql stable
  as $$
    select count(*) = (select partitions from log_topics where topic = name)
    from log_verifications
    where topic = name and incarnation = (select log_incarnation())
  $$;
  revoke all on function topic_is_verified(text) from public;
  grant execute on function topic_is_verified(text) to portolan_command_api;
`
