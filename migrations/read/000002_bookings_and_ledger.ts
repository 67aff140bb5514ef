/**
 * Version 1 of the read models of bookings and of the ledger. New tables; older code does not know them.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(bookingDetails)
  await knex.raw(bookingList)
  await knex.raw(ledger)
  await knex.raw(publish)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}

const bookingDetails = `
  create schema booking_details_1;

  create table booking_details_1.booking_details (
    tenant_id text not null,
    booking_id text not null,
    member_id text not null,
    status text not null,
    -- The whole answer of GET /bookings/{id}; passengers and contact stay sealed.
    details jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Version of the booking's stream that this row reflects.
    stream_version bigint not null,
    constraint booking_details_pkey primary key (tenant_id, booking_id)
  ) with (fillfactor = 80);`

const bookingList = `
  create schema booking_list_1;

  create table booking_list_1.booking_list (
    tenant_id text not null,
    booking_id text not null,
    member_id text not null,
    status text not null,
    flight_number text not null,
    origin text not null,
    destination text not null,
    -- Local date at the origin.
    departure_date date not null,
    loyalty_amount bigint not null,
    loyalty_currency text not null,
    -- What later events need to derive the status.
    progress jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    stream_version bigint not null,
    constraint booking_list_pkey primary key (tenant_id, booking_id)
  ) with (fillfactor = 80);

  -- A member's own list, newest first.
  create index booking_list_by_member on booking_list_1.booking_list (tenant_id, member_id, created_at desc, booking_id desc);
  -- Staff of one tenant, newest first.
  create index booking_list_by_tenant on booking_list_1.booking_list (tenant_id, created_at desc, booking_id desc);
  -- Operators over all tenants, newest first.
  create index booking_list_by_time on booking_list_1.booking_list (created_at desc, tenant_id desc, booking_id desc);
  -- Operators' queues: everything in one status, newest first.
  create index booking_list_by_status on booking_list_1.booking_list (status, created_at desc, tenant_id desc, booking_id desc);`

const ledger = `
  create schema ledger_1;

  create table ledger_1.ledger_lines (
    tenant_id text not null,
    -- The event that the line is derived from, and which of its lines it is.
    stream text not null,
    stream_version bigint not null,
    line smallint not null,
    account text not null,
    -- A programme's currency in whole units, or an ISO 4217 code in minor units.
    currency text not null,
    amount bigint not null,
    kind text not null,
    booking_id text not null,
    -- Null for supplier penalties, which no member bears.
    member_id text,
    at timestamptz not null,
    constraint ledger_lines_pkey primary key (tenant_id, stream, stream_version, line)
  );
  -- Staff's newest lines over all tenants.
  create index ledger_lines_by_time on ledger_1.ledger_lines (at desc, tenant_id desc, stream desc, stream_version desc, line desc);
  -- What a member's account went through.
  create index ledger_lines_by_member on ledger_1.ledger_lines (tenant_id, member_id, at desc);
  -- What a booking moved.
  create index ledger_lines_by_booking on ledger_1.ledger_lines (tenant_id, booking_id);

  -- Sums of the lines. One row per partition of the log, because a programme's account is touched by all of them and a
  -- shared row would make their transactions queue up behind each other; the balance is the sum of the rows.
  create table ledger_1.ledger_balances (
    tenant_id text not null,
    account text not null,
    currency text not null,
    partition integer not null,
    balance bigint not null,
    -- Number of lines in the sum; rebuilt balances are compared where it is equal.
    line_count bigint not null,
    constraint ledger_balances_pkey primary key (tenant_id, account, currency, partition)
  ) with (fillfactor = 50);`

const publish = `
  insert into projection_versions (name, version, status, switched_at)
  select name, 1, 'live', now() from unnest(array['booking_details', 'booking_list', 'ledger']) as name;

  do $$
  declare projection text;
  begin
    foreach projection in array array['booking_details', 'booking_list', 'ledger'] loop
      perform secure_read_tables(projection, 1);
      perform publish_read_tables(projection, 1);
    end loop;
  end $$`
