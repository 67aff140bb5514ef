/** Staff accounts can be changed: a new password, disabled, enabled. Additive; older code goes on. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    grant update (password_hash, disabled_at) on staff_accounts to portolan_command_api;

    -- Compares with the hash that the old password was checked against, so that of two who change it at once one is refused.
    -- Every session ends: whoever knew the old password is out.
    create function effects.change_staff_password(tenant text, args jsonb) returns void
    language plpgsql
    as $$
    begin
      update public.staff_accounts set password_hash = args ->> 'passwordHash'
      where account_id = args ->> 'accountId' and password_hash = args ->> 'formerHash' and disabled_at is null;
      if not found then
        raise exception 'conflict' using errcode = 'PT001', detail = 'The password was changed meanwhile';
      end if;
      update public.staff_sessions set revoked_at = now()
      where account_id = args ->> 'accountId' and revoked_at is null;
    end $$;

    create function effects.disable_staff_account(tenant text, args jsonb) returns void
    language plpgsql
    as $$
    begin
      -- Orders those who disable operators at the same time: each sees what the one before has left.
      perform from public.staff_accounts
      where role = 'operator' and tenant_scope is null and disabled_at is null
      order by account_id for update;
      update public.staff_accounts set disabled_at = now() where account_id = args ->> 'accountId';
      update public.staff_sessions set revoked_at = now()
      where account_id = args ->> 'accountId' and revoked_at is null;
      if not exists (
        select from public.staff_accounts where role = 'operator' and tenant_scope is null and disabled_at is null
      ) then
        raise exception 'conflict' using errcode = 'PT001',
          detail = 'This is the last operator: nobody could enable an account again';
      end if;
    end $$;

    create function effects.enable_staff_account(tenant text, args jsonb) returns void
    language sql
    as $$
      update public.staff_accounts set disabled_at = null where account_id = args ->> 'accountId'
    $$;

    revoke all on function effects.change_staff_password(text, jsonb), effects.disable_staff_account(text, jsonb),
      effects.enable_staff_account(text, jsonb) from public;
    grant execute on function effects.change_staff_password(text, jsonb), effects.disable_staff_account(text, jsonb),
      effects.enable_staff_account(text, jsonb) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
