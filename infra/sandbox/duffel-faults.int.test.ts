/**
 * The Duffel stand-in, driven by the official client: what goes wrong when it is asked to: test routes, webhooks, fault scripts.
 *
 * Shown to fail with: a signature without its timestamp.
 */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Offer } from '@duffel/api/types'
import { expect } from 'chai'
import { type DuffelFixture, duffelFixture, failure, instant, onHold, until } from './duffel-fixture.ts'

describe('The Duffel stand-in, under the official client', () => {
  let sandbox: DuffelFixture
  before(async () => {
    sandbox = await duffelFixture()
  })
  after(() => sandbox.stop())

  describe('a test route', () => {
    it('can find nothing, only connections, flights with stops, no bags, or only holdable fares', async () => {
      const offersOf = async (from: string, to: string) => (await sandbox.search(from, to)).offers as Offer[]
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
      const timedOut = await failure(sandbox.search('STN', 'LHR'))
      expect([timedOut.status, timedOut.errors?.[0]?.code]).to.deep.equal([504, 'gateway_timeout_error'])
    })

    it('can lose an offer, or raise its price with every read', async () => {
      const gone = await sandbox.anOffer('LGW', 'LHR')
      expect((await failure(sandbox.duffel.offers.get(gone.id))).errors?.[0]?.code).to.equal(
        'offer_no_longer_available',
      )
      const rising = await sandbox.anOffer('LHR', 'STN')
      const first = (await sandbox.duffel.offers.get(rising.id)).data
      const second = (await sandbox.duffel.offers.get(rising.id)).data
      expect(Number(second.total_amount) - Number(first.total_amount)).to.be.closeTo(10, 0.001)
      const refused = await failure(sandbox.duffel.orders.create(instant(first)))
      expect(refused.errors?.[0]?.code).to.equal('payment_amount_does_not_match_order_amount')
      expect((await sandbox.duffel.orders.create(instant(second))).data.total_amount).to.equal(second.total_amount)
    })

    it('can expire an offer within seconds', async () => {
      await sandbox.restart({ shortOfferTtlSeconds: 0 })
      const refused = await failure(sandbox.duffel.orders.create(instant(await sandbox.anOffer('LGW', 'LCY'))))
      expect(refused.errors?.[0]?.code).to.equal('offer_expired')
      await sandbox.restart()
    })

    for (const [from, to, status, code] of [
      ['LHR', 'LGW', 502, 'airline_unknown'],
      ['LGW', 'STN', 422, 'insufficient_balance'],
      ['LGW', 'LTN', 422, 'price_changed'],
      ['STN', 'LTN', 500, 'internal_server_error'],
      ['STN', 'LCY', 502, 'order_not_created'],
    ] as const) {
      it(`${from} to ${to} answers ${status} ${code} and books nothing`, async () => {
        const offer = await sandbox.anOffer(from, to)
        const refused = await failure(sandbox.duffel.orders.create(instant(offer)))
        expect([refused.status, refused.errors?.[0]?.code]).to.deep.equal([status, code])
        expect(await sandbox.ordersOf(offer)).to.deep.equal([])
      })
    }

    it('can answer 500, hang or cut the connection although it booked', async () => {
      const failed = await sandbox.anOffer('STN', 'LGW')
      expect((await failure(sandbox.duffel.orders.create(instant(failed)))).status).to.equal(500)
      const hung = await sandbox.anOffer('LTN', 'LGW')
      expect((await failure(sandbox.duffel.orders.create(instant(hung)))).code).to.equal('ECONNRESET')
      const cut = await sandbox.anOffer('LTN', 'SEN')
      expect((await failure(sandbox.duffel.orders.create(instant(cut)))).code).to.equal('ECONNRESET')
      for (const offer of [failed, hung, cut]) expect(await sandbox.ordersOf(offer)).to.have.lengthOf(1)
      const silent = await sandbox.anOffer('LTN', 'LCY')
      expect((await failure(sandbox.duffel.orders.create(instant(silent)))).code).to.equal('ECONNRESET')
      expect(await sandbox.ordersOf(silent)).to.deep.equal([])
      const again = await failure(sandbox.duffel.orders.create(instant(silent)))
      expect(again.errors?.[0]?.code).to.equal('order_creation_already_attempted')
    })

    it('can accept an order that appears later, with 200 or 202 and no id', async () => {
      for (const [from, status] of [
        ['LTN', 200],
        ['SEN', 202],
      ] as const) {
        const offer = await sandbox.anOffer(from, 'STN')
        const answer = await sandbox.duffel.orders.create(instant(offer, { metadata: { booking_id: from } }))
        expect([answer.status, answer.data]).to.deep.equal([status, null])
        await until(async () => (await sandbox.ordersOf(offer)).length === 1)
        const listed = await sandbox.duffel.orders.list({ 'passenger_name[]': ['Hopper'] })
        expect(listed.data.filter(({ metadata }) => metadata.booking_id === from)).to.have.lengthOf(1)
      }
    })

    it('can pay a held order later', async () => {
      const { data: held } = await sandbox.duffel.orders.create(onHold(await sandbox.anOffer('SEN', 'STN')))
      const payment = { type: 'balance' as const, amount: held.total_amount, currency: held.total_currency }
      const accepted = await sandbox.duffel.payments.create({ order_id: held.id, payment })
      expect([accepted.status, (accepted.data as { status?: string }).status]).to.deep.equal([202, 'pending'])
      await until(async () => !(await sandbox.duffel.orders.get(held.id)).data.payment_status.awaiting_payment)
    })

    it('can be slow, and refund in airline credits', async () => {
      await sandbox.duffel.orders.create(instant(await sandbox.anOffer('STN', 'SEN')))
      const { data: order } = await sandbox.duffel.orders.create(instant(await sandbox.anOffer('LTN', 'SYD')))
      const { data: quote } = await sandbox.duffel.orderCancellations.create({ order_id: order.id })
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
      const { data: endpoint } = await sandbox.duffel.webhooks.create({
        url: hook.url,
        events: ['order.created', 'order.creation_failed'],
      })
      const { data: order } = await sandbox.duffel.orders.create(
        instant(await sandbox.anOffer(), { metadata: { booking_id: 'w1' } }),
      )
      await until(async () => hook.received.length === 2)
      const event = verified(hook.received[1] as Received, endpoint.secret)
      expect(event).to.deep.include({ type: 'order.created', live_mode: false, idempotency_key: order.id })
      expect(event.data.object).to.deep.include({ id: order.id, metadata: { booking_id: 'w1' } })
      expect(JSON.parse((hook.received[0] as Received).body).id).to.equal(event.id)

      const offer = await sandbox.anOffer('LCY', 'STN')
      expect((await sandbox.duffel.orders.create(instant(offer))).status).to.equal(202)
      await until(async () => hook.received.length === 3)
      const failed = verified(hook.received[2] as Received, endpoint.secret)
      expect(failed).to.deep.include({ type: 'order.creation_failed', idempotency_key: offer.id })
      expect(await sandbox.ordersOf(offer)).to.deep.equal([])
      hook.stop()
    })

    it('can be listed, changed, pinged and deleted, one endpoint per address', async () => {
      await sandbox.restart()
      const hook = await receiver(() => 200)
      const { data: endpoint } = await sandbox.duffel.webhooks.create({ url: hook.url, events: ['order.created'] })
      const twice = await failure(sandbox.duffel.webhooks.create({ url: hook.url, events: ['order.created'] }))
      expect(twice.errors?.[0]?.code).to.equal('unsafe_unique')
      const { data: listed } = await sandbox.duffel.webhooks.list({})
      expect(listed).to.have.lengthOf(1)
      expect(listed[0]).to.not.have.property('secret')
      // The client cannot read an empty 204, as with the real service; the ping is sent all the same.
      await failure(sandbox.duffel.webhooks.ping(endpoint.id))
      await until(async () => hook.received.length === 1)
      expect(verified(hook.received[0] as Received, endpoint.secret).type).to.equal('ping.triggered')
      await sandbox.duffel.webhooks.update(endpoint.id, { active: false, events: ['order.created'], url: hook.url })
      await sandbox.duffel.orders.create(instant(await sandbox.anOffer()))
      await failure(sandbox.duffel.webhooks.delete(endpoint.id))
      expect((await sandbox.duffel.webhooks.list({})).data).to.deep.equal([])
      expect(hook.received).to.have.lengthOf(1)
      hook.stop()
    })

    it('can be set when the stand-in starts', async () => {
      const hook = await receiver(() => 200)
      await sandbox.restart({ webhooks: [{ url: hook.url, secret: 'known' }] })
      await sandbox.duffel.orders.create(instant(await sandbox.anOffer()))
      await until(async () => hook.received.length === 1)
      verified(hook.received[0] as Received, 'known')
      hook.stop()
      await sandbox.restart()
    })
  })

  describe('the fault script', () => {
    const script = (...rules: unknown[]) => sandbox.control('POST', 'faults', rules)
    afterEach(() => sandbox.control('DELETE', 'faults'))

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
      const [a, b] = [await sandbox.anOffer(), await sandbox.anOffer()]
      const first = await failure(sandbox.duffel.orders.create(instant(a, { metadata: { booking_id: 'a' } })))
      expect([first.status, first.errors?.[0]?.code]).to.deep.equal([500, 'internal_server_error'])
      const second = await failure(sandbox.duffel.orders.create(instant(b, { metadata: { booking_id: 'b' } })))
      expect([second.status, second.errors?.[0]?.code]).to.deep.equal([502, 'order_not_created'])
      expect(await sandbox.ordersOf(a)).to.have.lengthOf(1)
      expect(await sandbox.ordersOf(b)).to.have.lengthOf(0)
    })

    it('can answer 429 with Retry-After and 503, on any operation', async () => {
      await script(
        { operation: '*', times: 1, effect: 'skip', answer: { status: 429, headers: { 'retry-after': '1' } } },
        { operation: 'offer_requests.create', times: 1, effect: 'skip', answer: { status: 503 } },
      )
      const limited = await failure(sandbox.search('LHR', 'JFK'))
      expect([limited.status, limited.errors?.[0]?.type, limited.headers?.get('retry-after')]).to.deep.equal([
        429,
        'rate_limit_error',
        '1',
      ])
      expect((await failure(sandbox.search('LHR', 'JFK'))).errors?.[0]?.code).to.equal('service_unavailable')
      expect((await sandbox.search('LHR', 'JFK')).id).to.match(/^orq_/)
    })

    it('can cut a payment or a confirmed cancellation of one order after performing it', async () => {
      const { data: held } = await sandbox.duffel.orders.create(
        onHold(await sandbox.anOffer(), { metadata: { booking_id: 'c' } }),
      )
      const rule = { match: { metadata: { booking_id: 'c' } }, times: 1, effect: 'perform', answer: 'reset' }
      await script({ ...rule, operation: 'payments.create' }, { ...rule, operation: 'order_cancellations.confirm' })
      const payment = { type: 'balance' as const, amount: held.total_amount, currency: held.total_currency }
      expect((await failure(sandbox.duffel.payments.create({ order_id: held.id, payment }))).code).to.equal(
        'ECONNRESET',
      )
      expect((await sandbox.duffel.orders.get(held.id)).data.payment_status.awaiting_payment).to.equal(false)
      const { data: quote } = await sandbox.duffel.orderCancellations.create({ order_id: held.id })
      expect((await failure(sandbox.duffel.orderCancellations.confirm(quote.id))).code).to.equal('ECONNRESET')
      expect((await sandbox.duffel.orders.get(held.id)).data.cancelled_at).to.be.a('string')
    })

    it('is counted apart from effects, and reset starts afresh with the same ids', async () => {
      await sandbox.control('POST', 'reset')
      const offer = await sandbox.anOffer()
      await script({ operation: 'orders.create', times: 1, effect: 'skip', answer: 'reset' })
      await failure(sandbox.duffel.orders.create(instant(offer)))
      const { data: order } = await sandbox.duffel.orders.create(instant(offer))
      const { calls, effects } = await sandbox.control('GET', 'counters')
      expect([calls['orders.create'], effects['orders.create']]).to.deep.equal([2, 1])
      await sandbox.control('POST', 'reset')
      expect((await sandbox.control('GET', 'state')).orders).to.deep.equal([])
      const repeated = await sandbox.anOffer()
      expect(repeated.id).to.equal(offer.id)
      expect((await sandbox.duffel.orders.create(instant(repeated))).data.booking_reference).to.equal(
        order.booking_reference,
      )
    })
  })
})
