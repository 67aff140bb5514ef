/**
 * Credentials and keys, which no event may carry: tenants' settings and secrets as of now, staff accounts with their
 * sessions, and the keys of persons. Additive: older code does not know them.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(tenants)
  await knex.raw(staff)
  await knex.raw(personalKeys)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const tenants = `
  -- What the tenant's stream amounts to, for the request path.
  create table tenants (
    tenant_id text not null,
    settings jsonb not null,
    constraint tenants_pkey primary key (tenant_id)
  );

  create table tenant_secrets (
    tenant_id text not null,
    -- SHA-256 of the credential that requests to us carry.
    credential_sha256 bytea not null constraint tenant_secrets_credential check (length(credential_sha256) = 32),
    -- The key we present to the partner, encrypted under a key of the environment that the ciphertext names.
    partner_api_key_sealed text not null,
    constraint tenant_secrets_pkey primary key (tenant_id),
    constraint tenant_secrets_tenant foreign key (tenant_id) references tenants
  );

  alter table tenants enable row level security;
  alter table tenant_secrets enable row level security;
  create policy tenant on tenants to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  create policy tenant on tenant_secrets to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  grant select, insert, update on tenants, tenant_secrets to portolan_command_api;

  create function effects.store_tenant(tenant text, args jsonb) returns void
  language plpgsql
  as $$
  begin
    insert into public.tenants (tenant_id, settings) values (tenant, args -> 'settings')
    on conflict (tenant_id) do update set settings = excluded.settings;
    insert into public.tenant_secrets (tenant_id, credential_sha256, partner_api_key_sealed)
    values (tenant, decode(args ->> 'credentialSha256', 'hex'), args ->> 'partnerApiKeySealed')
    on conflict (tenant_id) do update set
      credential_sha256 = excluded.credential_sha256, partner_api_key_sealed = excluded.partner_api_key_sealed;
  end $$;
  revoke all on function effects.store_tenant(text, jsonb) from public;
  grant execute on function effects.store_tenant(text, jsonb) to portolan_command_api;
`

const staff = `
  -- Staff belong to the platform, not to a tenant, so there is no tenant to secure rows by. E-mails stand here and nowhere else.
  create table staff_accounts (
    account_id text not null,
    -- Lower case.
    email text not null,
    -- argon2id, in the PHC string format.
    password_hash text not null,
    role text not null,
    tenant_scope text,
    -- Set: may not sign in, and its sessions count as ended.
    disabled_at timestamptz,
    constraint staff_accounts_pkey primary key (account_id),
    constraint staff_accounts_email unique (email)
  );

  -- One sign-in and all refresh tokens that follow from it (their family).
  create table staff_sessions (
    session_id uuid not null,
    account_id text not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    constraint staff_sessions_pkey primary key (session_id),
    constraint staff_sessions_account foreign key (account_id) references staff_accounts
  );
  -- Clearing an account's expired sessions at its next sign-in.
  create index staff_sessions_by_account on staff_sessions (account_id, expires_at);

  create table refresh_tokens (
    token_sha256 bytea not null,
    session_id uuid not null,
    used_at timestamptz,
    constraint refresh_tokens_pkey primary key (token_sha256),
    constraint refresh_tokens_session foreign key (session_id) references staff_sessions on delete cascade
  );
  -- The cascade.
  create index refresh_tokens_by_session on refresh_tokens (session_id);

  grant select, insert on staff_accounts to portolan_command_api;
  grant select, insert, update, delete on staff_sessions to portolan_command_api;
  grant select, insert, update on refresh_tokens to portolan_command_api;

  create function effects.create_staff_account(tenant text, args jsonb) returns void
  language plpgsql
  as $$
  begin
    insert into public.staff_accounts (account_id, email, password_hash, role, tenant_scope)
    values (args ->> 'accountId', args ->> 'email', args ->> 'passwordHash', args ->> 'role', args ->> 'tenantScope')
    on conflict on constraint staff_accounts_email do nothing;
    if not found then
      raise exception 'conflict' using errcode = 'PT001', detail = 'An account with this e-mail address exists already';
    end if;
  end $$;
  revoke all on function effects.create_staff_account(text, jsonb) from public;
  grant execute on function effects.create_staff_account(text, jsonb) to portolan_command_api;

  -- Exchanges a refresh token for its successor, once. The session's row lock orders two who present the same token:
  -- the second one is a reuse, which ends the session for both, because one of them stole it.
  -- outcome: rotated | reused | unknown (also for an ended session).
  create function rotate_refresh_token(presented bytea, successor bytea)
  returns table (outcome text, session uuid, account text)
  language plpgsql
  as $$
  declare
    token public.refresh_tokens;
    owner public.staff_sessions;
  begin
    select * into token from public.refresh_tokens t where t.token_sha256 = presented;
    select * into owner from public.staff_sessions s where s.session_id = token.session_id for update;
    if owner.session_id is null or owner.revoked_at is not null or owner.expires_at <= now() then
      return query select 'unknown', null::uuid, null::text;
      return;
    end if;
    update public.refresh_tokens t set used_at = now() where t.token_sha256 = presented and t.used_at is null;
    if not found then
      update public.staff_sessions s set revoked_at = now() where s.session_id = owner.session_id;
      return query select 'reused', owner.session_id, owner.account_id;
      return;
    end if;
    insert into public.refresh_tokens (token_sha256, session_id) values (successor, owner.session_id);
    return query select 'rotated', owner.session_id, owner.account_id;
  end $$;
  revoke all on function rotate_refresh_token(bytea, bytea) from public;
  grant execute on function rotate_refresh_token(bytea, bytea) to portolan_command_api;
`

const personalKeys = `
  -- One key per person of a tenant. Deleting the row blanks everything that was sealed with it (P15).
  create table personal_keys (
    tenant_id text not null,
    person_id text not null,
    -- Stands in every ciphertext, so that a key made after a forget is never tried on what came before it.
    key_id text not null,
    -- The key, encrypted under the environment's key kek_id.
    wrapped_key bytea not null,
    kek_id text not null,
    created_at timestamptz not null default now(),
    constraint personal_keys_pkey primary key (tenant_id, person_id)
  );
  -- Finding keys that still have to move to the current key of the environment.
  create index personal_keys_by_kek on personal_keys (kek_id);

  alter table personal_keys enable row level security;
  create policy tenant on personal_keys to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
  grant select, insert on personal_keys to portolan_command_api;

  -- Within the command that seals with the key, so that no ciphertext is ever committed without it. Another command may have
  -- made this person's key meanwhile: PT002 makes the caller load that one and decide again.
  create function effects.create_personal_key(tenant text, args jsonb) returns void
  language plpgsql
  as $$
  begin
    insert into public.personal_keys (tenant_id, person_id, key_id, wrapped_key, kek_id)
    values (tenant, args ->> 'personId', args ->> 'keyId', decode(args ->> 'wrappedKey', 'base64'), args ->> 'kekId')
    on conflict do nothing;
    if not found then
      raise exception 'another command made the key of this person' using errcode = 'PT002';
    end if;
  end $$;
  revoke all on function effects.create_personal_key(text, jsonb) from public;
  grant execute on function effects.create_personal_key(text, jsonb) to portolan_command_api;

  -- Rotation of the environment's keys, across tenants: keys not yet wrapped by current_kek, a bounded number at a time.
  create function personal_keys_to_rewrap(current_kek text, rows_max integer) returns setof personal_keys
  language sql stable security definer set search_path = public, pg_temp
  as $$
    select tenant_id, person_id, key_id, wrapped_key, kek_id, created_at
    from personal_keys where kek_id <> current_kek limit rows_max
  $$;
  -- Compares the key id, so that a key that was forgotten meanwhile does not come back.
  create function rewrap_personal_key(tenant text, person text, key text, wrapped bytea, kek text) returns boolean
  language plpgsql security definer set search_path = public, pg_temp
  as $$
  begin
    update personal_keys set wrapped_key = wrapped, kek_id = kek
    where tenant_id = tenant and person_id = person and key_id = key;
    return found;
  end $$;
  revoke all on function personal_keys_to_rewrap(text, integer), rewrap_personal_key(text, text, text, bytea, text) from public;
  grant execute on function personal_keys_to_rewrap(text, integer), rewrap_personal_key(text, text, text, bytea, text)
  to portolan_command_api;
`
