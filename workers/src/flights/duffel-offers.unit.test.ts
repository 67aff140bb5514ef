import { expect } from 'chai'
import { compareAmounts, isSameAmount, readOffer, readOffers } from './duffel-offers.ts'
import { lookedUpOrder, penaltyMinor, ticketsOf, toMinor } from './duffel-orders.ts'
import { type DuffelOrder, orderSchema } from './duffel-shapes.ts'

const airport = (iata_code: string, time_zone: string) => ({ iata_code, time_zone })
const carrier = { name: 'United Airlines', iata_code: 'UA' }
const fit = { passengers: { adults: 1, children: 0, infants: 0 }, slices: 1 }

function segment(changes: Record<string, unknown> = {}) {
  return {
    origin: airport('JFK', 'America/New_York'),
    destination: airport('LAX', 'America/Los_Angeles'),
    origin_terminal: '4',
    destination_terminal: null,
    departing_at: '2027-07-01T08:00:00',
    arriving_at: '2027-07-01T11:30:00',
    duration: 'PT6H30M',
    marketing_carrier: carrier,
    marketing_carrier_flight_number: '123',
    passengers: [{ cabin_class: 'economy' }],
    ...changes,
  }
}

function offer(changes: Record<string, unknown> = {}, segments: unknown[] = [segment()]) {
  return {
    id: 'off_1',
    expires_at: '2027-06-01T10:00:00.123456Z',
    total_amount: '350.00',
    total_currency: 'USD',
    payment_requirements: { requires_instant_payment: false },
    owner: carrier,
    passengers: [{ id: 'pas_1', type: 'adult' }],
    slices: [{ segments }],
    ...changes,
  }
}

describe('an offer', () => {
  it('is described with true UTC beside the local time', () => {
    expect(readOffer(offer(), fit)).to.deep.equal({
      supplier: 'duffel',
      supplierOfferId: 'off_1',
      supplierPassengerIds: ['pas_1'],
      holdable: true,
      expiresAt: '2027-06-01T10:00:00.123Z',
      supplierAmount: '350.00',
      supplierCurrency: 'USD',
      outbound: {
        airline: 'United Airlines',
        flightNumber: 'UA123',
        departure: {
          airport: 'JFK',
          time: '2027-07-01T12:00:00.000Z',
          terminal: '4',
          localTime: '2027-07-01T08:00:00',
          timeZone: 'America/New_York',
        },
        arrival: {
          airport: 'LAX',
          time: '2027-07-01T18:30:00.000Z',
          terminal: null,
          localTime: '2027-07-01T11:30:00',
          timeZone: 'America/Los_Angeles',
        },
        duration: 'PT6H30M',
        segments: [{ flightNumber: 'UA123', departureAt: '2027-07-01T12:00:00.000Z' }],
      },
      inbound: null,
      cabinClass: 'economy',
      availableSeats: null,
    })
  })

  it('is in the highest cabin of its segments', () => {
    const mixed = offer({}, [segment(), segment({ ...shifted, passengers: [{ cabin_class: 'business' }] })])
    expect(readOffer(mixed, fit)?.cabinClass).to.equal('business')
  })

  it('names its passengers in the order adults, children, infants', () => {
    const passengers = [
      { id: 'pas_i', type: null, age: 1 },
      { id: 'pas_c', age: 9 },
      { id: 'pas_a', type: 'adult' },
    ]
    const counts = { passengers: { adults: 1, children: 1, infants: 1 }, slices: 1 }
    expect(readOffer(offer({ passengers }), counts)?.supplierPassengerIds).to.deep.equal(['pas_a', 'pas_c', 'pas_i'])
    expect(readOffer(offer({ passengers }), fit)).to.equal(null)
  })

  const unsellable: [string, unknown][] = [
    ['no object', 7],
    ['without a price', offer({ total_amount: undefined })],
    ['with a negative price', offer({ total_amount: '-350.00' })],
    ['with a price that is no decimal', offer({ total_amount: '3.5e2' })],
    ['in no currency', offer({ total_currency: 'dollars' })],
    ['that expires never', offer({ expires_at: 'never' })],
    ['of parts', offer({ partial: true })],
    ['that wants passports', offer({ passenger_identity_documents_required: true })],
    ['with another number of slices', offer({ slices: [{ segments: [segment()] }, { segments: [segment()] }] })],
    ['without segments', offer({}, [])],
    ['with endless segments', offer({}, Array(9).fill(segment()))],
    ['from nowhere', offer({}, [segment({ origin: airport('JFK', 'Mars/Olympus') })])],
    ['that arrives before it departs', offer({}, [segment({ arriving_at: '2027-07-01T01:00:00' })])],
    ['at no time', offer({}, [segment({ departing_at: 'tomorrow' })])],
    ['with a hostile name', offer({ owner: { ...carrier, name: 'x'.repeat(10_000) } })],
  ]
  for (const [what, raw] of unsellable) {
    it(`${what} is left out`, () => {
      expect(readOffer(raw, fit)).to.equal(null)
    })
  }

  it('that cannot be read costs the others nothing; the cheapest come first', () => {
    const raw = [offer({ id: 'off_b', total_amount: '1000' }), null, offer({ id: 'off_a', total_amount: '999.99' })]
    const { offers, dropped } = readOffers(raw, fit, 500)
    expect(offers.map(({ supplierOfferId }) => supplierOfferId)).to.deep.equal(['off_a', 'off_b'])
    expect(dropped).to.equal(1)
    expect(readOffers(raw, fit, 1).offers.map(({ supplierOfferId }) => supplierOfferId)).to.deep.equal(['off_a'])
  })
})

