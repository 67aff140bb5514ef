/**
 * The loyalty contract's own examples (contracts/loyalty-api.md section 3), shown in the OpenAPI document. Tests parse each with
 * the schema of its route, so that the shapes cannot drift from the contract.
 */

export const searchRequestExample = {
  origin: 'JFK',
  destination: 'LAX',
  departure_date: '2027-03-15',
  passengers: { adults: 1, children: 0, infants: 0 },
  cabin_class: 'economy',
  currency: 'USD',
}

export const searchResponseExample = {
  data: {
    search_id: 'src_1234567890',
    flights: [
      {
        id: 'flt_abc123',
        airline: 'United Airlines',
        flight_number: 'UA123',
        departure: { airport: 'JFK', time: '2024-03-15T08:00:00Z', terminal: '4' },
        arrival: { airport: 'LAX', time: '2024-03-15T11:30:00Z', terminal: '7' },
        duration: 'PT5H30M',
        price: { amount: 35000, currency: 'USD', loyalty_amount: 35000, loyalty_currency: 'stars' },
        available_seats: 45,
        cabin_class: 'economy',
      },
    ],
    metadata: { total_results: 15, search_time_ms: 1250 },
  },
}

export const createBookingExample = {
  flight_id: 'flt_abc123',
  passengers: [
    {
      type: 'adult',
      title: 'Mr',
      first_name: 'John',
      last_name: 'Doe',
      date_of_birth: '1985-03-15',
      email: 'john.doe@email.com',
      phone: '+1-555-123-4567',
    },
  ],
  payment: { method: 'loyalty_points', amount: 35000, currency: 'stars' },
  contact: { email: 'john.doe@email.com', phone: '+1-555-123-4567' },
}

export const confirmedBookingExample = {
  data: {
    booking_id: 'bkg_xyz789',
    status: 'confirmed',
    tenant_id: 'coffeechain',
    member_id: 'CC1234567',
    flight: {
      id: 'flt_abc123',
      flight_number: 'UA123',
      departure: '2024-03-15T08:00:00Z',
      arrival: '2024-03-15T11:30:00Z',
    },
    passengers: [{ name: 'John Doe', ticket_number: '0162345678901' }],
    payment: { loyalty_amount: 35000, loyalty_currency: 'stars', usd_equivalent: 35000 },
    created_at: '2024-02-01T10:30:00Z',
    expires_at: '2024-02-01T11:00:00Z',
  },
}

export const pendingApprovalExample = {
  data: {
    booking_id: 'bkg_pending123',
    status: 'pending_approval',
    tenant_id: 'coffeechain',
    approval_required: true,
    approval_reason: 'Booking exceeds 50,000 stars limit',
    estimated_approval_time: 'PT24H',
  },
}

export const pendingBookingExample = {
  data: { booking_id: 'bkg_xyz789', status: 'pending', tenant_id: 'coffeechain', member_id: 'CC1234567' },
}

export const bookingDetailExample = {
  data: {
    booking_id: 'bkg_xyz789',
    status: 'confirmed',
    tenant_id: 'coffeechain',
    member_id: 'CC1234567',
    flight: {
      id: 'flt_abc123',
      airline: 'United Airlines',
      flight_number: 'UA123',
      departure: { airport: 'JFK', time: '2024-03-15T08:00:00Z', terminal: '4' },
      arrival: { airport: 'LAX', time: '2024-03-15T11:30:00Z', terminal: '7' },
    },
    passengers: [{ name: 'John Doe', ticket_number: '0162345678901', seat: '23A' }],
    payment: { loyalty_amount: 35000, loyalty_currency: 'stars', usd_equivalent: 35000, cashback: null },
    created_at: '2024-02-01T10:30:00Z',
    updated_at: '2024-02-01T10:30:04Z',
  },
}

export const bookingListExample = {
  data: {
    bookings: [
      {
        booking_id: 'bkg_xyz789',
        status: 'confirmed',
        flight_number: 'UA123',
        departure_date: '2024-03-15',
        route: 'JFK → LAX',
        loyalty_amount: 35000,
        created_at: '2024-02-01T10:30:00Z',
      },
    ],
    pagination: { total: 25, limit: 20, offset: 0, has_more: true },
  },
}

export const cancelBookingExample = { reason: 'Change of plans', refund_requested: true }

export const cancelledBookingExample = {
  data: {
    booking_id: 'bkg_xyz789',
    status: 'cancelled',
    cancelled_at: '2024-02-02T09:15:00Z',
    refund: {
      status: 'processed',
      loyalty_amount: 35000,
      loyalty_currency: 'stars',
      fee: 0,
      net_refund: 35000,
      processed_at: '2024-02-02T09:15:30Z',
    },
  },
}

export const healthExample = {
  status: 'healthy',
  timestamp: '2024-02-01T10:00:00Z',
  version: '1.0.0',
  services: { database: 'healthy', duffel_api: 'healthy', coffeechain_api: 'healthy' },
}
