/**
 * Offers a search answered with, until they expire, and the effect that claims one for a booking.
 * Additive: older code does not know them.
 */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table offers (
      tenant_id text not null,
      flight_id text not null,
      -- Offers are shown to one member; to any other they do not exist.
      member_id text not null,
      -- BookedOffer and its price, as they will stand in BookingRequested.
      offer jsonb not null,
      price jsonb not null,
      expires_at timestamptz not null,
      -- The one booking that used the offer.
      booking_id text,
      constraint offers_pkey primary key (tenant_id, flight_id)
    );
    -- Pruning what has expired.
    create index offers_expiry on offers (expires_at);

    alter table offers enable row level security;
    create policy tenant on offers to portolan_command_api using (tenant_id = current_setting('portolan.tenant', true));
    grant select, insert, update on offers to portolan_command_api;

    -- The row lock orders two bookings of one offer; the loser finds booking_id set.
    create function effects.claim_offer(tenant text, args jsonb) returns void
    language plpgsql
    as $$
    declare
      found_offer public.offers;
    begin
      select * into found_offer from public.offers
      where tenant_id = tenant and flight_id = args->>'flightId' and member_id = args->>'memberId'
      for update;
      if found_offer.booking_id is not null then
        raise exception 'offer-already-booked' using errcode = 'PT001',
          detail = format('Flight with ID ''%s'' has already been booked', args->>'flightId');
      end if;
      if found_offer.flight_id is null or found_offer.expires_at <= clock_timestamp() then
        raise exception 'flight-not-found' using errcode = 'PT001',
          detail = format('Flight with ID ''%s'' not found or no longer available', args->>'flightId');
      end if;
      update public.offers set booking_id = args->>'bookingId'
      where tenant_id = tenant and flight_id = found_offer.flight_id;
    end $$;
    revoke all on function effects.claim_offer(text, jsonb) from public;
    grant execute on function effects.claim_offer(text, jsonb) to portolan_command_api;

    -- Offers of all tenants that expired a day ago, a bounded number at a time. A booking keeps its own copy.
    create function prune_offers(rows_max integer) returns integer
    language plpgsql security definer set search_path = public, pg_temp
    as $$
    declare
      pruned integer;
    begin
      delete from offers where (tenant_id, flight_id) in (
        select tenant_id, flight_id from offers where expires_at < now() - interval '1 day' limit rows_max
      );
      get diagnostics pruned = row_count;
      return pruned;
    end $$;
    revoke all on function prune_offers(integer) from public;
    grant execute on function prune_offers(integer) to portolan_command_api;
  `)
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only')
}
