/**
 * Who may call the loyalty API and how often, on every route and in both processes: sections 1 and 4 of the contract.
 *
 * Seen failing: with a refused caller counted against the tenant; with any key taken; with the limit counted per process.
 */
import { expect } from 'chai'
import { expectProblem, type RawRequest, rateLimitOf, request } from './loyalty-client.ts'
import type { Member } from './member.ts'
import { coffeechain, type System, startSystem, teahouse } from './system.ts'

const addressLimit = 40
const unauthorized = {
  status: 401,
  type: 'unauthorized',
  title: 'Unauthorized',
  detail: 'Invalid or expired authentication credentials',
}

describe('a request to the loyalty API', function () {
  this.timeout(60_000)
  let system: System
  let member: Member
  let addresses = 0
  before(async function () {
    this.timeout(120_000)
    system = await startSystem({ env: { RATE_LIMIT: String(addressLimit) } })
    member = await system.newMember({ balance: 400_000 })
  })
  after(() => system?.stop())

  /** Every route that needs a member; bodies are refused, so nothing is ever done. */
  const routes: [string, (member: Member, options: RawRequest) => ReturnType<typeof request>][] = [
    ['search', (who, o) => request(command(), who, '/api/v1/flights/search', { method: 'POST', body: '{}', ...o })],
    ['create', (who, o) => request(command(), who, '/api/v1/bookings', { method: 'POST', body: '{}', ...o })],
    ['cancel', (who, o) => request(command(), who, '/api/v1/bookings/bkg_1/cancel', { method: 'POST', ...o })],
    ['get', (who, o) => request(query(), who, '/api/v1/bookings/bkg_1', o)],
    ['list', (who, o) => request(query(), who, '/api/v1/bookings', o)],
  ]
  const command = () => system.commandApis[0]?.url ?? ''
  const query = () => system.queryApis[0]?.url ?? ''
  /** A client address of its own for each test: callers who are refused share the limit of theirs. */
  const newAddress = () => {
    addresses += 1
    return { 'X-Forwarded-For': `203.0.113.${addresses}` }
  }
  const header = (name: string, message: string) => ({
    status: 400,
    type: 'validation-error',
    title: 'Validation Error',
    detail: `${name}: ${message}`,
    extra: { errors: [{ field: name, message }] },
  })

  for (const [name, call] of routes) {
    describe(`(${name})`, () => {
      const refused: [string, Record<string, string | null>, Parameters<typeof expectProblem>[1]][] = [
        ['without a tenant', { 'X-Tenant-ID': null }, header('X-Tenant-ID', 'Is required')],
        ['of an unknown tenant', { 'X-Tenant-ID': 'nobody' }, unauthorized],
        ['without a member', { 'X-CC-Member-ID': null }, header('X-CC-Member-ID', 'Is required')],
        [
          'of a malformed member',
          { 'X-CC-Member-ID': 'TH12345678' },
          header('X-CC-Member-ID', 'Must be a member id of this programme'),
        ],
        [
          'of another tenant’s member',
          { 'X-CC-Member-ID': 'CC1234567' },
          header('X-CC-Member-ID', 'Must be a member id of this programme'),
        ],
        ['without a key', { 'X-CC-API-Key': null }, unauthorized],
        ['with a wrong key', { 'X-CC-API-Key': 'test_cc_api_key_12346' }, unauthorized],
        ['with another tenant’s key', { 'X-CC-API-Key': coffeechain.credential }, unauthorized],
        ['with a key of ours', { 'X-CC-API-Key': null, Authorization: `Bearer ${teahouse.credential}` }, unauthorized],
        [
          'of another tenant with this one’s key',
          { 'X-Tenant-ID': 'coffeechain', 'X-CC-Member-ID': 'CC1234567' },
          unauthorized,
        ],
      ]
      for (const [what, headers, problem] of refused) {
        it(`${what} is refused with ${problem.status}, limited by address`, async () => {
          const answer = await call(member, { headers: { ...headers, ...newAddress() } })
          expectProblem(answer, problem)
          expect(rateLimitOf(answer)).to.include({ limit: addressLimit, remaining: addressLimit - 1 })
          if (problem.status === 401)
            expect(answer.headers.get('www-authenticate')).to.be.a('string').with.length.above(3)
          else expect(answer.headers.get('www-authenticate')).to.equal(null)
        })
      }

      it('is refused as a bare problem document when the client asks for one', async () => {
        const answer = await call(member, {
          headers: { 'X-CC-API-Key': 'wrong', Accept: 'application/problem+json', ...newAddress() },
        })
        expect(answer.status).to.equal(401)
        expect(answer.headers.get('content-type')).to.match(/^application\/problem\+json\b/)
        expect(answer.body).to.deep.equal({
          type: 'https://api.loyalty-middleware.com/errors/unauthorized',
          title: 'Unauthorized',
          status: 401,
          detail: 'Invalid or expired authentication credentials',
          instance: answer.body.instance,
        })
      })

      it('that is let in is limited by its tenant', async () => {
        const answer = await call(member, {})
        expect([200, 400, 404]).to.include(answer.status)
        expect(rateLimitOf(answer).limit).to.equal(teahouse.requestsPerMinute)
      })
    })
  }

  describe('is checked in this order', () => {
    it('tenant, member’s form, credential, body', async () => {
      const [, search] = routes[0] ?? []
      const ask = async (headers: Record<string, string | null>) => {
        const answer = await search?.(member, { body: '{not json', headers: { ...headers, ...newAddress() } })
        return answer?.body.error.detail
      }
      const wrong = { 'X-CC-API-Key': 'wrong', 'X-CC-Member-ID': 'nobody' }
      expect(await ask({ ...wrong, 'X-Tenant-ID': null })).to.equal('X-Tenant-ID: Is required')
      expect(await ask(wrong)).to.match(/^X-CC-Member-ID/)
      expect(await ask({ 'X-CC-API-Key': 'wrong' })).to.equal(unauthorized.detail)
      expect(await ask({})).to.equal('The request body is not valid JSON')
    })
  })

  describe('to a path that is not there', () => {
    it('is 404 in the contract’s envelope', async () => {
      for (const base of [command(), query()]) {
        expectProblem(await request(base, member, '/api/v1/hotels'), {
          status: 404,
          type: 'not-found',
          title: 'Not Found',
        })
      }
    })
  })

  describe('beyond the limit', () => {
    it('of its tenant is 429, whoever the member and whichever process; other tenants are not affected', async () => {
      const [first, second] = [
        await system.newMember({ balance: 1000, tenant: coffeechain }),
        await system.newMember({ balance: 1000, tenant: coffeechain }),
      ]
      const one = await request(query(), first, '/api/v1/bookings')
      const two = await request(command(), second, '/api/v1/flights/search', { body: {} })
      expect(rateLimitOf(one)).to.include({ limit: 100, remaining: 99 })
      expect(two.status).to.equal(400)
      expect(rateLimitOf(two), 'one count for both processes and members').to.include({ limit: 100, remaining: 98 })
      expect(two.headers.get('x-ratelimit-reset'), 'one window').to.equal(one.headers.get('x-ratelimit-reset'))

      const left = await Promise.all(Array.from({ length: 98 }, () => request(query(), first, '/api/v1/bookings')))
      expect(left.every(({ status }) => status === 200)).to.equal(true)
      for (const [base, path] of [
        [query(), '/api/v1/bookings'],
        [command(), '/api/v1/bookings'],
      ] as const) {
        const answer = await request(base, second, path, base === command() ? { body: {} } : {})
        const retryAfter = answer.body.error.retry_after
        expectProblem(answer, {
          status: 429,
          type: 'rate-limit',
          title: 'Rate Limit Exceeded',
          detail: 'Rate limit exceeded. Please try again later.',
          extra: { retry_after: retryAfter },
        })
        expect(retryAfter).to.be.within(1, 60)
        expect(answer.headers.get('retry-after')).to.equal(String(retryAfter))
        expect(rateLimitOf(answer)).to.include({ limit: 100, remaining: 0 })
      }
      const bare = await request(query(), first, '/api/v1/bookings', {
        headers: { Accept: 'application/problem+json' },
      })
      expect(bare.body).to.include({ status: 429, title: 'Rate Limit Exceeded' })
      expect(bare.headers.get('retry-after')).to.equal(String(bare.body.retry_after))

      expect((await request(query(), member, '/api/v1/bookings')).status).to.equal(200)
      const health = await fetch(`${query()}/api/v1/health`)
      expect(health.status, 'health is not limited').to.equal(200)
    })

    it('of its address is 429 while it is refused; the tenant’s members at that address are served', async () => {
      const address = newAddress()
      const ask = (headers = {}) =>
        request(query(), member, '/api/v1/bookings', { headers: { ...address, 'X-CC-API-Key': 'guess', ...headers } })
      const before = rateLimitOf(await request(query(), member, '/api/v1/bookings')).remaining
      const answers = await Promise.all(Array.from({ length: addressLimit }, () => ask()))
      expect(answers.every(({ status }) => status === 401)).to.equal(true)
      const refused = await ask({ 'X-Tenant-ID': null })
      expectProblem(refused, {
        status: 429,
        type: 'rate-limit',
        title: 'Rate Limit Exceeded',
        detail: 'Rate limit exceeded. Please try again later.',
        extra: { retry_after: refused.body.error.retry_after },
      })
      expect(rateLimitOf(refused)).to.include({ limit: addressLimit, remaining: 0 })
      const guess = { ...address, 'X-CC-API-Key': 'guess' }
      const elsewhere = await request(command(), member, '/api/v1/bookings', { body: {}, headers: guess })
      expect(elsewhere.status, 'also in the other process').to.equal(429)

      const served = await request(query(), member, '/api/v1/bookings', { headers: address })
      expect(served.status).to.equal(200)
      expect(rateLimitOf(served).remaining, 'guesses do not use up the tenant’s limit').to.equal(before - 1)
      expect((await ask(newAddress())).status, 'another address has its own').to.equal(401)
    })
  })
})
