/**
 * Creating, reading and listing bookings, line by line of the loyalty contract's sections 3.2 to 3.4: bodies, refusals, what each answer of
 * the partner and the supplier becomes, and how long a client waits.
 *
 * Seen failing: with the payment not compared with the stored price; with the balance not asked for before the approval; with `pending` listing
 * only what is under way.
 */
import { randomUUID } from 'node:crypto'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { bookingDetailSchema, bookingListSchema, confirmedBookingSchema } from '@portolan/schemas/bookings/views.ts'
import { expect } from 'chai'
import pg from 'pg'
import { expectProblem, rateLimitOf, request } from './loyalty-client.ts'
import { bookingRequest, type FlightChoice, type Member } from './member.ts'
import type { FaultRule } from './sandbox-control.ts'
import { type System, startSystem } from './system.ts'

const path = '/api/v1/bookings'
const adult = bookingRequest({ flightId: '', amount: 1, currency: '' }).passengers[0]

describe('bookings of a member', function () {
  this.timeout(60_000)
  let system: System
  let member: Member
  let commandApi: string
  let queryApi: string
  before(async function () {
    this.timeout(120_000)
    system = await startSystem({ env: { POLL_EVERY_MS: '300' }, sandboxEnv: { SANDBOX_ASYNC_DELAY_SECONDS: '3' } })
    member = await system.newMember({ balance: 5_000_000 })
    commandApi = system.commandApis[0]?.url ?? ''
    queryApi = system.queryApis[0]?.url ?? ''
  })
  after(() => system?.stop())
  beforeEach(async () => {
    await system.coffeechain.clearFaults()
    await system.duffel.clearFaults()
  })

  const create = (body: unknown, headers: Record<string, string | null> = {}, who = member) =>
    request(commandApi, who, path, { method: 'POST', body, headers })
  const created = async (who: Member, flight?: FlightChoice) => {
    const answer = await who.book(flight ?? (await who.findFlight()))
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201)
    return answer
  }
  const reaches = (who: Member, bookingId: string, status: string) =>
    eventually(
      async () => {
        const { body } = await who.get(bookingId)
        expect(body.data?.status, JSON.stringify(body)).to.equal(status)
        return body.data
      },
      { withinMs: 25_000, everyMs: 100 },
    )

  describe('that is confirmed', () => {
    let flight: FlightChoice
    let answer: Awaited<ReturnType<Member['book']>>
    before(async () => {
      flight = await member.findFlight()
      answer = await created(member, flight)
    })

    it('is answered 201 with the documented body, where it is, and the limit', () => {
      const { data } = confirmedBookingSchema.parse(answer.body)
      expect(Object.keys(answer.body)).to.deep.equal(['data'])
      expect(Object.keys(data)).to.have.members([
        ...['booking_id', 'status', 'tenant_id', 'member_id', 'flight', 'passengers', 'payment', 'created_at'],
        'expires_at',
      ])
      expect(data).to.include({
        status: 'confirmed',
        tenant_id: 'teahouse',
        member_id: member.memberId,
        expires_at: null,
      })
      expect(data.booking_id).to.match(/^bkg_[0-9a-f]{24}$/)
      expect(Object.keys(data.flight)).to.have.members(['id', 'flight_number', 'departure', 'arrival'])
      expect(data.flight.id).to.equal(flight.flightId)
      expect(data.passengers).to.deep.equal([
        { name: 'John Doe', ticket_number: data.passengers[0]?.ticket_number as string },
      ])
      expect(data.passengers[0]?.ticket_number).to.match(/^\d{13}$/)
      expect(data.payment).to.deep.equal({
        loyalty_amount: flight.amount,
        loyalty_currency: 'stars',
        usd_equivalent: flight.amount,
      })
      expect(answer.headers.get('location')).to.equal(`${path}/${data.booking_id}`)
      expect(answer.token).to.be.a('string')
      rateLimitOf(answer)
    })

    it('is read with everything that GET adds, the seat among it', async () => {
      const read = await request(queryApi, member, `${path}/${answer.body.data.booking_id}`)
      expect(read.status).to.equal(200)
      rateLimitOf(read)
      const { data } = bookingDetailSchema.parse(read.body)
      expect(Object.keys(data)).to.have.members([
        ...['booking_id', 'status', 'tenant_id', 'member_id', 'flight', 'passengers', 'payment', 'created_at'],
        'updated_at',
      ])
      const { flight: shown } = answer.body.data
      expect(Object.keys(data.flight)).to.have.members(['id', 'airline', 'flight_number', 'departure', 'arrival'])
      expect(data.flight.departure.time).to.equal(shown.departure)
      expect(data.flight.arrival.time).to.equal(shown.arrival)
      expect(data.flight.departure).to.include({ airport: 'JFK', time_zone: 'America/New_York' })
      expect(data.flight.departure).to.have.property('terminal')
      expect(Object.keys(data.passengers[0] ?? {})).to.have.members(['name', 'ticket_number', 'seat'])
      expect(data.passengers[0]).to.include({ name: 'John Doe' })
      expect(data.payment).to.deep.equal({ ...answer.body.data.payment, cashback: null })
      expect(data.created_at).to.equal(answer.body.data.created_at)
      expect(Date.parse(data.updated_at)).to.be.at.least(Date.parse(data.created_at))
    })

    it('cannot be made a second time from the same offer', async () => {
      expectProblem(await create(bookingRequest(flight)), {
        status: 409,
        type: 'conflict',
        title: 'Conflict',
        detail: `Flight with ID '${flight.flightId}' has already been booked`,
        instance: path,
        extra: { booking_id: answer.body.data.booking_id },
      })
    })
  })

  it('of several passengers tells the supplier who travels on whose lap', async () => {
    const passengers = [
      { ...adult, type: 'infant', title: 'Miss', first_name: 'Ann', date_of_birth: bornYearsAgo(1), email: undefined },
      { ...adult, first_name: 'Jane', title: 'Dr', gender: 'f' },
      { ...adult, type: 'child', first_name: 'Tom', date_of_birth: bornYearsAgo(8), phone: undefined },
    ]
    const flight = await member.findFlight({ passengers: { adults: 1, children: 1, infants: 1 }, maxAmount: 400_000 })
    const answer = await create({ ...bookingRequest(flight), passengers }, { 'X-Mock-Error': null })
    if (answer.body.data.status === 'pending_approval') throw new Error('choose a cheaper route for this test')
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201)
    expect(answer.body.data.passengers.map(({ name }: { name: string }) => name)).to.deep.equal([
      'Ann Doe',
      'Jane Doe',
      'Tom Doe',
    ])
    const order = await orderOf(system, answer.body.data.booking_id)
    const [ann, jane, tom] = ['Ann', 'Jane', 'Tom'].map((name) =>
      order.passengers.find(({ given_name }) => given_name === name),
    )
    expect(jane).to.include({ title: 'dr', gender: 'f', infant_passenger_id: ann?.id, phone_number: '+15551234567' })
    expect(tom).to.include({ infant_passenger_id: null, email: 'john.doe@email.com', phone_number: '+15551234567' })
  })

  it('made from one offer by two requests at once exists once', async () => {
    const flight = await member.findFlight()
    const answers = await Promise.all([member.book(flight), member.book(flight)])
    expect(answers.map(({ status }) => status).toSorted()).to.deep.equal([201, 409])
  })

  describe('is refused with 400', () => {
    let flight: FlightChoice
    before(async () => {
      flight = await member.findFlight({ passengers: { adults: 2 } })
    })
    const jane = { ...adult, title: 'Ms', first_name: 'Jane' }
    type Change = (body: ReturnType<typeof bookingRequest>) => unknown
    const with1 =
      (changes: Record<string, unknown>): Change =>
      (body) => ({ ...body, passengers: [{ ...adult, ...changes }, jane] })
    const paying =
      (changes: Record<string, unknown>): Change =>
      (body) => ({
        ...body,
        payment: { ...body.payment, ...changes },
      })
    const cases: [string, Change, string, string | RegExp][] = [
      [
        'an amount below the price',
        paying({ amount: 1 }),
        'payment.amount',
        /^Must equal the price of the flight, \d+$/,
      ],
      [
        'an amount above the price',
        paying({ amount: 9_999_999 }),
        'payment.amount',
        /^Must equal the price of the flight/,
      ],
      ['another currency', paying({ currency: 'points' }), 'payment.currency', 'Must be stars'],
      ['another method', paying({ method: 'card' }), 'payment.method', 'Must be loyalty_points'],
      ['an amount as text', paying({ amount: '100' }), 'payment.amount', 'Must be a number'],
      ['an amount of nothing', paying({ amount: 0 }), 'payment.amount', 'Must be more than 0'],
      [
        'one passenger too few',
        (body) => ({ ...body, passengers: [adult] }),
        'passengers',
        /^Must match the search: 2 adult/,
      ],
      [
        'a passenger of another type',
        with1({ type: 'child', date_of_birth: bornYearsAgo(8) }),
        'passengers',
        /^Must match the search/,
      ],
      ['no passengers', (body) => ({ ...body, passengers: [] }), 'passengers', 'Must not be empty'],
      ['Dr without a gender', with1({ title: 'Dr' }), 'passengers.0.gender', 'Is required when the title is Dr'],
      ['an unknown title', with1({ title: 'Sir' }), 'passengers.0.title', 'Must be one of Mr, Ms, Mrs, Miss, Dr'],
      ['an unknown type', with1({ type: 'senior' }), 'passengers.0.type', 'Must be one of adult, child, infant'],
      ['an impossible phone', with1({ phone: '12345' }), 'passengers.0.phone', 'Must be a possible phone number'],
      ['an e-mail that is none', with1({ email: 'nobody' }), 'passengers.0.email', 'Must be an e-mail address'],
      ['a blank name', with1({ last_name: '  ' }), 'passengers.0.last_name', 'Must not be empty'],
      [
        'a birthday that does not exist',
        with1({ date_of_birth: '1985-02-30' }),
        'passengers.0.date_of_birth',
        'Must be a valid date',
      ],
      [
        'a child as adult',
        with1({ date_of_birth: bornYearsAgo(8) }),
        'passengers.0.date_of_birth',
        /at least 12 years/,
      ],
      [
        'a flight id with a zero character',
        (body) => ({ ...body, flight_id: 'flt_\0' }),
        'flight_id',
        /printable ASCII/,
      ],
      ['no contact', (body) => ({ ...body, contact: undefined }), 'contact', 'Is required'],
      [
        'a contact with an impossible phone',
        (body) => ({ ...body, contact: { ...body.contact, phone: '+1 555' } }),
        'contact.phone',
        'Must be a possible phone number',
      ],
    ]
    for (const [what, change, field, message] of cases) {
      it(what, async () => {
        const body = { ...bookingRequest(flight), passengers: [adult, jane] }
        const answer = await create(change(body as ReturnType<typeof bookingRequest>))
        const [first] = answer.body.error?.errors ?? []
        expect(first?.field, JSON.stringify(answer.body)).to.equal(field)
        if (typeof message === 'string') expect(first.message).to.equal(message)
        else expect(first.message).to.match(message)
        expectProblem(answer, {
          status: 400,
          type: 'validation-error',
          title: 'Validation Error',
          detail: `${field}: ${first.message}`,
          instance: path,
          extra: { errors: answer.body.error.errors },
        })
      })
    }

    it('an Idempotency-Key that is not printable', async () => {
      const answer = await create(bookingRequest(flight), { 'Idempotency-Key': 'two words' })
      expect(answer.status).to.equal(400)
      expect(answer.body.error.errors[0].field).to.equal('Idempotency-Key')
    })

    it('and was never asked of the partner', async () => {
      const before = (await system.coffeechain.counters()).calls
      await create(paying({ amount: 1 })(bookingRequest(flight)))
      expect((await system.coffeechain.counters()).calls).to.deep.equal(before)
    })
  })

  describe('is refused with 404', () => {
    const flightNotFound = (flightId: string) => ({
      status: 404,
      type: 'not-found',
      title: 'Flight Not Found',
      detail: `Flight with ID '${flightId}' not found or no longer available`,
      instance: path,
    })

    it('a flight nobody ever found', async () => {
      const answer = await create(bookingRequest({ flightId: 'flt_abc123', amount: 35_000, currency: 'stars' }))
      expectProblem(answer, flightNotFound('flt_abc123'))
    })

    it('a flight whose offer has expired', async () => {
      const flight = await member.findFlight()
      await onWrite(system, `update offers set expires_at = now() - interval '1 second' where flight_id = $1`, [
        flight.flightId,
      ])
      expectProblem(await create(bookingRequest(flight)), flightNotFound(flight.flightId))
    })

    it('another member’s flight', async () => {
      const flight = await member.findFlight()
      const other = await system.newMember({ balance: 400_000 })
      expectProblem(await create(bookingRequest(flight), {}, other), flightNotFound(flight.flightId))
      expect((await member.book(flight)).status, 'and it is still there for its member').to.equal(201)
    })

    it('a member whom the partner does not know', async () => {
      const stranger = await system.newMember({ balance: 0 })
      const unknown = { ...stranger, headers: { ...stranger.headers, 'X-CC-Member-ID': 'TH0000404' } }
      const found = await request(commandApi, unknown, '/api/v1/flights/search', {
        body: { origin: 'JFK', destination: 'LAX', departure_date: bornYearsAgo(-1), passengers: { adults: 1 } },
      })
      const { id, price } = found.body.data.flights[0]
      const flight = { flightId: id, amount: price.loyalty_amount, currency: 'stars' }
      expectProblem(await create(bookingRequest(flight), {}, unknown), {
        status: 404,
        type: 'not-found',
        title: 'Member Not Found',
        instance: path,
      })
    })
  })

  describe('is refused for lack of balance', () => {
    it('with 403 and the balance, before anything exists, and before the approval is asked about', async () => {
      const poor = await system.newMember({ balance: 49_999 })
      const flight = await poor.findFlight({ cabinClass: 'business', minAmount: 50_001, maxAmount: 9_000_000 })
      expectProblem(await create(bookingRequest(flight), {}, poor), {
        status: 403,
        type: 'insufficient-balance',
        title: 'Insufficient Balance',
        detail: `Member has an insufficient balance. Required: ${flight.amount}, Available: 49999`,
        instance: path,
        extra: { balance: { required: flight.amount, available: 49_999, currency: 'stars' } },
      })
      expect((await poor.list()).body.data.pagination.total).to.equal(0)
    })

    it('but not when the balance is exactly the price', async () => {
      const exact = await system.newMember({ balance: 0 })
      const flight = await exact.findFlight()
      await system.coffeechain.addMember(exact.memberId, flight.amount)
      await created(exact, flight)
      expect(await system.coffeechain.balance(exact.memberId)).to.equal(0)
    })

    it('by the deduction itself: 403 with the booking, which has failed', async () => {
      const flight = await member.findFlight()
      const detail = {
        error: 'insufficient_balance',
        message: 'x',
        current_balance: 7,
        requested_amount: flight.amount,
      }
      await system.coffeechain.setFaults([
        { operation: 'deduct', times: 1, effect: 'skip', answer: { status: 400, body: { detail } } },
      ])
      const answer = await create(bookingRequest(flight))
      const bookingId = answer.body.error.booking_id
      expectProblem(answer, {
        status: 403,
        type: 'insufficient-balance',
        title: 'Insufficient Balance',
        detail: `Member has an insufficient balance. Required: ${flight.amount}, Available: 7`,
        extra: { balance: { required: flight.amount, available: 7, currency: 'stars' }, booking_id: bookingId },
      })
      expect(answer.token, 'also a refusal can be read back').to.be.a('string')
      expect((await reaches(member, bookingId, 'failed')).passengers[0].ticket_number).to.equal(null)
    })
  })

  describe('when the partner fails', () => {
    const refusal = (status: number, error: string) => ({ status, body: { detail: { error, message: 'x' } } })
    const answers: [string, Omit<FaultRule, 'operation' | 'times'>, number, string, string][] = [
      [
        'refuses our key',
        { effect: 'skip', answer: refusal(401, 'unauthorized') },
        401,
        'unauthorized',
        'Unauthorized',
      ],
      [
        'forgot the member',
        { effect: 'skip', answer: refusal(404, 'member_not_found') },
        404,
        'not-found',
        'Member Not Found',
      ],
      ['answers 500', { effect: 'skip', answer: { status: 500 } }, 502, 'partner-unavailable', 'Partner Unavailable'],
      [
        'answers nonsense',
        { effect: 'skip', answer: { status: 200, body: 'hello' } },
        502,
        'partner-unavailable',
        'Partner Unavailable',
      ],
      ['cuts the connection', { effect: 'skip', answer: 'reset' }, 502, 'partner-unavailable', 'Partner Unavailable'],
      ['is silent', { effect: 'perform', answer: 'hang' }, 504, 'partner-timeout', 'Partner Timeout'],
    ]
    for (const [what, fault, status, type, title] of answers) {
      it(`asked for the balance, and ${what}: ${status}, no booking`, async () => {
        const fresh = await system.newMember({ balance: 400_000 })
        const flight = await fresh.findFlight()
        await system.coffeechain.setFaults([
          { ...fault, operation: 'balance', match: { memberId: fresh.memberId }, times: 1 },
        ])
        const answer = await create(bookingRequest(flight), {}, fresh)
        expectProblem(answer, { status, type, title, instance: path })
        if (status === 401) {
          expect(answer.headers.get('www-authenticate')).to.be.a('string')
          expect(answer.body.error.detail).to.equal('Invalid or expired authentication credentials')
        }
        expect((await fresh.list('?status=failed')).body.data.pagination.total).to.equal(0)
        await created(fresh, flight)
      })
    }

    for (const [what, answer, status] of [
      ['answers 500', { status: 500 }, 502],
      ['is silent', 'hang', 504],
    ] as const) {
      it(`asked whether an approval is needed, and ${what}: ${status}, no booking`, async () => {
        const flight = await member.findFlight()
        const before = (await member.list()).body.data.pagination.total
        await system.coffeechain.setFaults([{ operation: 'approval', times: 1, effect: 'skip', answer }])
        expect((await create(bookingRequest(flight))).status).to.equal(status)
        expect((await member.list()).body.data.pagination.total).to.equal(before)
      })
    }

    for (const [what, answer, status, type, title] of [
      ['refuses our key', refusal(401, 'unauthorized'), 401, 'unauthorized', 'Unauthorized'],
      ['forgot the member', refusal(404, 'member_not_found'), 404, 'not-found', 'Member Not Found'],
    ] as const) {
      it(`asked to deduct, and ${what}: ${status} with the booking, which fails`, async () => {
        await system.coffeechain.setFaults([{ operation: 'deduct', times: 1, effect: 'skip', answer }])
        const refused = await create(bookingRequest(await member.findFlight()))
        const bookingId = refused.body.error.booking_id
        expectProblem(refused, { status, type, title, extra: { booking_id: bookingId } })
        await reaches(member, bookingId, 'failed')
      })
    }

    it('asked to deduct, and cannot be reached for a moment: the deduction is made once it can', async () => {
      await system.coffeechain.setFaults([{ operation: 'deduct', times: 1, effect: 'skip', answer: { status: 503 } }])
      await created(member)
    })
  })

  describe('when the supplier fails', () => {
    const bookFrom = async (origin: string, destination: string, headers: Record<string, string> = {}) => {
      const flight = await member.findFlight({ origin, destination })
      return create(bookingRequest(flight), headers)
    }

    it('because the price has changed: 409, and the booking is taken back', async () => {
      const answer = await bookFrom('LGW', 'LTN')
      expectProblem(answer, {
        status: 409,
        type: 'conflict',
        title: 'Conflict',
        detail: 'The flight is no longer available at this price',
        extra: { booking_id: answer.body.error.booking_id },
      })
      await reaches(member, answer.body.error.booking_id, 'failed')
    })

    it('and guarantees that no order was made: 502, and the booking fails', async () => {
      const answer = await bookFrom('STN', 'LCY')
      const { booking_id } = answer.body.error
      expectProblem(answer, {
        status: 502,
        type: 'partner-unavailable',
        title: 'Partner Unavailable',
        extra: { booking_id },
      })
      await reaches(member, booking_id, 'failed')
    })

    it('or takes its time (202): pending with a reason, then confirmed', async () => {
      const answer = await bookFrom('SEN', 'STN', { Prefer: 'wait=2' })
      expect(answer.status, JSON.stringify(answer.body)).to.equal(202)
      const { booking_id } = answer.body.data
      expect(answer.body).to.deep.equal({
        data: {
          booking_id,
          status: 'pending',
          status_detail: 'awaiting_supplier',
          tenant_id: 'teahouse',
          member_id: member.memberId,
        },
      })
      expect(answer.headers.get('location')).to.equal(`${path}/${booking_id}`)
      const detail = await member.get(booking_id)
      expect(detail.body.data).to.include({ status: 'pending', status_detail: 'awaiting_supplier' })
      const confirmed = await reaches(member, booking_id, 'confirmed')
      expect(confirmed).not.to.have.property('status_detail')
      expect(confirmed.passengers[0].ticket_number).to.be.a('string')
    })
  })

  describe('for a client that does not want to wait', () => {
    it('are answered 202 at once, with the address to ask at', async () => {
      const flight = await member.findFlight()
      const answer = await member.book(flight, { Prefer: 'respond-async' })
      expect(answer.status).to.equal(202)
      const { booking_id } = answer.body.data
      expect(answer.body).to.deep.equal({
        data: { booking_id, status: 'pending', tenant_id: 'teahouse', member_id: member.memberId },
      })
      const location = answer.headers.get('location') ?? ''
      expect(location).to.equal(`${path}/${booking_id}`)
      expect((await request(queryApi, member, location)).status, 'which exists at once').to.equal(200)
      await reaches(member, booking_id, 'confirmed')
    })

    it('are answered 202 when the seconds they allow are over', async () => {
      const flight = await member.findFlight({ origin: 'SEN', destination: 'STN' })
      const startedAt = Date.now()
      const answer = await member.book(flight, { Prefer: 'wait=1' })
      expect(answer.status).to.equal(202)
      expect(Date.now() - startedAt).to.be.within(1_000, 2_900)
    })

    it('are answered alike when they are asked again with the same key', async () => {
      const key = { 'Idempotency-Key': randomUUID() }
      const flight = await member.findFlight()
      const first = await member.book(flight, { ...key, Prefer: 'respond-async' })
      expect(first.status).to.equal(202)
      const again = await member.book(flight, key)
      expect(again.status).to.equal(201)
      expect(again.body.data.booking_id).to.equal(first.body.data.booking_id)
      const different = await member.book(await member.findFlight(), key)
      expectProblem(different, { status: 422, type: 'idempotency-mismatch', title: 'Idempotency Key Reused' })
    })
  })

  describe('in the list', () => {
    let owner: Member
    const ids: string[] = []
    let pending: string
    let failed: string
    before(async function () {
      this.timeout(60_000)
      owner = await system.newMember({ balance: 5_000_000 })
      for (let n = 0; n < 3; n += 1) ids.push((await created(owner)).body.data.booking_id)
      const expensive = await owner.findFlight({ cabinClass: 'business', minAmount: 50_001, maxAmount: 2_000_000 })
      pending = (await created(owner, expensive)).body.data.booking_id
      ids.push(pending)
      const cancelled = (await created(owner)).body.data.booking_id
      expect((await owner.cancel(cancelled)).status).to.equal(200)
      ids.push(cancelled)
      const refused = await owner.book(await owner.findFlight({ origin: 'LGW', destination: 'LTN' }))
      failed = refused.body.error.booking_id
      await reaches(owner, failed, 'failed')
    })
    const listed = async (query: string) => {
      const answer = await request(queryApi, owner, `${path}${query}`)
      expect(answer.status, JSON.stringify(answer.body)).to.equal(200)
      rateLimitOf(answer)
      const { data } = bookingListSchema.parse(answer.body)
      return { ids: data.bookings.map(({ booking_id }) => booking_id), ...data }
    }

    it('are newest first, without those that came to nothing, with the documented members', async () => {
      const { bookings, pagination, ...list } = await listed('')
      expect(list.ids).to.deep.equal(ids.toReversed())
      expect(pagination).to.deep.equal({ total: 5, limit: 20, offset: 0, has_more: false })
      const { data: detail } = (await owner.get(ids[0] ?? '')).body
      expect(bookings.at(-1)).to.deep.equal({
        booking_id: ids[0],
        status: 'confirmed',
        flight_number: detail.flight.flight_number,
        departure_date: detail.flight.departure.local_time.slice(0, 10),
        route: 'JFK → LAX',
        loyalty_amount: detail.payment.loyalty_amount,
        created_at: detail.created_at,
      })
    })

    it('are filtered by every status; pending means every pending state', async () => {
      const [first, second, third, , cancelled] = ids
      expect((await listed('?status=confirmed')).ids).to.deep.equal([third, second, first])
      expect((await listed('?status=pending')).ids).to.deep.equal([pending])
      expect((await listed('?status=pending_approval')).ids).to.deep.equal([pending])
      expect((await listed('?status=cancelled')).ids).to.deep.equal([cancelled])
      expect((await listed('?status=failed')).ids).to.deep.equal([failed])
      expect((await listed('?status=rejected')).ids).to.deep.equal([])
      expect((await listed('?status=expired')).ids).to.deep.equal([])
    })

    it('come in pages', async () => {
      const page = await listed('?limit=2&offset=1')
      expect(page.ids).to.deep.equal(ids.toReversed().slice(1, 3))
      expect(page.pagination).to.deep.equal({ total: 5, limit: 2, offset: 1, has_more: true })
      expect((await listed('?limit=2&offset=4')).pagination.has_more).to.equal(false)
      expect(await listed('?offset=99')).to.deep.include({ ids: [] })
      expect((await listed('?limit=100')).pagination.limit).to.equal(100)
    })

    it('are those created within days, both inclusive, or instants', async () => {
      const today = new Date().toISOString().slice(0, 10)
      const { data: third } = (await owner.get(ids[2] ?? '')).body
      expect((await listed(`?from_date=${today}&to_date=${today}`)).ids).to.have.length(5)
      expect((await listed('?to_date=2020-12-31')).ids).to.deep.equal([])
      expect((await listed('?from_date=2099-01-01')).ids).to.deep.equal([])
      const from = `from_date=${encodeURIComponent(third.created_at)}`
      expect((await listed(`?${from}`)).ids).to.deep.equal(ids.slice(2).toReversed())
      const to = `to_date=${encodeURIComponent(third.created_at)}`
      expect((await listed(`?${to}`)).ids).to.deep.equal(ids.slice(0, 3).toReversed())
    })

    for (const [query, field] of [
      ['?status=unknown', 'status'],
      ['?limit=101', 'limit'],
      ['?limit=0', 'limit'],
      ['?limit=ten', 'limit'],
      ['?offset=-1', 'offset'],
      ['?from_date=2026-12-02&to_date=2026-12-01', 'to_date'],
      ['?from_date=yesterday', 'from_date'],
      ['?status=confirmed&status=failed', 'status'],
    ] as const) {
      it(`refuse ${query} with 400`, async () => {
        const answer = await request(queryApi, owner, `${path}${query}`)
        expect(answer.status, JSON.stringify(answer.body)).to.equal(400)
        expect(answer.body.error.type).to.match(/validation-error$/)
        expect(answer.body.error.errors[0].field).to.equal(field)
        expect(answer.body.error.instance).to.equal(path)
      })
    }
  })

  it('that do not exist are 404 in the documented words', async () => {
    expectProblem(await request(queryApi, member, `${path}/bkg_nothing`), {
      status: 404,
      type: 'not-found',
      title: 'Booking Not Found',
      detail: "Booking with ID 'bkg_nothing' not found",
      instance: `${path}/bkg_nothing`,
    })
  })

  // Last, for the partner does not come back.
  describe('when the partner is not there at all', () => {
    it('cannot be made: 502', async () => {
      const flight = await member.findFlight()
      await system.coffeechain.process.stop()
      expectProblem(await create(bookingRequest(flight)), {
        status: 502,
        type: 'partner-unavailable',
        title: 'Partner Unavailable',
      })
    })
  })
})

/** Also years ahead. */
function bornYearsAgo(years: number): string {
  const today = new Date()
  today.setUTCMonth(today.getUTCMonth() - Math.round(years * 12) + (years < 0 ? -10 : 0))
  return today.toISOString().slice(0, 10)
}

interface SupplierOrder {
  passengers: (Record<string, unknown> & { id: string; given_name: string })[]
}

/** The order as the supplier shows it. */
async function orderOf(system: System, bookingId: string): Promise<SupplierOrder> {
  const { orders } = (await system.duffel.state()) as { orders: { id: string; metadata: { booking_id?: string } }[] }
  const order = orders.find(({ metadata }) => metadata.booking_id === bookingId)
  if (!order) throw new Error(`the supplier has no order for ${bookingId}`)
  const headers = { Authorization: 'Bearer duffel_test_sandbox', 'Duffel-Version': 'v2', Accept: 'application/json' }
  const response = await fetch(`${system.duffel.url}/air/orders/${order.id}`, { headers })
  return ((await response.json()) as { data: SupplierOrder }).data
}

async function onWrite(system: System, sql: string, values: unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: system.writeDatabase.adminUrl })
  await client.connect()
  await client.query(sql, values)
  await client.end()
}
