/**
 * `X-Mock-Error`, the table of the loyalty contract's section 6, and that it is inert without TEST_MODE.
 *
 * Seen failing: with the value forwarded although TEST_MODE is off; with `api-timeout` sent along with the balance read.
 */
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { type StartedProcess, startProcess } from '@portolan/infra/testing/start-process.ts'
import { expect } from 'chai'
import { expectProblem, request } from './loyalty-client.ts'
import { bookingRequest, createMember, departureDate, type Member } from './member.ts'
import { type System, startSystem, teahouse } from './system.ts'

const opening = 400_000
const values = ['insufficient-balance', 'auth-failed', 'api-timeout', 'approval-required', 'invalid-member', 'true']

describe('X-Mock-Error', function () {
  this.timeout(60_000)
  let system: System
  let member: Member
  before(async function () {
    this.timeout(120_000)
    system = await startSystem()
  })
  after(() => system?.stop())
  beforeEach(async () => {
    member = await system.newMember({ balance: opening })
  })

  const mock = (value: string) => ({ 'X-Mock-Error': value })
  const command = () => system.commandApis[0]?.url ?? ''
  const query = () => system.queryApis[0]?.url ?? ''
  const book = async (value: string) =>
    request(command(), member, '/api/v1/bookings', {
      body: bookingRequest(await member.findFlight()),
      headers: mock(value),
    })
  const search = { origin: 'JFK', destination: 'LAX', departure_date: departureDate(), passengers: { adults: 1 } }
  const count = async () => (await member.list('?limit=100')).body.data.pagination.total
  const reaches = (bookingId: string, status: string) =>
    eventually(async () => expect((await member.get(bookingId)).body.data?.status).to.equal(status), {
      withinMs: 25_000,
    })

  const unauthorized = { status: 401, type: 'unauthorized', title: 'Unauthorized' }
  const unknownMember = { status: 404, type: 'not-found', title: 'Member Not Found' }

  describe('on create', () => {
    it('insufficient-balance goes with the deduction: 403, and the booking has failed', async () => {
      const answer = await book('insufficient-balance')
      const { booking_id, balance } = answer.body.error
      expect(balance.available, 'what the partner makes up').to.equal(1000)
      expectProblem(answer, {
        status: 403,
        type: 'insufficient-balance',
        title: 'Insufficient Balance',
        extra: { balance, booking_id },
      })
      await reaches(booking_id, 'failed')
      expect(await system.coffeechain.balance(member.memberId)).to.equal(opening)
    })

    it('approval-required goes with the approval check: 201, pending approval with the documented reason', async () => {
      const answer = await book('approval-required')
      expect(answer.status).to.equal(201)
      expect(answer.body.data).to.include({
        status: 'pending_approval',
        approval_required: true,
        approval_reason: 'Booking exceeds 50,000 stars limit',
        estimated_approval_time: 'PT24H',
      })
      expect((await member.cancel(answer.body.data.booking_id)).status).to.equal(200)
    })

    it('auth-failed is 401, and no booking', async () => {
      const answer = await book('auth-failed')
      expectProblem(answer, unauthorized)
      expect(answer.headers.get('www-authenticate')).to.be.a('string')
      expect(await count()).to.equal(0)
    })

    it('invalid-member is 404, and no booking', async () => {
      expectProblem(await book('invalid-member'), unknownMember)
      expect(await count()).to.equal(0)
    })

    it('true is 502, and no booking', async () => {
      expectProblem(await book('true'), { status: 502, type: 'partner-unavailable', title: 'Partner Unavailable' })
      expect(await count()).to.equal(0)
    })

    it('api-timeout goes with the deduction: 504, not confirmed, and later reconciled', async () => {
      const before = (await system.coffeechain.counters()).effects.deduct ?? 0
      const answer = await book('api-timeout')
      const { booking_id } = answer.body.error
      expectProblem(answer, { status: 504, type: 'partner-timeout', title: 'Partner Timeout', extra: { booking_id } })
      expect((await member.get(booking_id)).body.data).to.include({
        status: 'pending',
        status_detail: 'outcome_unknown',
      })
      await reaches(booking_id, 'confirmed')
      expect((await system.coffeechain.counters()).effects.deduct, 'deducted once').to.equal(before + 1)
    })

    it('any other value means nothing', async () => {
      for (const value of ['TRUE', 'nothing', '']) expect((await book(value)).status, value).to.equal(201)
    })
  })

  describe('where a route calls no partner', () => {
    const calls: [string, (value: string) => ReturnType<typeof request>][] = [
      [
        'search',
        (value) => request(command(), member, '/api/v1/flights/search', { body: search, headers: mock(value) }),
      ],
      ['list', (value) => request(query(), member, '/api/v1/bookings', { headers: mock(value) })],
    ]
    for (const [route, call] of calls) {
      it(`auth-failed is 401 and invalid-member 404 on ${route}, and the others mean nothing`, async () => {
        expectProblem(await call('auth-failed'), unauthorized)
        expectProblem(await call('invalid-member'), unknownMember)
        for (const value of ['insufficient-balance', 'api-timeout', 'approval-required', 'true'])
          expect((await call(value)).status, value).to.equal(200)
      })
    }
  })

  describe('with a confirmed booking', () => {
    it('auth-failed, invalid-member and true are answered on cancel, and the booking stands', async () => {
      const bookingId = (await member.book(await member.findFlight())).body.data.booking_id
      const ask = (value: string) => member.cancel(bookingId, {}, mock(value))
      expectProblem(await ask('auth-failed'), unauthorized)
      expectProblem(await ask('invalid-member'), unknownMember)
      expectProblem(await ask('true'), { status: 502, type: 'partner-unavailable', title: 'Partner Unavailable' })
      const read = (value: string) => member.get(bookingId, mock(value))
      expectProblem(await read('auth-failed'), unauthorized)
      expectProblem(await read('invalid-member'), unknownMember)
      expect((await read('true')).body.data.status).to.equal('confirmed')
      const cancelled = await ask('insufficient-balance')
      expect(cancelled.body.data.refund.status, 'a value of other calls').to.equal('processed')
    })
  })

  describe('without TEST_MODE', () => {
    let production: Member
    const started: StartedProcess[] = []
    before(async () => {
      const start = (entry: string, env: Record<string, string>) =>
        startProcess({ entry, env: { ...env, TEST_MODE: 'false' } })
      started.push(await start('command-api/src/main.ts', system.envOf.commandApi))
      started.push(await start('query-api/src/main.ts', system.envOf.queryApi))
      const { memberId } = await system.newMember({ balance: 5_000_000 })
      production = createMember({
        commandApis: started.slice(0, 1),
        queryApis: started.slice(1),
        tenant: teahouse,
        memberId,
      })
    })
    after(() => Promise.all(started.map((process) => process.stop())))

    it('every value means nothing on every route', async () => {
      for (const value of values) {
        const flight = await production.findFlight({ headers: mock(value) })
        const booked = await production.book(flight, mock(value))
        expect(booked.status, `${value}: ${JSON.stringify(booked.body)}`).to.equal(201)
        expect(booked.body.data.status, value).to.equal('confirmed')
        const { booking_id } = booked.body.data
        expect((await production.get(booking_id, mock(value))).status, value).to.equal(200)
        expect((await production.list('', mock(value))).status, value).to.equal(200)
        expect((await production.cancel(booking_id, {}, mock(value))).status, value).to.equal(200)
      }
    })
  })
})
