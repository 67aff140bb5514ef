/** query-api's routes over real rows, row-level security and Redis. */
import { bookingDetailSchema, bookingListSchema, healthSchema } from '@portolan/schemas/bookings/views.ts'
import { loyaltyErrorSchema } from '@portolan/schemas/loyalty-errors.ts'
import {
  ledgerSchema,
  opsBookingDetailSchema,
  opsBookingListSchema,
  pendingApprovalListSchema,
  unknownOutcomeListSchema,
} from '@portolan/schemas/ops/views.ts'
import { expect } from 'chai'
import { apiKey, type QueryFixture, queryFixture } from './query-fixture.ts'

describe('query-api', () => {
  let fixture: QueryFixture
  let api: { url: string; stop(): Promise<void> }

  before(async () => {
    fixture = await queryFixture()
  })
  after(() => fixture.close())
  beforeEach(async () => {
    await fixture.admin.query(`truncate booking_details_1.booking_details, booking_list_1.booking_list,
      ledger_1.ledger_lines, ledger_1.ledger_balances, tenants_1.tenants`)
    Object.assign(fixture.neighbours, {
      isReady: true,
      canUnseal: true,
      requestsPerMinute: 1000,
      suppliers: { duffel_api: 'healthy', coffeechain_api: 'healthy' },
    })
    fixture.neighbours.forgotten.clear()
    api = await fixture.startProcess({ healthCacheMs: 1, healthProbeTimeoutMs: 200 })
  })
  afterEach(() => api.stop())

  const member = (memberId = 'CC1234567', tenantId = 'coffeechain') => ({
    'X-Tenant-ID': tenantId,
    'X-CC-Member-ID': memberId,
    'X-CC-API-Key': apiKey,
  })
  const staff = (token = 'operator') => ({ Authorization: `Bearer ${token}` })
  const get = async (path: string, headers: Record<string, string> = member()) => {
    const response = await fetch(`${api.url}${path}`, { headers })
    // Each test checks the body against the contract's schema.
    return { status: response.status, headers: response.headers, body: (await response.json()) as never }
  }

  describe('one booking', () => {
    it('is answered as the contract says, with passengers opened for this answer', async () => {
      const { bookingId } = await fixture.insertBooking('coffeechain', { status: 'awaiting_supplier' })
      const { status, headers, body } = await get(`/api/v1/bookings/${bookingId}`)
      expect(status).to.equal(200)
      const { data } = bookingDetailSchema.parse(body)
      expect(data).to.deep.include({
        booking_id: bookingId,
        status: 'pending',
        status_detail: 'awaiting_supplier',
        tenant_id: 'coffeechain',
        member_id: 'CC1234567',
        payment: { loyalty_amount: 35_000, loyalty_currency: 'stars', usd_equivalent: 35_000, cashback: null },
        created_at: '2026-11-21T10:30:04.512Z',
      })
      expect(data.flight).to.deep.include({ airline: 'United Airlines', flight_number: 'UA123' })
      expect(data.flight.departure).to.deep.equal({
        airport: 'JFK',
        time: '2027-03-15T12:00:00Z',
        terminal: '4',
        local_time: '2027-03-15T08:00:00',
        time_zone: 'America/New_York',
      })
      expect(data.passengers.slice(0, 2)).to.deep.equal([
        { name: 'John Doe', ticket_number: '0162345678901', seat: '23A' },
        { name: 'John Doe', ticket_number: null, seat: null },
      ])
      expect(headers.get('x-ratelimit-limit')).to.equal('1000')
    })

    it('of another member or another tenant does not exist', async () => {
      const { bookingId } = await fixture.insertBooking('coffeechain', {})
      for (const headers of [member('CC7654321'), member('CC1234567', 'teachain')]) {
        const { status, body } = await get(`/api/v1/bookings/${bookingId}`, headers)
        expect(status).to.equal(404)
        const { error } = loyaltyErrorSchema.parse(body)
        expect(error).to.include({ title: 'Booking Not Found', detail: `Booking with ID '${bookingId}' not found` })
        expect(error.type).to.equal('https://api.loyalty-middleware.com/errors/not-found')
        expect(error.instance).to.equal(`/api/v1/bookings/${bookingId}`)
      }
    })

    it('shows no name of a person who was forgotten', async () => {
      const { bookingId, personId } = await fixture.insertBooking('coffeechain', { personId: 'per_forgotten' })
      fixture.neighbours.forgotten.add(personId)
      const { data } = bookingDetailSchema.parse((await get(`/api/v1/bookings/${bookingId}`)).body)
      expect(data.passengers.map(({ name }) => name)).to.deep.equal(['', '', ''])
    })

    it('is not answered while its passengers cannot be opened', async () => {
      const { bookingId } = await fixture.insertBooking('coffeechain', {})
      fixture.neighbours.canUnseal = false
      const { status, headers, body } = await get(`/api/v1/bookings/${bookingId}`)
      expect(status).to.equal(503)
      expect(headers.get('retry-after')).to.equal('1')
      expect(JSON.stringify(body)).to.not.include('Doe')
    })

    it('asks for credentials, counts requests and sends bare problems to those who accept them', async () => {
      const stranger = await get('/api/v1/bookings/bkg_1', { 'X-Tenant-ID': 'coffeechain' })
      expect(stranger.status).to.equal(401)
      expect(stranger.headers.get('www-authenticate')).to.be.a('string')
      const bare = await get('/api/v1/bookings/bkg_1', { ...member(), Accept: 'application/problem+json' })
      expect(bare.headers.get('content-type')).to.match(/^application\/problem\+json/)
      expect(bare.body).to.include({ status: 404 })
    })

    it('is refused with 429 beyond the tenant’s limit', async () => {
      fixture.neighbours.requestsPerMinute = 2
      const headers = member('CC1234567', 'limited')
      const statuses: number[] = []
      for (let i = 0; i < 3; i += 1) statuses.push((await get('/api/v1/bookings', headers)).status)
      expect(statuses).to.deep.equal([200, 200, 429])
      const { headers: answer } = await get('/api/v1/bookings', headers)
      expect(Number(answer.get('retry-after'))).to.be.within(1, 60)
    })
  })

  describe('the list', () => {
    const listOf = async (query: string, headers?: Record<string, string>) => {
      const { status, body } = await get(`/api/v1/bookings${query}`, headers)
      expect(status, JSON.stringify(body)).to.equal(200)
      return bookingListSchema.parse(body).data
    }

    it('holds the member’s own bookings, newest first, page by page', async () => {
      for (let day = 1; day <= 5; day += 1)
        await fixture.insertBooking('coffeechain', {
          bookingId: `bkg_${day}`,
          createdAt: `2026-01-0${day}T12:00:00.000Z`,
        })
      await fixture.insertBooking('coffeechain', { bookingId: 'bkg_other', memberId: 'CC7654321' })
      await fixture.insertBooking('teachain', { bookingId: 'bkg_foreign' })
      const first = await listOf('?limit=2')
      expect(first.bookings.map(({ booking_id }) => booking_id)).to.deep.equal(['bkg_5', 'bkg_4'])
      expect(first.pagination).to.deep.equal({ total: 5, limit: 2, offset: 0, has_more: true })
      const last = await listOf('?limit=2&offset=4')
      expect(last.bookings.map(({ booking_id }) => booking_id)).to.deep.equal(['bkg_1'])
      expect(last.pagination).to.deep.equal({ total: 5, limit: 2, offset: 4, has_more: false })
      expect(first.bookings[0]).to.deep.include({
        route: 'JFK → LAX',
        departure_date: '2027-03-15',
        loyalty_amount: 35_000,
        created_at: '2026-01-05T12:00:00.000Z',
      })
    })

    it('filters by status as the contract decides', async () => {
      const statuses = [
        'processing',
        'pending_approval',
        'outcome_unknown',
        'confirmed',
        'cancelled',
        'failed',
        'expired',
        'rejected',
      ] as const
      for (const status of statuses) await fixture.insertBooking('coffeechain', { bookingId: `bkg_${status}`, status })
      const found = async (query: string) =>
        (await listOf(query)).bookings.map(({ booking_id }) => booking_id.slice(4)).sort()
      expect(await found('')).to.deep.equal([
        'cancelled',
        'confirmed',
        'outcome_unknown',
        'pending_approval',
        'processing',
      ])
      expect(await found('?status=pending')).to.deep.equal(['outcome_unknown', 'pending_approval', 'processing'])
      expect(await found('?status=pending_approval')).to.deep.equal(['pending_approval'])
      expect(await found('?status=failed')).to.deep.equal(['failed'])
    })

    it('filters by creation day, inclusive and in UTC, or by instant', async () => {
      const instants = ['2026-01-01T00:00:00.000Z', '2026-01-01T23:59:59.999Z', '2026-01-02T00:00:00.000Z']
      for (const [i, createdAt] of instants.entries())
        await fixture.insertBooking('coffeechain', { bookingId: `bkg_${i}`, createdAt })
      const found = async (query: string) => (await listOf(query)).bookings.map(({ booking_id }) => booking_id)
      expect(await found('?from_date=2026-01-01&to_date=2026-01-01')).to.deep.equal(['bkg_1', 'bkg_0'])
      expect(await found('?from_date=2026-01-01T23:59:59.999Z')).to.deep.equal(['bkg_2', 'bkg_1'])
      expect(await found('?to_date=2026-01-01T00:00:00Z')).to.deep.equal(['bkg_0'])
    })

    for (const query of [
      '?limit=101',
      '?limit=0',
      '?limit=x',
      '?offset=-1',
      '?status=done',
      '?from_date=yesterday',
      '?from_date=2026-01-02&to_date=2026-01-01',
      '?status=pending&status=failed',
    ])
      it(`refuses ${query}`, async () => {
        const { status, body } = await get(`/api/v1/bookings${query}`)
        expect(status).to.equal(400)
        expect(loyaltyErrorSchema.parse(body).error.errors).to.have.length(1)
      })
  })

  describe('health', () => {
    it('needs no credentials and names what is built', async () => {
      const { status, body } = await get('/api/v1/health', {})
      expect(status).to.equal(200)
      const health = healthSchema.parse(body)
      expect(health).to.include({ status: 'healthy', version: '1.0.0' })
      expect(health.services).to.deep.equal({ database: 'healthy', duffel_api: 'healthy', coffeechain_api: 'healthy' })
    })

    it('is degraded, yet 200, when a partner or the workers are down', async () => {
      fixture.neighbours.suppliers = { duffel_api: 'healthy', coffeechain_api: 'unhealthy' }
      const { body, status } = await get('/api/v1/health', {})
      expect(status).to.equal(200)
      expect(body).to.include({ status: 'degraded' })
      fixture.neighbours.suppliers = null
      const later = await fetch(`${api.url}/api/v1/health?again`).then((response) => response.json())
      expect(later).to.deep.include({
        services: { database: 'healthy', duffel_api: 'unhealthy', coffeechain_api: 'unhealthy' },
      })
    })

    it('is 503 when the write database is down, and does not hang with command-api', async () => {
      fixture.neighbours.isReady = false
      expect((await get('/api/v1/health', {})).status).to.equal(503)
      fixture.neighbours.isReady = null
      const { status, body } = await get('/api/v1/health?again', {})
      expect(status).to.equal(503)
      expect(body).to.deep.include({ status: 'unhealthy' })
    })
  })

  describe('staff', () => {
    it('list bookings of every tenant, filtered and page by page', async () => {
      await fixture.insertBooking('coffeechain', { bookingId: 'bkg_1', createdAt: '2026-01-01T00:00:00.000Z' })
      await fixture.insertBooking('teachain', { bookingId: 'bkg_2', createdAt: '2026-01-02T00:00:00.000Z' })
      await fixture.insertBooking('coffeechain', {
        bookingId: 'bkg_3',
        createdAt: '2026-01-03T00:00:00.000Z',
        status: 'failed',
      })
      const ids = (body: unknown) => opsBookingListSchema.parse(body).bookings.map(({ bookingId }) => bookingId)
      const first = (await get('/ops/bookings?limit=2', staff())).body
      expect(ids(first)).to.deep.equal(['bkg_3', 'bkg_2'])
      const { nextCursor } = opsBookingListSchema.parse(first)
      const second = (await get(`/ops/bookings?limit=2&cursor=${nextCursor}`, staff())).body
      expect(ids(second)).to.deep.equal(['bkg_1'])
      expect(opsBookingListSchema.parse(second).nextCursor).to.equal(null)
      expect(ids((await get('/ops/bookings?tenantId=coffeechain&status=confirmed', staff())).body)).to.deep.equal([
        'bkg_1',
      ])
      expect(
        ids((await get('/ops/bookings?createdFromDate=2026-01-02&createdToDate=2026-01-02', staff())).body),
      ).to.deep.equal(['bkg_2'])
    })

    it('of one tenant see nothing of another, whatever they ask for', async () => {
      await fixture.insertBooking('coffeechain', { bookingId: 'bkg_1' })
      const foreign = staff('tenant-admin.teachain')
      for (const path of [
        '/ops/bookings',
        '/ops/bookings?tenantId=coffeechain',
        '/ops/approvals',
        '/ops/unknown-outcomes',
      ]) {
        const { status, body } = await get(path, foreign)
        expect(status).to.equal(200)
        expect(JSON.stringify(body), path).to.not.include('bkg_1')
      }
      expect((await get('/ops/tenants/coffeechain/bookings/bkg_1', foreign)).status).to.equal(404)
      expect((await get('/ops/tenants/coffeechain/bookings/bkg_1', staff('viewer.coffeechain'))).status).to.equal(200)
    })

    it('see everything of one booking', async () => {
      await fixture.admin.query("insert into tenants_1.tenants values ('coffeechain', 'CoffeeChain', '{}', 1)")
      const unknown = {
        step: 'deduct',
        attempt: 1,
        why: 'timeout',
        since: '2026-01-01T00:00:00Z',
        until: '2026-01-01T00:15:00Z',
      }
      const { bookingId, progress } = await fixture.insertBooking('coffeechain', {})
      await fixture.admin.query('delete from booking_details_1.booking_details')
      await fixture.admin.query('delete from booking_list_1.booking_list')
      await fixture.insertBooking('coffeechain', {
        status: 'outcome_unknown',
        progress: { ...progress, phase: 'processing', unknown },
      })
      const { body } = await get(`/ops/tenants/coffeechain/bookings/${bookingId}`, staff())
      const detail = opsBookingDetailSchema.parse(body)
      expect(detail).to.deep.include({
        tenantName: 'CoffeeChain',
        status: 'outcome_unknown',
        streamVersion: 5,
        trouble: {
          ...unknown,
          needsDecision: false,
          explanation: 'Machines are still looking at what the other side knows',
          reported: null,
          evidence: null,
        },
      })
      expect(detail.passengers[0]?.name).to.equal('John Doe')
      const queue = unknownOutcomeListSchema.parse((await get('/ops/unknown-outcomes', staff())).body)
      expect(queue.outcomes).to.have.length(1)
      expect(queue.outcomes[0]).to.include({ bookingId, step: 'deduct', needsDecision: false })
    })

    it('see disputed conclusions in the same queue, page by page', async () => {
      const { progress } = await fixture.insertBooking('coffeechain', {
        bookingId: 'bkg_fine',
        createdAt: '2026-01-01T00:00:00.000Z',
      })
      const trouble = { attempt: 1, since: '2026-01-01T00:00:00Z', until: '2026-01-01T00:15:00Z' }
      const unknown = { ...trouble, step: 'deduct', why: 'timeout' }
      const reported = { orderId: 'ord_2', bookingReference: null, transactionId: null }
      const disputed = [{ ...trouble, step: 'issue-tickets', why: 'reported-late', reported }]
      const queued = [
        { bookingId: 'bkg_1', createdAt: '2026-01-03T00:00:00.000Z', status: 'failed', progress: { disputed } },
        { bookingId: 'bkg_2', createdAt: '2026-01-02T00:00:00.000Z', status: 'outcome_unknown', progress: { unknown } },
        {
          bookingId: 'bkg_3',
          createdAt: '2026-01-04T00:00:00.000Z',
          status: 'outcome_unknown',
          progress: { unknown, disputed },
        },
        { bookingId: 'bkg_4', createdAt: '2026-01-05T00:00:00.000Z', status: 'confirmed', progress: { disputed } },
      ] as const
      for (const one of queued)
        await fixture.insertBooking('coffeechain', { ...one, progress: { ...progress, ...one.progress } as never })
      const pageOf = async (cursor = '') =>
        unknownOutcomeListSchema.parse((await get(`/ops/unknown-outcomes?limit=3${cursor}`, staff())).body)
      const first = await pageOf()
      expect(first.outcomes.map(({ bookingId }) => bookingId)).to.deep.equal(['bkg_2', 'bkg_1', 'bkg_3'])
      expect(first.outcomes[1]).to.deep.include({
        status: 'failed',
        needsDecision: true,
        why: 'reported-late',
        reported,
      })
      const second = await pageOf(`&cursor=${first.nextCursor}`)
      expect(second.outcomes.map(({ bookingId }) => bookingId)).to.deep.equal(['bkg_4'])
      expect(second.nextCursor).to.equal(null)
    })

    it('see what waits for approval, oldest first', async () => {
      for (const day of [2, 1]) {
        const createdAt = `2026-01-0${day}T00:00:00.000Z`
        const approval = {
          reason: 'Booking exceeds 50,000 stars limit',
          expiresAt: '2026-01-09T00:00:00Z',
          decidedBy: null,
          decidedAt: null,
        }
        const progress = {
          phase: 'pending_approval',
          undoTo: null,
          isSupplierAwaited: false,
          unknown: null,
          operator: null,
          approval,
        } as const
        await fixture.insertBooking('coffeechain', {
          bookingId: `bkg_${day}`,
          createdAt,
          status: 'pending_approval',
          progress,
        })
      }
      const { approvals } = pendingApprovalListSchema.parse((await get('/ops/approvals', staff())).body)
      expect(approvals.map(({ bookingId }) => bookingId)).to.deep.equal(['bkg_1', 'bkg_2'])
    })

    it('read the ledger and see that it adds up', async () => {
      const line = (n: number, account: string, amount: number) =>
        fixture.admin.query(
          `insert into ledger_1.ledger_lines values ('coffeechain', 'member-account-CC1', 3, $1, $2, 'stars', $3, 'deduction', 'bkg_1', 'CC1', '2026-01-01T00:00:00Z')`,
          [n, account, amount],
        )
      await line(1, 'member:CC1', -500)
      await line(2, 'programme', 500)
      await fixture.admin.query(
        "insert into ledger_1.ledger_balances values ('coffeechain', 'member:CC1', 'stars', 0, -500, 1), ('coffeechain', 'programme', 'stars', 0, 500, 1)",
      )
      for (const query of ['', '?tenantId=coffeechain&memberId=CC1', '?tenantId=coffeechain&bookingId=bkg_1']) {
        const ledger = ledgerSchema.parse((await get(`/ops/ledger${query}`, staff())).body)
        expect(ledger.lines.map(({ account, amount }) => [account, amount])).to.deep.equal([
          ['programme', 500],
          ['member:CC1', -500],
        ])
        expect(ledger.sums).to.deep.equal([{ tenantId: 'coffeechain', currency: 'stars', sum: 0 }])
      }
      for (const query of ['memberId=CC1', 'bookingId=bkg_1'])
        expect((await get(`/ops/ledger?${query}`, staff())).status, query).to.equal(400)
      const first = ledgerSchema.parse((await get('/ops/ledger?limit=1', staff())).body)
      const second = ledgerSchema.parse((await get(`/ops/ledger?limit=1&cursor=${first.nextCursor}`, staff())).body)
      expect([...first.lines, ...second.lines].map(({ amount }) => amount)).to.deep.equal([500, -500])
      expect(second.nextCursor).to.equal(null)
    })

    it('must sign in, and a made-up cursor is refused', async () => {
      const stranger = await get('/ops/bookings', {})
      expect(stranger.status).to.equal(401)
      expect(stranger.headers.get('content-type')).to.match(/^application\/problem\+json/)
      const key = (text: string) => Buffer.from(text).toString('base64url')
      const forged = [
        '["2026-01-01T00:00:00Z"]',
        '["2026-01-01T00:00:00Z","a\\u0000","b"]',
        '["0000-01-01T00:00:00Z","a","b"]',
      ].map(key)
      for (const cursor of ['x', ...forged])
        expect((await get(`/ops/bookings?cursor=${cursor}`, staff())).status).to.equal(400)
      const beyondLine = key('["2026-01-01T00:00:00Z","a","b",1,40000]')
      expect((await get(`/ops/ledger?cursor=${beyondLine}`, staff())).status).to.equal(400)
    })

    it('learn that a day of a year that not everything can express is refused', async () => {
      for (const query of ['createdFromDate=0000-01-01', 'createdToDate=9999-12-31'])
        expect((await get(`/ops/bookings?${query}`, staff())).status, query).to.equal(400)
      const outermost = '/ops/bookings?createdFromDate=1900-01-01&createdToDate=9998-12-31'
      expect((await get(outermost, staff())).status).to.equal(200)
    })

    it('cannot ask with names that nothing has', async () => {
      expect((await get('/ops/bookings?unknown=1', staff())).status).to.equal(400)
    })
  })

  it('answers 404 without asking for credentials where nothing is, and 405 for a method that is not there', async () => {
    expect((await get('/api/v1/nothing', {})).status).to.equal(404)
    expect((await get('/api/v1/bookings/bkg%00', member())).status).to.equal(400)
    const response = await fetch(`${api.url}/api/v1/bookings`, { method: 'POST' })
    expect(response.status).to.equal(405)
  })
})
