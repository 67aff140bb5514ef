/**
 * The supplier's functions through the real `@duffel/api` against the stand-in that speaks Duffel's wire format.
 * Seen failing: with the price comparison taken out of duffel-booking.ts a dearer order passes; with the metadata filter
 * taken out of duffel-lookup.ts another booking's order is found; with 'create' treated as 'act' in duffel-answers.ts the
 * order that Duffel makes later (200) is unknown instead of accepted.
 */
import { createLogger } from '@portolan/infra/log.ts'
import type { PassengerDetails } from '@portolan/schemas/bookings/messages.ts'
import type { FlightSearch, SupplierOffer } from '@portolan/schemas/flights/offers.ts'
import { expect } from 'chai'
import type { CallAnswer } from '../steps/call-answer.ts'
import { createGuard } from '../steps/guard.ts'
import { type Sandbox, startSandbox } from '../testing/sandbox.ts'
import type { Duffel } from './duffel.ts'
import { type NewOrder, orderInstantly, payHeldOrder, placeHold } from './duffel-booking.ts'
import { cancelOrder } from './duffel-cancel.ts'
import { createDuffelApi, createDuffelClient, duffelIsHealthy } from './duffel-client.ts'
import { findOrder } from './duffel-lookup.ts'
import type { OrderPassenger } from './duffel-orders.ts'
import { currentOffer, sameFlightsAgain, searchFlights } from './duffel-search.ts'

const guardOptions = { concurrency: 10, queueMax: 100, failuresToOpen: 1_000, halfOpenAfterMs: 100 }
const logger = createLogger({ process: 'test', level: 'error' })
const soon = () => ({ sendBeforeMs: Date.now() + 5_000 })
const departureDate = new Date(Date.now() + 40 * 86_400_000).toISOString().slice(0, 10)
const returnDate = new Date(Date.now() + 47 * 86_400_000).toISOString().slice(0, 10)

function details(firstName: string, dateOfBirth: string): PassengerDetails {
  const contact = { email: 'doe@example.com', phone: '+15551234567' }
  return { title: 'Dr', gender: 'm', firstName, lastName: 'Doe', dateOfBirth, ...contact }
}

const family: PassengerDetails[] = [details('John', '1985-03-15'), details('Ann', '1986-01-01')]
const child = details('Kim', `${new Date().getUTCFullYear() - 6}-01-01`)
const infant = details('Bo', `${new Date().getUTCFullYear() - 1}-06-01`)

function succeeded<T>(answer: CallAnswer<T>): T {
  if (answer.kind !== 'succeeded') throw new Error(JSON.stringify(answer))
  return answer.value
}