const shifted = { departing_at: '2027-07-01T14:00:00', arriving_at: '2027-07-01T17:30:00' }

describe('amounts', () => {
  it('are compared as decimals, exactly', () => {
    expect(isSameAmount('350.0', '350.00')).to.equal(true)
    expect(isSameAmount('350.01', '350.00')).to.equal(false)
    expect(compareAmounts('9.99', '10')).to.equal(-1)
    expect(compareAmounts('100000000.0001', '100000000')).to.equal(1)
  })

  it('have as many minor digits as their currency', () => {
    expect(toMinor('350.5', 'USD')).to.equal(35_050)
    expect(toMinor('350', 'JPY')).to.equal(350)
    expect(toMinor('1.234', 'KWD')).to.equal(1_234)
  })
})

function order(changes: Record<string, unknown> = {}): DuffelOrder {
  return orderSchema.parse({
    id: 'ord_1',
    booking_reference: 'ABC123',
    total_amount: '350.00',
    total_currency: 'USD',
    created_at: '2027-01-01T00:00:00Z',
    passengers: [],
    payment_status: { awaiting_payment: false, paid_at: '2027-01-01T00:00:00Z' },
    ...changes,
  })
}

describe('tickets', () => {
  const ticket = (unique_identifier: string, passenger: string, type = 'electronic_ticket') => ({
    type,
    unique_identifier,
    passenger_ids: [passenger],
  })

  it('are in the order of the booking’s passengers, without separators, seats beside them', () => {
    const documents = [
      ticket('016-2345678902', 'pas_b'),
      ticket('0162345678901', 'pas_a'),
      ticket('9', 'pas_c', 'electronic_miscellaneous_document_standalone'),
    ]
    const slices = [{ segments: [{ passengers: [{ passenger_id: 'pas_b', seat: { designator: '23A' } }] }] }]
    expect(ticketsOf(order({ documents, slices }), ['pas_a', 'pas_b', 'pas_c'])).to.deep.equal([
      { passengerIndex: 0, ticketNumber: '0162345678901', seat: null },
      { passengerIndex: 1, ticketNumber: '0162345678902', seat: '23A' },
    ])
  })

  it('may be missing', () => {
    expect(ticketsOf(order(), ['pas_a'])).to.deep.equal([])
  })
})

describe('the penalty of a cancellation', () => {
  const refund = (refund_amount: string | null, refund_currency: string | null = 'USD', refund_to = 'balance') => ({
    refund_amount,
    refund_currency,
    refund_to,
  })

  it('is the total minus the refund', () => {
    expect(penaltyMinor(order(), refund('230.50'))).to.equal(11_950)
    expect(penaltyMinor(order(), refund('350.00'))).to.equal(0)
    expect(penaltyMinor(order(), refund('400.00'))).to.equal(0)
  })

  it('is everything when the refund is unknown, in another currency, or no money', () => {
    expect(penaltyMinor(order(), refund(null))).to.equal(35_000)
    expect(penaltyMinor(order(), refund('230.50', 'EUR'))).to.equal(35_000)
    expect(penaltyMinor(order(), refund('230.50', 'USD', 'airline_credits'))).to.equal(35_000)
  })

  it('is nothing for an order that was never paid', () => {
    const unpaid = order({ payment_status: { awaiting_payment: true, paid_at: null } })
    expect(penaltyMinor(unpaid, refund('0.00', 'USD', 'awaiting_payment'))).to.equal(0)
  })
})

describe('an order that was looked up', () => {
  it('tells what a booking needs of it', () => {
    const held = order({ payment_status: { awaiting_payment: true, payment_required_by: '2027-01-03T00:00:00Z' } })
    expect(lookedUpOrder(held, [])).to.deep.equal({
      orderId: 'ord_1',
      bookingReference: 'ABC123',
      cancelled: false,
      awaitingPayment: true,
      payBy: '2027-01-03T00:00:00.000Z',
      tickets: [],
      penaltyMinor: 0,
      currency: 'USD',
      totalAmount: '350.00',
      totalCurrency: 'USD',
    })
    const cancelled = order({
      cancelled_at: '2027-01-02T00:00:00Z',
      cancellation: { refund_amount: '300.00', refund_currency: 'USD', refund_to: 'balance' },
    })
    expect(lookedUpOrder(cancelled, [])).to.include({ cancelled: true, penaltyMinor: 5_000 })
  })
})
