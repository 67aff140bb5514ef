/**
 * The Duffel stand-in, driven by the official client: orders, paid and held, cancelled and listed.
 *
 * Shown to fail with: tickets issued for unpaid holds, a refused order that books.
 */
import type { CreateOrder, CreateOrderPassenger, Offer, OfferPassenger } from '@duffel/api/types'
import { expect } from 'chai'
import {
  DATE,
  type DuffelFixture,
  duffelFixture,
  failure,
  instant,
  isDuffelAirways,
  onHold,
  traveller,
} from './duffel-fixture.ts'

describe('The Duffel stand-in, under the official client', () => {
  let sandbox: DuffelFixture
  before(async () => {
    sandbox = await duffelFixture()
  })
  after(() => sandbox.stop())

  describe('an instant order', () => {
    it('is paid and ticketed at once', async () => {
      const offer = await sandbox.anOffer()
      const { data: order } = await sandbox.duffel.orders.create(instant(offer, { metadata: { booking_id: 'bkg_1' } }))
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
      expect((await sandbox.duffel.orders.get(order.id)).data).to.deep.include({ id: order.id, cancelled_at: null })
    })

    it('is made once per offer request', async () => {
      const offer = await sandbox.anOffer()
      await sandbox.duffel.orders.create(instant(offer))
      const again = await failure(sandbox.duffel.orders.create(instant(offer)))
      expect([again.status, again.errors?.[0]?.code]).to.deep.equal([422, 'offer_request_already_booked'])
      expect(again.errors?.[0]?.type).to.equal('invalid_state_error')
    })

    it('is refused for a wrong amount, currency, name, phone number, age or passenger', async () => {
      const offer = await sandbox.anOffer()
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
        const refused = await failure(sandbox.duffel.orders.create(instant(offer, change)))
        expect([refused.status, refused.errors?.[0]?.code], pointer).to.deep.equal([422, code])
        expect(refused.errors?.[0]?.source?.pointer).to.equal(pointer)
      }
      expect(await sandbox.ordersOf(offer)).to.deep.equal([])
      expect((await sandbox.duffel.orders.create(instant(offer))).data.id).to.match(/^ord_/)
    })

    it('ties each infant to one adult and checks ages searched', async () => {
      const request = await sandbox.search('LHR', 'JFK', { passengers: [{ type: 'adult' }, { age: 1 }] })
      const offer = (request.offers as Offer[]).find(isDuffelAirways) as Offer
      const people = offer.passengers.map(traveller)
      const [adult, infant] = people as [CreateOrderPassenger, CreateOrderPassenger]
      infant.born_on = new Date(Date.parse(DATE) - 500 * 86_400_000).toISOString().slice(0, 10)
      const alone = await failure(sandbox.duffel.orders.create(instant(offer, { passengers: people })))
      expect(alone.errors?.[0]?.message).to.contain('infant_passenger_id')
      adult.infant_passenger_id = infant.id
      const { data } = await sandbox.duffel.orders.create(instant(offer, { passengers: people }))
      expect(data.passengers[0]).to.include({ infant_passenger_id: infant.id, type: 'adult' })
      expect(data.documents).to.have.lengthOf(2)
    })
  })

  describe('a held order', () => {
    it('keeps space unticketed until it is paid', async () => {
      const offer = await sandbox.anOffer()
      const { data: held } = await sandbox.duffel.orders.create(onHold(offer))
      expect(held.documents).to.deep.equal([])
      expect(held.payment_status).to.deep.include({ awaiting_payment: true, paid_at: null })
      expect(held.payment_status.payment_required_by).to.equal(offer.payment_requirements.payment_required_by)

      const payment = { type: 'balance' as const, amount: '1.00', currency: held.total_currency }
      const wrong = await failure(sandbox.duffel.payments.create({ order_id: held.id, payment }))
      expect(wrong.errors?.[0]?.code).to.equal('payment_amount_does_not_match_order_amount')
      const paying = { order_id: held.id, payment: { ...payment, amount: held.total_amount } }
      const { data: paid } = await sandbox.duffel.payments.create(paying)
      expect(paid).to.include({ amount: held.total_amount, status: 'succeeded' })
      const { data: order } = await sandbox.duffel.orders.get(held.id)
      expect(order.payment_status.awaiting_payment).to.equal(false)
      expect(order.documents).to.have.lengthOf(1)
      expect((await failure(sandbox.duffel.payments.create(paying))).errors?.[0]?.code).to.equal('already_paid')
    })

    it('cannot be paid after its deadline', async () => {
      let nowMs = Date.now()
      await sandbox.restart({ now: () => nowMs, holdTtlSeconds: 60 })
      const { data: held } = await sandbox.duffel.orders.create(onHold(await sandbox.anOffer()))
      nowMs += 60_000
      const payment = { type: 'balance' as const, amount: held.total_amount, currency: held.total_currency }
      const late = await failure(sandbox.duffel.payments.create({ order_id: held.id, payment }))
      expect(late.errors?.[0]?.code).to.equal('past_payment_required_by_date')
      await sandbox.restart()
    })

    it('takes no payments when it is made', async () => {
      const offer = await sandbox.anOffer()
      const refused = await failure(sandbox.duffel.orders.create({ ...instant(offer), type: 'pay_later' }))
      expect(refused.errors?.[0]?.code).to.equal('payments_not_allowed_for_order_type')
    })
  })

  describe('a cancellation', () => {
    it('is quoted by the fare conditions and confirmed once', async () => {
      const offer = await sandbox.anOffer(
        'LHR',
        'JFK',
        (o) => isDuffelAirways(o) && o.slices[0]?.fare_brand_name === 'Standard',
      )
      const { data: order } = await sandbox.duffel.orders.create(instant(offer))
      const { data: quote } = await sandbox.duffel.orderCancellations.create({ order_id: order.id })
      expect(quote).to.deep.include({ order_id: order.id, refund_to: 'balance', confirmed_at: null })
      const penalty = Number(offer.conditions.refund_before_departure?.penalty_amount)
      expect(Number(quote.refund_amount)).to.be.closeTo(Number(order.total_amount) - penalty, 0.001)
      expect((await sandbox.duffel.orders.get(order.id)).data.cancelled_at).to.equal(null)

      const { data: done } = await sandbox.duffel.orderCancellations.confirm(quote.id)
      expect(done.confirmed_at).to.be.a('string')
      const { data: cancelled } = await sandbox.duffel.orders.get(order.id)
      expect(cancelled.cancelled_at).to.be.a('string')
      expect(cancelled.available_actions).to.deep.equal(['update'])
      expect(cancelled.cancellation?.id).to.equal(quote.id)
      expect((await sandbox.duffel.orderCancellations.get(quote.id)).data.confirmed_at).to.equal(done.confirmed_at)
      const again = await failure(sandbox.duffel.orderCancellations.confirm(quote.id))
      expect([again.status, again.errors?.[0]?.code]).to.deep.equal([422, 'already_cancelled'])
      const another = await failure(sandbox.duffel.orderCancellations.create({ order_id: order.id }))
      expect(another.errors?.[0]?.code).to.equal('already_cancelled')
    })

    it('confirms only the latest quote', async () => {
      const { data: order } = await sandbox.duffel.orders.create(instant(await sandbox.anOffer()))
      const { data: first } = await sandbox.duffel.orderCancellations.create({ order_id: order.id })
      const { data: second } = await sandbox.duffel.orderCancellations.create({ order_id: order.id })
      expect((await failure(sandbox.duffel.orderCancellations.confirm(first.id))).status).to.equal(422)
      await sandbox.duffel.orderCancellations.confirm(second.id)
    })

    it('of an unpaid hold returns nothing', async () => {
      const { data: order } = await sandbox.duffel.orders.create(onHold(await sandbox.anOffer()))
      const { data: quote } = await sandbox.duffel.orderCancellations.create({ order_id: order.id })
      expect(quote).to.include({ refund_amount: '0.00', refund_to: 'awaiting_payment' })
    })
  })

  describe('the list of orders', () => {
    it('finds an order by passenger name and metadata, reference, offer and payment state, in pages', async () => {
      await sandbox.restart()
      const made: string[] = []
      for (let index = 0; index < 3; index += 1) {
        const offer = await sandbox.anOffer()
        const passengers = offer.passengers.map((passenger) => ({
          ...traveller(passenger, 0),
          family_name: 'Lovelace',
        }))
        const create = index === 0 ? onHold : instant
        const { data } = await sandbox.duffel.orders.create(
          create(offer, { passengers, metadata: { booking_id: `bkg_${index}` } }),
        )
        made.push(data.id)
      }
      const other = await sandbox.duffel.orders.create(instant(await sandbox.anOffer()))
      const named = await sandbox.duffel.orders.list({ 'passenger_name[]': ['lovel'], limit: 2 })
      expect(named.data.map(({ id }) => id)).to.deep.equal([made[2], made[1]])
      expect(named.meta?.after).to.be.a('string')
      const next = await sandbox.duffel.orders.list({
        'passenger_name[]': ['lovel'],
        limit: 2,
        after: named.meta?.after ?? '',
      })
      expect(next.data.map(({ metadata }) => metadata.booking_id)).to.deep.equal(['bkg_0'])
      expect(next.meta?.after).to.equal(null)
      const back = await sandbox.duffel.orders.list({
        'passenger_name[]': ['lovel'],
        limit: 2,
        before: next.meta?.before ?? '',
      })
      expect(back.data.map(({ id }) => id)).to.deep.equal([made[2], made[1]])
      const byReference = await sandbox.duffel.orders.list({ booking_reference: other.data.booking_reference })
      expect(byReference.data.map(({ id }) => id)).to.deep.equal([other.data.id])
      expect((await sandbox.duffel.orders.list({ awaiting_payment: true })).data.map(({ id }) => id)).to.deep.equal([
        made[0],
      ])
      expect((await sandbox.duffel.orders.list({ 'passenger_name[]': ['nobody'] })).data).to.deep.equal([])
      // Not through the client, which sends `{data: {options: …}}`; that is refused, as nothing would be changed.
      const headers = { authorization: 'Bearer duffel_test_x', 'duffel-version': 'v2' }
      const body = JSON.stringify({ data: { metadata: { booking_id: 'new' } } })
      const changed = await fetch(`${sandbox.running.url}/air/orders/${made[0]}`, { method: 'PATCH', headers, body })
      expect(changed.status).to.equal(200)
      expect((await sandbox.duffel.orders.get(made[0] ?? '')).data.metadata).to.deep.equal({ booking_id: 'new' })
      expect((await failure(sandbox.duffel.orders.update(made[0] ?? '', { metadata: {} }))).status).to.equal(422)
    })
  })
})
