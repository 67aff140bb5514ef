/** From rows to the bodies of the loyalty contract (3.3, 3.4). Pure. */
import type { BookingDetails } from '@portolan/schemas/bookings/read-models.ts'
import { wireStatus } from '@portolan/schemas/bookings/statuses.ts'
import {
  type BookingDetail,
  type BookingList,
  type ListBookingsQuery,
  routeLabel,
} from '@portolan/schemas/bookings/views.ts'
import type { Flight } from '@portolan/schemas/flights/offers.ts'
import type { BookingRow } from './read-bookings.ts'

/** `GET /bookings/{booking_id}`. names: of the passengers in order, '' for a forgotten person. */
export function bookingDetailBody(tenantId: string, details: BookingDetails, names: readonly string[]): BookingDetail {
  const { bookingId, memberId, price, inbound } = details
  return {
    data: {
      booking_id: bookingId,
      ...wireStatus(details.status),
      tenant_id: tenantId,
      member_id: memberId,
      flight: {
        id: details.flightId,
        ...slice(details.outbound),
        ...(inbound ? { return: slice(inbound) } : {}),
      },
      passengers: details.passengers.map((_, index) => {
        const ticket = details.tickets.find(({ passengerIndex }) => passengerIndex === index)
        return { name: names[index] ?? '', ticket_number: ticket?.ticketNumber ?? null, seat: ticket?.seat ?? null }
      }),
      payment: {
        loyalty_amount: price.loyaltyAmount,
        loyalty_currency: price.loyaltyCurrency,
        usd_equivalent: price.amountMinor,
        cashback: null,
      },
      created_at: details.createdAt,
      updated_at: details.updatedAt,
    },
  }
}

/** `GET /bookings`. */
export function bookingListBody(rows: readonly BookingRow[], total: number, query: ListBookingsQuery): BookingList {
  const { limit, offset } = query
  return {
    data: {
      bookings: rows.map((row) => ({
        booking_id: row.booking_id,
        ...wireStatus(row.status),
        flight_number: row.flight_number,
        departure_date: row.departure_date,
        route: routeLabel(row.origin, row.destination),
        loyalty_amount: row.loyalty_amount,
        created_at: row.created_at.toISOString(),
      })),
      pagination: { total, limit, offset, has_more: offset + rows.length < total },
    },
  }
}

function slice({ airline, flightNumber, departure, arrival }: Flight) {
  return { airline, flight_number: flightNumber, departure: point(departure), arrival: point(arrival) }
}

function point({ airport, time, terminal, localTime, timeZone }: Flight['departure']) {
  return { airport, time, terminal, local_time: localTime, time_zone: timeZone }
}
