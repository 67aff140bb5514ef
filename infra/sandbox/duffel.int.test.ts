/**
 * The Duffel stand-in, driven by the official client, unmodified.
 *
 * Shown to fail with: tickets issued for unpaid holds, a refused order that books, a signature without its timestamp.
 */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Duffel } from '@duffel/api'
import type { CreateOrder, CreateOrderPassenger, Offer, OfferPassenger } from '@duffel/api/types'
import { expect } from 'chai'
import { type DuffelOptions, startDuffel } from './duffel.ts'
import type { RunningSandbox } from './sandbox-server.ts'

interface Failure {
  status: number
  meta?: { status: number; request_id: string }
  errors?: {
    type: string
    code: string
    title: string
    message: string
    documentation_url: string
    source?: { field: string; pointer: string }
  }[]
  headers?: Headers
  code?: string
}

/** What `/_sandbox/state` and `/_sandbox/counters` answer, as far as it is looked at here. */
interface ControlAnswer {
  orders: { id: string; offer_id: string }[]
  calls: Record<string, number>
  effects: Record<string, number>
}

const DATE = new Date(Date.now() + 40 * 86_400_000).toISOString().slice(0, 10)
const LATER = new Date(Date.now() + 47 * 86_400_000).toISOString().slice(0, 10)