describe('Duffel', () => {
  let sandbox: Sandbox
  let duffel: Duffel

  before(async () => {
    sandbox = await startSandbox('duffel', { SANDBOX_ASYNC_DELAY_SECONDS: '0.2', SANDBOX_SLOW_SECONDS: '1' })
    const api = createDuffelApi({ token: 'duffel_test_x', baseUrl: sandbox.url })
    const client = () => createDuffelClient(api, createGuard(guardOptions, Date.now), { now: Date.now, logger })
    duffel = { searching: client(), ordering: client(), times: { orderTimeoutMs: 600, readTimeoutMs: 600 } }
  })
  beforeEach(() => sandbox.reset())
  after(() => sandbox.process.stop())

  async function offersOf(search: Partial<FlightSearch>): Promise<SupplierOffer[]> {
    const passengers = { adults: 1, children: 0, infants: 0 }
    const request: FlightSearch = {
      origin: 'JFK',
      destination: 'LAX',
      departureDate,
      returnDate: null,
      passengers,
      cabinClass: 'economy',
      ...search,
    }
    return succeeded(await searchFlights(duffel, request, 5_000, soon())).offers
  }

  async function orderFor(search: Partial<FlightSearch>, bookingId: string, isHeld = false): Promise<NewOrder> {
    const offer = (await offersOf(search)).find(({ holdable }) => holdable || !isHeld)
    if (!offer) throw new Error('no offer')
    const passengers: OrderPassenger[] = offer.supplierPassengerIds.map((supplierPassengerId, index) => ({
      supplierPassengerId,
      type: 'adult',
      withAdultIndex: null,
      details: family[index] ?? details(`P${index}`, '1980-01-01'),
    }))
    const { supplierOfferId, supplierAmount, supplierCurrency } = offer
    return {
      bookingId,
      tenantId: 'coffeechain',
      attempt: 1,
      supplierOfferId,
      supplierAmount,
      supplierCurrency,
      passengers,
    }
  }

  it('finds flights with true UTC beside the local time, cheapest first', async () => {
    const offers = await offersOf({ returnDate, passengers: { adults: 2, children: 1, infants: 1 } })
    expect(offers.length).to.be.above(5)
    const amounts = offers.map(({ supplierAmount }) => Number(supplierAmount))
    expect(amounts).to.deep.equal(amounts.toSorted((a, b) => a - b))
    for (const { outbound, inbound, supplierPassengerIds } of offers) {
      expect(outbound.departure).to.include({ airport: 'JFK', timeZone: 'America/New_York' })
      expect(outbound.departure.localTime.slice(0, 10)).to.equal(departureDate)
      const shown = new Date(outbound.departure.time).toLocaleString('sv', { timeZone: 'America/New_York' })
      expect(shown.replace(' ', 'T')).to.equal(outbound.departure.localTime)
      expect(inbound?.departure.airport).to.equal('LAX')
      expect(supplierPassengerIds).to.have.length(4)
    }
  })

  it('describes a journey with a connection from its first departure to its last arrival', async () => {
    const [offer] = await offersOf({ origin: 'LHR', destination: 'DXB' })
    expect(offer?.outbound.segments).to.have.length(2)
    expect([offer?.outbound.departure.airport, offer?.outbound.arrival.airport]).to.deep.equal(['LHR', 'DXB'])
    const [first, second] = offer?.outbound.segments ?? []
    expect(Date.parse(second?.departureAt ?? '')).to.be.above(Date.parse(first?.departureAt ?? ''))
    expect(offer?.outbound.departure.time).to.equal(first?.departureAt)
  })

  it('says that a search took too long, and leaves nothing waiting', async () => {
    const request = { origin: 'STN', destination: 'LHR', departureDate, returnDate: null } as const
    const passengers = { adults: 1, children: 0, infants: 0 }
    const answer = await searchFlights(duffel, { ...request, passengers, cabinClass: 'economy' }, 300, soon())
    expect(answer).to.deep.equal({ kind: 'not-done', code: 'supplier-timeout', retryAfterMs: null })
  })

  it('looks a fare up again: the same offer, or the same flights when the offer is gone', async () => {
    const passengers = { adults: 1, children: 0, infants: 0 }
    const [offer] = await offersOf({})
    if (!offer) throw new Error('no offer')
    const fit = { passengers, slices: 1 }
    const again = succeeded(await currentOffer(duffel, offer.supplierOfferId, fit, Date.now(), soon()))
    expect(again).to.deep.equal(offer)
    await sandbox.control(`offers/${offer.supplierOfferId}/expire`)
    expect(await currentOffer(duffel, offer.supplierOfferId, fit, Date.now(), soon())).to.include({
      code: 'offer-unavailable',
    })
    const found = succeeded(await sameFlightsAgain(duffel, { ...offer, passengers }, 5_000, soon()))
    expect(found.supplierOfferId).to.not.equal(offer.supplierOfferId)
    expect(found.outbound).to.deep.equal(offer.outbound)
    expect(found.supplierAmount).to.equal(offer.supplierAmount)
    const other = {
      ...offer,
      outbound: { ...offer.outbound, segments: [{ flightNumber: 'XX1', departureAt: offer.expiresAt }] },
    }
    expect(await sameFlightsAgain(duffel, { ...other, passengers }, 5_000, soon())).to.include({
      code: 'offer-unavailable',
    })
  })

  it('holds, pays, tickets, and cancels with the penalty', async () => {
    const order = await orderFor({}, 'bkg_hold', true)
    const held = succeeded(await placeHold(duffel, order, soon()))
    expect(Date.parse(held.payBy)).to.be.above(Date.now())
    const paid = succeeded(await payHeldOrder(duffel, { ...order, orderId: held.orderId }, soon()))
    expect(paid).to.include({ orderId: held.orderId, bookingReference: held.bookingReference })
    expect(paid.tickets[0]?.ticketNumber).to.match(/^\d{13}$/)
    const cancelled = succeeded(await cancelOrder(duffel, held.orderId, soon()))
    const state = (await sandbox.state()) as {
      orders: Record<string, string>[]
      cancellations: Record<string, string>[]
    }
    const [made] = state.orders
    const penalty = Number(made?.total_amount) - Number(state.cancellations[0]?.refund_amount)
    expect(cancelled).to.deep.equal({
      orderId: held.orderId,
      penaltyMinor: Math.round(penalty * 100),
      currency: made?.total_currency,
    })
    expect(succeeded(await cancelOrder(duffel, held.orderId, soon())), 'once more').to.deep.equal(cancelled)
  })

  it('takes nothing for an unpaid hold that is cancelled', async () => {
    const held = succeeded(await placeHold(duffel, await orderFor({}, 'bkg_unpaid', true), soon()))
    expect(succeeded(await cancelOrder(duffel, held.orderId, soon())).penaltyMinor).to.equal(0)
  })

  it('orders at once for a family, each infant with its adult, one ticket each in the order of the booking', async () => {
    const order = await orderFor({ passengers: { adults: 2, children: 1, infants: 1 } }, 'bkg_family')
    const types = ['adult', 'adult', 'child', 'infant'] as const
    const passengers = order.passengers.map((passenger, index) => ({
      ...passenger,
      type: types[index] ?? 'adult',
      withAdultIndex: index === 3 ? 1 : null,
      details: [...family, child, infant][index] ?? child,
    }))
    const issued = succeeded(await orderInstantly(duffel, { ...order, passengers }, soon()))
    expect(issued.tickets.map(({ passengerIndex }) => passengerIndex)).to.deep.equal([0, 1, 2, 3])
    expect(new Set(issued.tickets.map(({ ticketNumber }) => ticketNumber)).size).to.equal(4)
    const { orders } = (await sandbox.state()) as { orders: { metadata: unknown }[] }
    expect(orders[0]?.metadata).to.deep.equal({ booking_id: 'bkg_family', tenant_id: 'coffeechain', attempt: '1' })
  })

  it('is not done while a ticket is missing or the paid order cannot be read', async () => {
    for (const [bookingId, isReadable] of [
      ['bkg_late', true],
      ['bkg_unread', false],
    ] as const) {
      const order = await orderFor({}, bookingId, true)
      const { orderId } = succeeded(await placeHold(duffel, order, soon()))
      const unread = { operation: 'orders.get', times: 1, effect: 'skip', answer: { status: 500 } }
      if (!isReadable) await sandbox.fault(unread)
      const ticketless = isReadable ? [{ supplierPassengerId: 'pas_nobody' }] : []
      const payment = { ...order, orderId, passengers: [...order.passengers, ...ticketless] }
      expect(await payHeldOrder(duffel, payment, soon())).to.deep.equal({ kind: 'accepted', result: { orderId } })
      expect((await sandbox.counters()).effects['payments.create']).to.be.above(0)
    }
  })

  it('does not believe an order that costs something else', async () => {
    const order = await orderFor({}, 'bkg_price', true)
    const answer = await placeHold(duffel, { ...order, supplierAmount: '1.00' }, soon())
    expect(answer).to.deep.equal({ kind: 'unknown', code: 'server-error' })
  })

  /** What each test route makes of an order at once, and whether an order is found afterwards. */
  const routes: [string, string, string, Record<string, unknown>, boolean][] = [
    ['is gone', 'LGW', 'LHR', { kind: 'refused', code: 'offer-unavailable' }, false],
    ['changed its price', 'LGW', 'LTN', { kind: 'refused', code: 'price-changed' }, false],
    ['was certainly not made (502)', 'STN', 'LCY', { kind: 'refused', code: 'order-not-created' }, false],
    ['met an airline error (502)', 'LHR', 'LGW', { kind: 'unknown', code: 'server-error' }, false],
    ['met our empty wallet', 'LGW', 'STN', { kind: 'refused', code: 'supplier-refused' }, false],
    ['answered 500 but was made', 'STN', 'LGW', { kind: 'unknown', code: 'server-error' }, true],
    ['answered 500 and was not made', 'STN', 'LTN', { kind: 'unknown', code: 'server-error' }, false],
    ['hung but was made', 'LTN', 'LGW', { kind: 'unknown', code: 'timeout' }, true],
    ['hung and was not made', 'LTN', 'LCY', { kind: 'unknown', code: 'timeout' }, false],
    ['was cut off but made', 'LTN', 'SEN', { kind: 'unknown', code: 'connection-cut' }, true],
    ['is made later (200)', 'LTN', 'STN', { kind: 'accepted' }, true],
    ['is made later (202)', 'SEN', 'STN', { kind: 'accepted' }, true],
    ['is accepted (202) and never made', 'LCY', 'STN', { kind: 'accepted' }, false],
  ]
  for (const [what, origin, destination, expected, isFound] of routes) {
    it(`an order that ${what} is ${expected.kind}`, async () => {
      const order = await orderFor({ origin, destination }, 'bkg_route')
      expect(await orderInstantly(duffel, order, soon())).to.include(expected)
      const owner = { bookingId: 'bkg_route', tenantId: 'coffeechain' }
      const by = { orderId: null, familyName: 'Doe', passengers: order.passengers }
      const deadline = Date.now() + 1_000
      let found = false
      do found = succeeded(await findOrder(duffel, owner, by, soon())).found
      while (found !== isFound && Date.now() < deadline)
      expect(found).to.equal(isFound)
    })
  }

  it('finds a booking’s order among many of the same name, and nobody else’s', async () => {
    const orders = []
    const offered: NewOrder[] = []
    for (const bookingId of ['bkg_a', 'bkg_b']) {
      const order = await orderFor({}, bookingId)
      offered.push(order)
      orders.push(succeeded(await orderInstantly(duffel, order, soon())))
    }
    const passengers = [{ supplierPassengerId: 'none' }]
    const find = (bookingId: string, tenantId = 'coffeechain', familyName = 'Doe') =>
      findOrder(duffel, { bookingId, tenantId }, { orderId: null, familyName, passengers }, soon())
    const found = succeeded(await find('bkg_b'))
    expect(found.found && found.order.orderId).to.equal(orders[1]?.orderId)
    expect(found.found && found.order).to.include({ cancelled: false, awaitingPayment: false, penaltyMinor: 0 })
    const { supplierAmount: totalAmount, supplierCurrency: totalCurrency } = offered[1] ?? {}
    expect(found.found && found.order, 'what it costs').to.include({ totalAmount, totalCurrency })
    expect(succeeded(await find('bkg_c'))).to.deep.equal({ found: false })
    expect(succeeded(await find('bkg_b', 'other-tenant'))).to.deep.equal({ found: false })
    expect(succeeded(await find('bkg_b', 'coffeechain', 'Smith'))).to.deep.equal({ found: false })
  })

  it('never concludes "not found" from an answer that it did not get or cannot read', async () => {
    await orderInstantly(duffel, await orderFor({}, 'bkg_x'), soon())
    const find = () =>
      findOrder(
        duffel,
        { bookingId: 'bkg_x', tenantId: 'coffeechain' },
        { orderId: null, familyName: 'Doe', passengers: [] },
        soon(),
      )
    const ours = { metadata: { booking_id: 'bkg_x', tenant_id: 'coffeechain' } }
    for (const answer of [
      { status: 500 },
      { status: 200, body: { data: [ours] } },
      { status: 200, body: { data: 7 } },
    ]) {
      await sandbox.fault({ operation: 'orders.list', times: 1, effect: 'skip', answer })
      expect((await find()).kind, JSON.stringify(answer)).to.equal('not-done')
    }
    expect(succeeded(await find()).found).to.equal(true)
  })

  it('backs off when the rate limit says so', async () => {
    const headers = { 'ratelimit-remaining': '0', 'ratelimit-reset': new Date(Date.now() + 4_000).toUTCString() }
    await sandbox.fault({ operation: 'orders.get', times: 1, effect: 'skip', answer: { status: 429, headers } })
    const pausing: Duffel = {
      ...duffel,
      ordering: createDuffelClient(
        createDuffelApi({ token: 'duffel_test_x', baseUrl: `${sandbox.url}/` }),
        createGuard(guardOptions, Date.now),
        { now: Date.now, logger },
      ),
    }
    const find = () =>
      findOrder(
        pausing,
        { bookingId: 'b', tenantId: 't' },
        { orderId: 'ord_1', familyName: '', passengers: [] },
        soon(),
      )
    expect(await find()).to.include({ kind: 'not-done', code: 'rate-limited' })
    expect(await find()).to.include({ kind: 'not-done', code: 'rate-limited' })
    expect((await sandbox.counters()).calls['orders.get']).to.equal(1)
  })

  it('is healthy while it answers', async () => {
    const at = (baseUrl: string, token = 'duffel_test_x') => duffelIsHealthy(createDuffelApi({ token, baseUrl }), 500)
    expect(await at(sandbox.url)).to.equal(true)
    expect(await at('http://127.0.0.1:1')).to.equal(false)
  })
})
