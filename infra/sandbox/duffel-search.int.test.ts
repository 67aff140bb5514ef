/**
 * The Duffel stand-in, driven by the official client: searches and offers, headers and errors.
 */
import { Duffel } from '@duffel/api'
import type { Offer } from '@duffel/api/types'
import { expect } from 'chai'
import {
  DATE,
  type DuffelFixture,
  duffelFixture,
  type Failure,
  failure,
  instant,
  LATER,
  onHold,
} from './duffel-fixture.ts'

describe('The Duffel stand-in, under the official client', () => {
  let sandbox: DuffelFixture
  before(async () => {
    sandbox = await duffelFixture()
  })
  after(() => sandbox.stop())

  describe('a search', () => {
    it('finds believable offers, most of them in dollars, with local times and real places', async () => {
      const request = await sandbox.search('LHR', 'JFK')
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
      const business = (await sandbox.search('LHR', 'JFK', { cabin_class: 'business' })).offers as Offer[]
      expect(business.every((offer) => Number(offer.total_amount) > 900)).to.equal(true)

      const slice = { arrival_time: null, departure_time: null }
      const family = await sandbox.search('LHR', 'JFK', {
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
      const request = await sandbox.search('LHR', 'JFK', { return_offers: false })
      expect(request.offers).to.equal(undefined)
      const listed = await sandbox.duffel.offers.list({ offer_request_id: request.id, sort: 'total_amount', limit: 5 })
      expect(listed.data).to.have.lengthOf(5)
      const prices = listed.data.map(({ total_amount }) => Number(total_amount))
      expect(prices).to.deep.equal(prices.toSorted((a, b) => a - b))
      const all: string[] = []
      for await (const { data } of sandbox.duffel.offers.listWithGenerator({
        offer_request_id: request.id,
        limit: 7,
      } as never))
        all.push((data as unknown as Offer).id)
      expect(new Set(all).size).to.equal(all.length)
      expect(all).to.have.lengthOf(((await sandbox.duffel.offerRequests.get(request.id)).data.offers as Offer[]).length)
    })

    it('repeated finds the same flights and prices, also in another process with the same seed', async () => {
      const summary = async () =>
        ((await sandbox.search('CDG', 'SIN')).offers as Offer[]).map(({ total_amount, slices }) => [
          total_amount,
          slices[0]?.segments.map(
            (s) => `${s.marketing_carrier.iata_code}${s.marketing_carrier_flight_number} ${s.departing_at}`,
          ),
        ])
      const first = await summary()
      expect(await summary()).to.deep.equal(first)
      await sandbox.restart()
      expect(await summary()).to.deep.equal(first)
      await sandbox.restart({ seed: 'another' })
      expect(await summary()).to.not.deep.equal(first)
      await sandbox.restart()
    })

    it('understands city codes', async () => {
      const request = await sandbox.search('LON', 'NYC')
      expect(request.slices[0]?.origin_type).to.equal('city')
      const origins = (request.offers as Offer[]).map(({ slices }) => slices[0]?.origin.iata_code)
      expect(new Set(origins)).to.include.members(['LHR', 'LGW'])
    })

    it('is refused with a pointer to the field that is wrong', async () => {
      const unknown = await failure(sandbox.search('LHR', 'XXX'))
      expect(unknown.status).to.equal(422)
      expect(unknown.errors?.[0]).to.deep.include({
        type: 'validation_error',
        source: { field: 'destination', pointer: '/slices/0/destination' },
      })
      const past = { origin: 'LHR', destination: 'JFK', departure_date: '2020-01-01' }
      expect((await failure(sandbox.search('LHR', 'JFK', { slices: [past] }))).status).to.equal(422)
      expect((await failure(sandbox.search('LHR', 'JFK', { passengers: [] }))).errors?.[0]?.code).to.equal(
        'validation_required',
      )
    })
  })

  describe('an offer', () => {
    it('is read by id, without services for sale', async () => {
      const offer = await sandbox.anOffer()
      const { data } = await sandbox.duffel.offers.get(offer.id, { return_available_services: true })
      expect(data.available_services).to.deep.equal([])
      expect(data.total_amount).to.equal(offer.total_amount)
    })

    it('that has expired is neither read nor ordered', async () => {
      const offer = await sandbox.anOffer()
      await sandbox.control('POST', `offers/${offer.id}/expire`)
      expect((await failure(sandbox.duffel.offers.get(offer.id))).errors?.[0]?.code).to.equal(
        'offer_no_longer_available',
      )
      const refused = await failure(sandbox.duffel.orders.create(instant(offer)))
      expect([refused.status, refused.errors?.[0]?.code]).to.deep.equal([422, 'offer_expired'])
      expect(await sandbox.ordersOf(offer)).to.deep.equal([])
    })

    it('says whether it can be held', async () => {
      const { offers } = await sandbox.search('LHR', 'JFK')
      const requirements = (offers as Offer[]).map(({ payment_requirements }) => payment_requirements)
      expect(requirements.some((r) => r.requires_instant_payment && r.payment_required_by === null)).to.equal(true)
      expect(requirements.some((r) => !r.requires_instant_payment && r.payment_required_by !== null)).to.equal(true)
      const locked = await sandbox.anOffer('LHR', 'JFK', (offer) => offer.payment_requirements.requires_instant_payment)
      const refused = await failure(sandbox.duffel.orders.create(onHold(locked)))
      expect(refused.errors?.[0]?.code).to.equal('not_valid_with_selected_offer')
    })
  })

  describe('headers and errors', () => {
    it('every answer has a request id and rate-limit headers, an error repeats the id', async () => {
      const missing = await failure(sandbox.duffel.orders.get('ord_nothing'))
      expect(missing.status).to.equal(404)
      expect(missing.errors?.[0]).to.include({ type: 'invalid_request_error', code: 'not_found' })
      expect(missing.errors?.[0]).to.have.all.keys('type', 'code', 'title', 'message', 'documentation_url')
      expect(missing.meta?.request_id).to.equal(missing.headers?.get('x-request-id'))
      expect(Number(missing.headers?.get('ratelimit-remaining'))).to.be.greaterThan(0)
      expect(missing.headers?.get('ratelimit-limit')).to.equal('4000')
      expect(Date.parse(missing.headers?.get('ratelimit-reset') ?? '')).to.be.greaterThan(Date.now())
    })

    it('a token that is no test token, and a missing or old version, are refused', async () => {
      const live = new Duffel({ token: 'duffel_live_x', basePath: `${sandbox.running.url}/` })
      const denied = await failure(live.offers.get('off_x'))
      expect([denied.status, denied.errors?.[0]?.code]).to.deep.equal([401, 'access_token_not_found'])
      const get = async (headers: Record<string, string>) => {
        const response = await fetch(`${sandbox.running.url}/air/orders`, { headers })
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
        const response = await fetch(`${sandbox.running.url}/air/orders`, { method: 'POST', headers, body })
        return [response.status, ((await response.json()) as Failure).errors?.[0]?.code]
      }
      expect(await post('{')).to.deep.equal([400, 'bad_request'])
      expect(await post('{}')).to.deep.equal([400, 'missing_data_param'])
      expect(await post('{"data":1}')).to.deep.equal([400, 'invalid_data_param'])
    })
  })
})