describe('The Duffel stand-in, under the official client', () => {
  let running: RunningSandbox
  let duffel: Duffel

  async function restart(options: DuffelOptions = {}): Promise<void> {
    await running?.stop()
    running = await startDuffel({ asyncDelaySeconds: 0.05, slowSeconds: 0.05, hangSecondsMax: 0.1, ...options })
    duffel = new Duffel({ token: 'duffel_test_anything', basePath: `${running.url}/`, apiVersion: 'v2' })
  }

  const control = async (method: string, path: string, body?: unknown): Promise<ControlAnswer> => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const response = await fetch(`${running.url}/_sandbox/${path}`, { method, body: text })
    return JSON.parse((await response.text()) || '{}')
  }

  async function search(origin: string, destination: string, more: Record<string, unknown> = {}) {
    const slice = { origin, destination, departure_date: DATE, arrival_time: null, departure_time: null }
    const { data } = await duffel.offerRequests.create({
      slices: [slice],
      passengers: [{ type: 'adult' }],
      cabin_class: 'economy',
      return_offers: true,
      ...more,
    })
    return data
  }

  async function anOffer(origin = 'LHR', destination = 'JFK', pick: (offer: Offer) => boolean = isDuffelAirways) {
    const { offers } = await search(origin, destination)
    const found = (offers as Offer[]).find(pick)
    if (!found) throw new Error(`no such offer from ${origin} to ${destination}`)
    return found
  }

  const instant = (offer: Offer, more: Partial<CreateOrder> = {}): CreateOrder => ({
    type: 'instant',
    selected_offers: [offer.id],
    passengers: offer.passengers.map(traveller),
    payments: [{ type: 'balance', amount: offer.total_amount, currency: offer.total_currency }],
    ...more,
  })
  const onHold = (offer: Offer, more: Partial<CreateOrder> = {}): CreateOrder => ({
    ...instant(offer, more),
    // The API's word; the client's types still say `pay_later`.
    type: 'hold' as 'pay_later',
    payments: undefined,
  })
  const ordersOf = async (offer: Offer) =>
    (await control('GET', 'state')).orders.filter((order) => order.offer_id === offer.id)

  before(() => restart())
  after(() => running.stop())

  describe('a search', () => {
    it('finds believable offers, most of them in dollars, with local times and real places', async () => {
      const request = await search('LHR', 'JFK')
      const offers = request.offers as Offer[]
      expect(offers.length).to.be.greaterThan(20)
      expect(offers.filter(({ total_currency }) => total_currency === 'USD').length).to.be.greaterThan(15)
      expect(new Set(offers.map(({ owner }) => owner.iata_code)).size).to.be.greaterThan(5)
      const prices = offers.map(({ total_amount }) => Number(total_amount))
      expect(Math.min(...prices)).to.be.within(150, 350)
      expect(prices.some((price) => price > 340 && price < 360)).to.equal(true)

      const segment = offers[0]?.slices[0]?.segments[0]
      expect(segment?.origin).to.deep.include({
        iata_code: 'LHR',
        icao_code: 'EGLL',
        city_name: 'London',
        time_zone: 'Europe/London',
      })
      expect(segment?.departing_at).to.match(new RegExp(`^${DATE}T\\d\\d:\\d\\d:00$`))
      expect(segment?.passengers[0]?.passenger_id).to.equal(request.passengers[0]?.id)
      expect(request.slices[0]?.origin).to.deep.include({ iata_code: 'LHR', type: 'airport' })
      expect(request.live_mode).to.equal(false)
      const [first] = offers
      const cents = (text: string | null) => Math.round(Number(text) * 100)
      expect(cents(first?.base_amount ?? '') + cents(first?.tax_amount ?? '')).to.equal(
        cents(first?.total_amount ?? ''),
      )
      const life = Date.parse(first?.expires_at ?? '') - Date.parse(first?.created_at ?? '')
      expect(life).to.equal(1_800_000)
    })

    it('finds business fares far over 500 dollars, round trips, children and infants', async () => {
      const business = (await search('LHR', 'JFK', { cabin_class: 'business' })).offers as Offer[]
      expect(business.every((offer) => Number(offer.total_amount) > 900)).to.equal(true)

      const slice = { arrival_time: null, departure_time: null }
      const family = await search('LHR', 'JFK', {
        slices: [
          { ...slice, origin: 'LHR', destination: 'JFK', departure_date: DATE },
          { ...slice, origin: 'JFK', destination: 'LHR', departure_date: LATER },
        ],
        passengers: [{ type: 'adult' }, { age: 8 }, { age: 1 }],
      })
      const [offer] = family.offers as Offer[]
      expect(offer?.slices).to.have.lengthOf(2)
      expect(offer?.slices[1]?.segments[0]?.departing_at.slice(0, 10)).to.equal(LATER)
      expect(offer?.passengers.map(({ type }) => type)).to.deep.equal(['adult', 'child', 'infant_without_seat'])
    })

    it('can leave the offers out, to be listed sorted and in pages', async () => {
      const request = await search('LHR', 'JFK', { return_offers: false })
      expect(request.offers).to.equal(undefined)
      const listed = await duffel.offers.list({ offer_request_id: request.id, sort: 'total_amount', limit: 5 })
      expect(listed.data).to.have.lengthOf(5)
      const prices = listed.data.map(({ total_amount }) => Number(total_amount))
      expect(prices).to.deep.equal(prices.toSorted((a, b) => a - b))
      const all: string[] = []
      for await (const { data } of duffel.offers.listWithGenerator({ offer_request_id: request.id, limit: 7 } as never))
        all.push((data as unknown as Offer).id)
      expect(new Set(all).size).to.equal(all.length)
      expect(all).to.have.lengthOf(((await duffel.offerRequests.get(request.id)).data.offers as Offer[]).length)
    })

    it('repeated finds the same flights and prices, also in another process with the same seed', async () => {
      const summary = async () =>
        ((await search('CDG', 'SIN')).offers as Offer[]).map(({ total_amount, slices }) => [
          total_amount,
          slices[0]?.segments.map(
            (s) => `${s.marketing_carrier.iata_code}${s.marketing_carrier_flight_number} ${s.departing_at}`,
          ),
        ])
      const first = await summary()
      expect(await summary()).to.deep.equal(first)
      await restart()
      expect(await summary()).to.deep.equal(first)
      await restart({ seed: 'another' })
      expect(await summary()).to.not.deep.equal(first)
      await restart()
    })

    it('understands city codes', async () => {
      const request = await search('LON', 'NYC')
      expect(request.slices[0]?.origin_type).to.equal('city')
      const origins = (request.offers as Offer[]).map(({ slices }) => slices[0]?.origin.iata_code)
      expect(new Set(origins)).to.include.members(['LHR', 'LGW'])
    })

    it('is refused with a pointer to the field that is wrong', async () => {
      const unknown = await failure(search('LHR', 'XXX'))
      expect(unknown.status).to.equal(422)
      expect(unknown.errors?.[0]).to.deep.include({
        type: 'validation_error',
        source: { field: 'destination', pointer: '/slices/0/destination' },
      })
      const past = { origin: 'LHR', destination: 'JFK', departure_date: '2020-01-01' }
      expect((await failure(search('LHR', 'JFK', { slices: [past] }))).status).to.equal(422)
      expect((await failure(search('LHR', 'JFK', { passengers: [] }))).errors?.[0]?.code).to.equal(
        'validation_required',
      )
    })
  })

  describe('an offer', () => {
    it('is read by id, without services for sale', async () => {
      const offer = await anOffer()
      const { data } = await duffel.offers.get(offer.id, { return_available_services: true })
      expect(data.available_services).to.deep.equal([])
      expect(data.total_amount).to.equal(offer.total_amount)
    })

    it('that has expired is neither read nor ordered', async () => {
      const offer = await anOffer()
      await control('POST', `offers/${offer.id}/expire`)
      expect((await failure(duffel.offers.get(offer.id))).errors?.[0]?.code).to.equal('offer_no_longer_available')
      const refused = await failure(duffel.orders.create(instant(offer)))
      expect([refused.status, refused.errors?.[0]?.code]).to.deep.equal([422, 'offer_expired'])
      expect(await ordersOf(offer)).to.deep.equal([])
    })

    it('says whether it can be held', async () => {
      const { offers } = await search('LHR', 'JFK')
      const requirements = (offers as Offer[]).map(({ payment_requirements }) => payment_requirements)
      expect(requirements.some((r) => r.requires_instant_payment && r.payment_required_by === null)).to.equal(true)
      expect(requirements.some((r) => !r.requires_instant_payment && r.payment_required_by !== null)).to.equal(true)
      const locked = await anOffer('LHR', 'JFK', (offer) => offer.payment_requirements.requires_instant_payment)
      const refused = await failure(duffel.orders.create(onHold(locked)))
      expect(refused.errors?.[0]?.code).to.equal('not_valid_with_selected_offer')
    })
  })

  describe('an instant order', () => {
    it('is paid and ticketed at once', async () => {
      const offer = await anOffer()
      const { data: order } = await duffel.orders.create(instant(offer, { metadata: { booking_id: 'bkg_1' } }))
      expect(order.booking_reference).to.match(/^[A-Z2-9]{6}$/)
      expect(order).to.deep.include({
        total_amount: offer.total_amount,
        metadata: { booking_id: 'bkg_1' },
        content: 'managed',
      })
      expect(order.payment_status).to.include({ awaiting_payment: false, payment_required_by: null })
      expect(order.payment_status.paid_at).to.be.a('string')
      expect(order.documents?.[0]?.type).to.equal('electronic_ticket')
      expect(order.documents?.[0]?.unique_identifier).to.match(/^990\d{10}$/)
      expect(order.documents?.[0]?.passenger_ids).to.deep.equal([offer.passengers[0]?.id])
      expect(order.slices[0]?.segments[0]?.id).to.not.equal(offer.slices[0]?.segments[0]?.id)
      expect((await duffel.orders.get(order.id)).data).to.deep.include({ id: order.id, cancelled_at: null })
    })

    it('is made once per offer request', async () => {
      const offer = await anOffer()
      await duffel.orders.create(instant(offer))
      const again = await failure(duffel.orders.create(instant(offer)))
      expect([again.status, again.errors?.[0]?.code]).to.deep.equal([422, 'offer_request_already_booked'])
      expect(again.errors?.[0]?.type).to.equal('invalid_state_error')
    })

    it('is refused for a wrong amount, currency, name, phone number, age or passenger', async () => {
      const offer = await anOffer()
      const payment = { type: 'balance' as const, amount: offer.total_amount, currency: offer.total_currency }
      const person = traveller(offer.passengers[0] as OfferPassenger, 0)
      const refusals: [Partial<CreateOrder>, string, string][] = [
        [
          { payments: [{ ...payment, amount: '1.00' }] },
          'payment_amount_does_not_match_order_amount',
          '/payments/0/amount',
        ],
        [
          { payments: [{ ...payment, currency: 'EUR' }] },
          'payment_currency_does_not_match_order_currency',
          '/payments/0/currency',
        ],
        [{ payments: [] }, 'validation_required', '/payments'],
        [{ passengers: [{ ...person, given_name: '太郎' }] }, 'invalid_passenger_name', '/passengers/0/given_name'],
        [{ passengers: [{ ...person, phone_number: '020' }] }, 'invalid_phone_number', '/passengers/0/phone_number'],
        [
          { passengers: [{ ...person, born_on: '2026-01-01' }] },
          'order_passengers_incompatible_with_offer',
          '/passengers/0/born_on',
        ],
        [{ passengers: [{ ...person, id: 'pas_x' }] }, 'linked_record_not_found', '/passengers/0/id'],
        [{ passengers: [] }, 'validation_required', '/passengers'],
        [{ selected_offers: ['off_x'] }, 'linked_record_not_found', '/selected_offers/0'],
        [{ metadata: { 'not allowed': 'x' } }, 'validation_format', '/metadata/not allowed'],
      ]
      for (const [change, code, pointer] of refusals) {
        const refused = await failure(duffel.orders.create(instant(offer, change)))
        expect([refused.status, refused.errors?.[0]?.code], pointer).to.deep.equal([422, code])
        expect(refused.errors?.[0]?.source?.pointer).to.equal(pointer)
      }
      expect(await ordersOf(offer)).to.deep.equal([])
      expect((await duffel.orders.create(instant(offer))).data.id).to.match(/^ord_/)
    })

    it('ties each infant to one adult and checks ages searched', async () => {
      const request = await search('LHR', 'JFK', { passengers: [{ type: 'adult' }, { age: 1 }] })
      const offer = (request.offers as Offer[]).find(isDuffelAirways) as Offer
      const people = offer.passengers.map(traveller)
      const [adult, infant] = people as [CreateOrderPassenger, CreateOrderPassenger]
      infant.born_on = new Date(Date.parse(DATE) - 500 * 86_400_000).toISOString().slice(0, 10)
      const alone = await failure(duffel.orders.create(instant(offer, { passengers: people })))
      expect(alone.errors?.[0]?.message).to.contain('infant_passenger_id')
      adult.infant_passenger_id = infant.id
      const { data } = await duffel.orders.create(instant(offer, { passengers: people }))
      expect(data.passengers[0]).to.include({ infant_passenger_id: infant.id, type: 'adult' })
      expect(data.documents).to.have.lengthOf(2)
    })
  })

  describe('a held order', () => {
    it('keeps space unticketed until it is paid', async () => {
      const offer = await anOffer()
      const { data: held } = await duffel.orders.create(onHold(offer))
      expect(held.documents).to.deep.equal([])
      expect(held.payment_status).to.deep.include({ awaiting_payment: true, paid_at: null })
      expect(held.payment_status.payment_required_by).to.equal(offer.payment_requirements.payment_required_by)

      const payment = { type: 'balance' as const, amount: '1.00', currency: held.total_currency }
      const wrong = await failure(duffel.payments.create({ order_id: held.id, payment }))
      expect(wrong.errors?.[0]?.code).to.equal('payment_amount_does_not_match_order_amount')
      const paying = { order_id: held.id, payment: { ...payment, amount: held.total_amount } }
      const { data: paid } = await duffel.payments.create(paying)
      expect(paid).to.include({ amount: held.total_amount, status: 'succeeded' })
      const { data: order } = await duffel.orders.get(held.id)
      expect(order.payment_status.awaiting_payment).to.equal(false)
      expect(order.documents).to.have.lengthOf(1)
      expect((await failure(duffel.payments.create(paying))).errors?.[0]?.code).to.equal('already_paid')
    })

    it('cannot be paid after its deadline', async () => {
      let nowMs = Date.now()
      await restart({ now: () => nowMs, holdTtlSeconds: 60 })
      const { data: held } = await duffel.orders.create(onHold(await anOffer()))
      nowMs += 60_000
      const payment = { type: 'balance' as const, amount: held.total_amount, currency: held.total_currency }
      const late = await failure(duffel.payments.create({ order_id: held.id, payment }))
      expect(late.errors?.[0]?.code).to.equal('past_payment_required_by_date')
      await restart()
    })

    it('takes no payments when it is made', async () => {
      const offer = await anOffer()
      const refused = await failure(duffel.orders.create({ ...instant(offer), type: 'pay_later' }))
      expect(refused.errors?.[0]?.code).to.equal('payments_not_allowed_for_order_type')
    })
  })

  describe('a cancellation', () => {
    it('is quoted by the fare conditions and confirmed once', async () => {
      const offer = await anOffer(
        'LHR',
        'JFK',
        (o) => isDuffelAirways(o) && o.slices[0]?.fare_brand_name === 'Standard',
      )
      const { data: order } = await duffel.orders.create(instant(offer))
      const { data: quote } = await duffel.orderCancellations.create({ order_id: order.id })
      expect(quote).to.deep.include({ order_id: order.id, refund_to: 'balance', confirmed_at: null })
      const penalty = Number(offer.conditions.refund_before_departure?.penalty_amount)
      expect(Number(quote.refund_amount)).to.be.closeTo(Number(order.total_amount) - penalty, 0.001)
      expect((await duffel.orders.get(order.id)).data.cancelled_at).to.equal(null)

      const { data: done } = await duffel.orderCancellations.confirm(quote.id)
      expect(done.confirmed_at).to.be.a('string')
      const { data: cancelled } = await duffel.orders.get(order.id)
      expect(cancelled.cancelled_at).to.be.a('string')
      expect(cancelled.available_actions).to.deep.equal(['update'])
      expect(cancelled.cancellation?.id).to.equal(quote.id)
      expect((await duffel.orderCancellations.get(quote.id)).data.confirmed_at).to.equal(done.confirmed_at)
      const again = await failure(duffel.orderCancellations.confirm(quote.id))
      expect([again.status, again.errors?.[0]?.code]).to.deep.equal([422, 'already_cancelled'])
      const another = await failure(duffel.orderCancellations.create({ order_id: order.id }))
      expect(another.errors?.[0]?.code).to.equal('already_cancelled')
    })

    it('confirms only the latest quote', async () => {
      const { data: order } = await duffel.orders.create(instant(await anOffer()))
      const { data: first } = await duffel.orderCancellations.create({ order_id: order.id })
      const { data: second } = await duffel.orderCancellations.create({ order_id: order.id })
      expect((await failure(duffel.orderCancellations.confirm(first.id))).status).to.equal(422)
      await duffel.orderCancellations.confirm(second.id)
    })

    it('of an unpaid hold returns nothing', async () => {
      const { data: order } = await duffel.orders.create(onHold(await anOffer()))
      const { data: quote } = await duffel.orderCancellations.create({ order_id: order.id })
      expect(quote).to.include({ refund_amount: '0.00', refund_to: 'awaiting_payment' })
    })
  })

  describe('the list of orders', () => {
    it('finds an order by passenger name and metadata, reference, offer and payment state, in pages', async () => {
      await restart()
      const made: string[] = []
      for (let index = 0; index < 3; index += 1) {
        const offer = await anOffer()
        const passengers = offer.passengers.map((passenger) => ({
          ...traveller(passenger, 0),
          family_name: 'Lovelace',
        }))
        const create = index === 0 ? onHold : instant
        const { data } = await duffel.orders.create(
          create(offer, { passengers, metadata: { booking_id: `bkg_${index}` } }),
        )
        made.push(data.id)
      }
      const other = await duffel.orders.create(instant(await anOffer()))
      const named = await duffel.orders.list({ 'passenger_name[]': ['lovel'], limit: 2 })
      expect(named.data.map(({ id }) => id)).to.deep.equal([made[2], made[1]])
      expect(named.meta?.after).to.be.a('string')
      const next = await duffel.orders.list({
        'passenger_name[]': ['lovel'],
        limit: 2,
        after: named.meta?.after ?? '',
      })
      expect(next.data.map(({ metadata }) => metadata.booking_id)).to.deep.equal(['bkg_0'])
      expect(next.meta?.after).to.equal(null)
      const back = await duffel.orders.list({
        'passenger_name[]': ['lovel'],
        limit: 2,
        before: next.meta?.before ?? '',
      })
      expect(back.data.map(({ id }) => id)).to.deep.equal([made[2], made[1]])
      const byReference = await duffel.orders.list({ booking_reference: other.data.booking_reference })
      expect(byReference.data.map(({ id }) => id)).to.deep.equal([other.data.id])
      expect((await duffel.orders.list({ awaiting_payment: true })).data.map(({ id }) => id)).to.deep.equal([made[0]])
      expect((await duffel.orders.list({ 'passenger_name[]': ['nobody'] })).data).to.deep.equal([])
      // Not through the client, which sends `{data: {options: …}}`; that is refused, as nothing would be changed.
      const headers = { authorization: 'Bearer duffel_test_x', 'duffel-version': 'v2' }
      const body = JSON.stringify({ data: { metadata: { booking_id: 'new' } } })
      const changed = await fetch(`${running.url}/air/orders/${made[0]}`, { method: 'PATCH', headers, body })
      expect(changed.status).to.equal(200)
      expect((await duffel.orders.get(made[0] ?? '')).data.metadata).to.deep.equal({ booking_id: 'new' })
      expect((await failure(duffel.orders.update(made[0] ?? '', { metadata: {} }))).status).to.equal(422)
    })
  })

  describe('headers and errors', () => {
    it('every answer has a request id and rate-limit headers, an error repeats the id', async () => {
      const missing = await failure(duffel.orders.get('ord_nothing'))
      expect(missing.status).to.equal(404)
      expect(missing.errors?.[0]).to.include({ type: 'invalid_request_error', code: 'not_found' })
      expect(missing.errors?.[0]).to.have.all.keys('type', 'code', 'title', 'message', 'documentation_url')
      expect(missing.meta?.request_id).to.equal(missing.headers?.get('x-request-id'))
      expect(Number(missing.headers?.get('ratelimit-remaining'))).to.be.greaterThan(0)
      expect(missing.headers?.get('ratelimit-limit')).to.equal('4000')
      expect(Date.parse(missing.headers?.get('ratelimit-reset') ?? '')).to.be.greaterThan(Date.now())
    })

    it('a token that is no test token, and a missing or old version, are refused', async () => {
      const live = new Duffel({ token: 'duffel_live_x', basePath: `${running.url}/` })
      const denied = await failure(live.offers.get('off_x'))
      expect([denied.status, denied.errors?.[0]?.code]).to.deep.equal([401, 'access_token_not_found'])
      const get = async (headers: Record<string, string>) => {
        const response = await fetch(`${running.url}/air/orders`, { headers })
        return [response.status, ((await response.json()) as Failure).errors?.[0]?.code]
      }
      const authorization = 'Bearer duffel_test_x'
      expect(await get({})).to.deep.equal([401, 'missing_authorization_header'])
      expect(await get({ authorization: 'Basic x' })).to.deep.equal([401, 'invalid_authorization_header'])
      expect(await get({ authorization })).to.deep.equal([400, 'missing_version_header'])
      expect(await get({ authorization, 'duffel-version': 'v1' })).to.deep.equal([400, 'unsupported_version'])
      expect(await get({ authorization, 'duffel-version': 'v9' })).to.deep.equal([400, 'invalid_version_header'])
    })

    it('a body without data, or that is no JSON, is refused', async () => {
      const headers = { authorization: 'Bearer duffel_test_x', 'duffel-version': 'v2' }
      const post = async (body: string) => {
        const response = await fetch(`${running.url}/air/orders`, { method: 'POST', headers, body })
        return [response.status, ((await response.json()) as Failure).errors?.[0]?.code]
      }
      expect(await post('{')).to.deep.equal([400, 'bad_request'])
      expect(await post('{}')).to.deep.equal([400, 'missing_data_param'])
      expect(await post('{"data":1}')).to.deep.equal([400, 'invalid_data_param'])
    })
  })

  describe('a test route', () => {
    it('can find nothing, only connections, flights with stops, no bags, or only holdable fares', async () => {
      const offersOf = async (from: string, to: string) => (await search(from, to)).offers as Offer[]
      expect(await offersOf('PVD', 'RAI')).to.deep.equal([])
      const connecting = await offersOf('LHR', 'DXB')
      expect(connecting.length).to.be.greaterThan(5)
      expect(connecting.every(({ slices }) => slices[0]?.segments.length === 2)).to.equal(true)
      const stopping = await offersOf('DXB', 'AMS')
      expect(stopping.every(({ slices }) => slices[0]?.segments[0]?.stops.length === 1)).to.equal(true)
      const bare = await offersOf('BTS', 'MRU')
      expect(bare.length).to.be.greaterThan(0)
      expect(
        bare.every(({ slices }) => slices[0]?.segments.every((s) => s.passengers[0]?.baggages.length === 0)),
      ).to.equal(true)
      const holdable = await offersOf('JFK', 'EWR')
      expect(holdable.length).to.be.greaterThan(0)
      expect(holdable.every(({ payment_requirements: p }) => !p.requires_instant_payment)).to.equal(true)
    })

    it('can time a search out', async () => {
      const timedOut = await failure(search('STN', 'LHR'))
      expect([timedOut.status, timedOut.errors?.[0]?.code]).to.deep.equal([504, 'gateway_timeout_error'])
    })

    it('can lose an offer, or raise its price with every read', async () => {
      const gone = await anOffer('LGW', 'LHR')
      expect((await failure(duffel.offers.get(gone.id))).errors?.[0]?.code).to.equal('offer_no_longer_available')
      const rising = await anOffer('LHR', 'STN')
      const first = (await duffel.offers.get(rising.id)).data
      const second = (await duffel.offers.get(rising.id)).data
      expect(Number(second.total_amount) - Number(first.total_amount)).to.be.closeTo(10, 0.001)
      const refused = await failure(duffel.orders.create(instant(first)))
      expect(refused.errors?.[0]?.code).to.equal('payment_amount_does_not_match_order_amount')
      expect((await duffel.orders.create(instant(second))).data.total_amount).to.equal(second.total_amount)
    })

    it('can expire an offer within seconds', async () => {
      await restart({ shortOfferTtlSeconds: 0 })
      const refused = await failure(duffel.orders.create(instant(await anOffer('LGW', 'LCY'))))
      expect(refused.errors?.[0]?.code).to.equal('offer_expired')
      await restart()
    })

    for (const [from, to, status, code] of [
      ['LHR', 'LGW', 502, 'airline_unknown'],
      ['LGW', 'STN', 422, 'insufficient_balance'],
      ['LGW', 'LTN', 422, 'price_changed'],
      ['STN', 'LTN', 500, 'internal_server_error'],
      ['STN', 'LCY', 502, 'order_not_created'],
    ] as const) {
      it(`${from} to ${to} answers ${status} ${code} and books nothing`, async () => {
        const offer = await anOffer(from, to)
        const refused = await failure(duffel.orders.create(instant(offer)))
        expect([refused.status, refused.errors?.[0]?.code]).to.deep.equal([status, code])
        expect(await ordersOf(offer)).to.deep.equal([])
      })
    }

    it('can answer 500, hang or cut the connection although it booked', async () => {
      const failed = await anOffer('STN', 'LGW')
      expect((await failure(duffel.orders.create(instant(failed)))).status).to.equal(500)
      const hung = await anOffer('LTN', 'LGW')
      expect((await failure(duffel.orders.create(instant(hung)))).code).to.equal('ECONNRESET')
      const cut = await anOffer('LTN', 'SEN')
      expect((await failure(duffel.orders.create(instant(cut)))).code).to.equal('ECONNRESET')
      for (const offer of [failed, hung, cut]) expect(await ordersOf(offer)).to.have.lengthOf(1)
      const silent = await anOffer('LTN', 'LCY')
      expect((await failure(duffel.orders.create(instant(silent)))).code).to.equal('ECONNRESET')
      expect(await ordersOf(silent)).to.deep.equal([])
      const again = await failure(duffel.orders.create(instant(silent)))
      expect(again.errors?.[0]?.code).to.equal('order_creation_already_attempted')
    })

    it('can accept an order that appears later, with 200 or 202 and no id', async () => {
      for (const [from, status] of [
        ['LTN', 200],
        ['SEN', 202],
      ] as const) {
        const offer = await anOffer(from, 'STN')
        const answer = await duffel.orders.create(instant(offer, { metadata: { booking_id: from } }))
        expect([answer.status, answer.data]).to.deep.equal([status, null])
        await until(async () => (await ordersOf(offer)).length === 1)
        const listed = await duffel.orders.list({ 'passenger_name[]': ['Hopper'] })
        expect(listed.data.filter(({ metadata }) => metadata.booking_id === from)).to.have.lengthOf(1)
      }
    })

    it('can pay a held order later', async () => {
      const { data: held } = await duffel.orders.create(onHold(await anOffer('SEN', 'STN')))
      const payment = { type: 'balance' as const, amount: held.total_amount, currency: held.total_currency }
      const accepted = await duffel.payments.create({ order_id: held.id, payment })
      expect([accepted.status, (accepted.data as { status?: string }).status]).to.deep.equal([202, 'pending'])
      await until(async () => !(await duffel.orders.get(held.id)).data.payment_status.awaiting_payment)
    })

    it('can be slow, and refund in airline credits', async () => {
      await duffel.orders.create(instant(await anOffer('STN', 'SEN')))
      const { data: order } = await duffel.orders.create(instant(await anOffer('LTN', 'SYD')))
      const { data: quote } = await duffel.orderCancellations.create({ order_id: order.id })
      expect(quote.refund_to).to.equal('airline_credits')
      expect(quote.airline_credits[0]?.credit_amount).to.equal(order.total_amount)
    })
  })

  describe('webhooks', () => {
    interface Received {
      body: string
      signature: string
    }

    async function receiver(answer: () => number) {
      const received: Received[] = []
      const server = createServer(async (request, response) => {
        let body = ''
        for await (const chunk of request) body += chunk
        received.push({ body, signature: String(request.headers['x-duffel-signature']) })
        response.writeHead(answer()).end()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const stop = () => {
        server.closeAllConnections()
        server.close()
      }
      return { url: `http://127.0.0.1:${port}/hooks/duffel`, received, stop }
    }

    const verified = ({ body, signature }: Received, secret: string) => {
      const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? []
      expect(Math.abs(Number(t) - Date.now() / 1000)).to.be.lessThan(5)
      expect(createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')).to.equal(v1)
      return JSON.parse(body)
    }

    it('are signed, name the order, and are tried again until taken', async () => {
      const answers = [500, 200]
      const hook = await receiver(() => answers.shift() ?? 200)
      const { data: endpoint } = await duffel.webhooks.create({
        url: hook.url,
        events: ['order.created', 'order.creation_failed'],
      })
      const { data: order } = await duffel.orders.create(instant(await anOffer(), { metadata: { booking_id: 'w1' } }))
      await until(async () => hook.received.length === 2)
      const event = verified(hook.received[1] as Received, endpoint.secret)
      expect(event).to.deep.include({ type: 'order.created', live_mode: false, idempotency_key: order.id })
      expect(event.data.object).to.deep.include({ id: order.id, metadata: { booking_id: 'w1' } })
      expect(JSON.parse((hook.received[0] as Received).body).id).to.equal(event.id)

      const offer = await anOffer('LCY', 'STN')
      expect((await duffel.orders.create(instant(offer))).status).to.equal(202)
      await until(async () => hook.received.length === 3)
      const failed = verified(hook.received[2] as Received, endpoint.secret)
      expect(failed).to.deep.include({ type: 'order.creation_failed', idempotency_key: offer.id })
      expect(await ordersOf(offer)).to.deep.equal([])
      hook.stop()
    })

    it('can be listed, changed, pinged and deleted, one endpoint per address', async () => {
      await restart()
      const hook = await receiver(() => 200)
      const { data: endpoint } = await duffel.webhooks.create({ url: hook.url, events: ['order.created'] })
      const twice = await failure(duffel.webhooks.create({ url: hook.url, events: ['order.created'] }))
      expect(twice.errors?.[0]?.code).to.equal('unsafe_unique')
      const { data: listed } = await duffel.webhooks.list({})
      expect(listed).to.have.lengthOf(1)
      expect(listed[0]).to.not.have.property('secret')
      // The client cannot read an empty 204, as with the real service; the ping is sent all the same.
      await failure(duffel.webhooks.ping(endpoint.id))
      await until(async () => hook.received.length === 1)
      expect(verified(hook.received[0] as Received, endpoint.secret).type).to.equal('ping.triggered')
      await duffel.webhooks.update(endpoint.id, { active: false, events: ['order.created'], url: hook.url })
      await duffel.orders.create(instant(await anOffer()))
      await failure(duffel.webhooks.delete(endpoint.id))
      expect((await duffel.webhooks.list({})).data).to.deep.equal([])
      expect(hook.received).to.have.lengthOf(1)
      hook.stop()
    })

    it('can be set when the stand-in starts', async () => {
      const hook = await receiver(() => 200)
      await restart({ webhooks: [{ url: hook.url, secret: 'known' }] })
      await duffel.orders.create(instant(await anOffer()))
      await until(async () => hook.received.length === 1)
      verified(hook.received[0] as Received, 'known')
      hook.stop()
      await restart()
    })
  })

  describe('the fault script', () => {
    const script = (...rules: unknown[]) => control('POST', 'faults', rules)
    afterEach(() => control('DELETE', 'faults'))

    it('can perform an order and then answer 500, or skip it and answer 502, by metadata', async () => {
      await script(
        {
          operation: 'orders.create',
          match: { metadata: { booking_id: 'a' } },
          effect: 'perform',
          answer: { status: 500 },
        },
        {
          operation: 'orders.create',
          match: { metadata: { booking_id: 'b' } },
          effect: 'skip',
          answer: { status: 502, code: 'order_not_created' },
        },
      )
      const [a, b] = [await anOffer(), await anOffer()]
      const first = await failure(duffel.orders.create(instant(a, { metadata: { booking_id: 'a' } })))
      expect([first.status, first.errors?.[0]?.code]).to.deep.equal([500, 'internal_server_error'])
      const second = await failure(duffel.orders.create(instant(b, { metadata: { booking_id: 'b' } })))
      expect([second.status, second.errors?.[0]?.code]).to.deep.equal([502, 'order_not_created'])
      expect(await ordersOf(a)).to.have.lengthOf(1)
      expect(await ordersOf(b)).to.have.lengthOf(0)
    })

    it('can answer 429 with Retry-After and 503, on any operation', async () => {
      await script(
        { operation: '*', times: 1, effect: 'skip', answer: { status: 429, headers: { 'retry-after': '1' } } },
        { operation: 'offer_requests.create', times: 1, effect: 'skip', answer: { status: 503 } },
      )
      const limited = await failure(search('LHR', 'JFK'))
      expect([limited.status, limited.errors?.[0]?.type, limited.headers?.get('retry-after')]).to.deep.equal([
        429,
        'rate_limit_error',
        '1',
      ])
      expect((await failure(search('LHR', 'JFK'))).errors?.[0]?.code).to.equal('service_unavailable')
      expect((await search('LHR', 'JFK')).id).to.match(/^orq_/)
    })

    it('can cut a payment or a confirmed cancellation of one order after performing it', async () => {
      const { data: held } = await duffel.orders.create(onHold(await anOffer(), { metadata: { booking_id: 'c' } }))
      const rule = { match: { metadata: { booking_id: 'c' } }, times: 1, effect: 'perform', answer: 'reset' }
      await script({ ...rule, operation: 'payments.create' }, { ...rule, operation: 'order_cancellations.confirm' })
      const payment = { type: 'balance' as const, amount: held.total_amount, currency: held.total_currency }
      expect((await failure(duffel.payments.create({ order_id: held.id, payment }))).code).to.equal('ECONNRESET')
      expect((await duffel.orders.get(held.id)).data.payment_status.awaiting_payment).to.equal(false)
      const { data: quote } = await duffel.orderCancellations.create({ order_id: held.id })
      expect((await failure(duffel.orderCancellations.confirm(quote.id))).code).to.equal('ECONNRESET')
      expect((await duffel.orders.get(held.id)).data.cancelled_at).to.be.a('string')
    })

    it('is counted apart from effects, and reset starts afresh with the same ids', async () => {
      await control('POST', 'reset')
      const offer = await anOffer()
      await script({ operation: 'orders.create', times: 1, effect: 'skip', answer: 'reset' })
      await failure(duffel.orders.create(instant(offer)))
      const { data: order } = await duffel.orders.create(instant(offer))
      const { calls, effects } = await control('GET', 'counters')
      expect([calls['orders.create'], effects['orders.create']]).to.deep.equal([2, 1])
      await control('POST', 'reset')
      expect((await control('GET', 'state')).orders).to.deep.equal([])
      const repeated = await anOffer()
      expect(repeated.id).to.equal(offer.id)
      expect((await duffel.orders.create(instant(repeated))).data.booking_reference).to.equal(order.booking_reference)
    })
  })
})

function isDuffelAirways({ owner }: Offer): boolean {
  return owner.iata_code === 'ZZ'
}

const GIVEN_NAMES = ['Grace', 'Ada', 'Katherine', 'Barbara']

function traveller({ id }: OfferPassenger, index: number): CreateOrderPassenger {
  return {
    id,
    title: 'ms',
    gender: 'f',
    given_name: GIVEN_NAMES[index] ?? 'Mary',
    family_name: 'Hopper',
    born_on: '1986-12-09',
    email: 'grace@example.com',
    phone_number: '+442080160509',
  }
}

async function failure(promise: Promise<unknown>): Promise<Failure> {
  try {
    await promise
  } catch (error) {
    return error as Failure
  }
  throw new Error('expected a failure, but the call succeeded')
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 3000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('condition not met within 3 s')
    // Gives the servers in this process a turn.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
