// Part of promise P12: the same cases against command-api and against a process that asks it, as query-api does.
// Sabotage seen to fail: counting refused requests against the tenant; counting per member; taking any key.
import { randomBytes } from 'node:crypto'
import { createServiceClient } from '@portolan/infra/http/client.ts'
import { createIntrospection } from '@portolan/infra/http/credentials.ts'
import { createMemberAuth, memberOf } from '@portolan/infra/http/member-auth.ts'
import { createRateLimiter } from '@portolan/infra/http/rate-limit.ts'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { redisIsReady } from '@portolan/infra/redis.ts'
import { startTestApp, type TestApp } from '@portolan/infra/testing/test-app.ts'
import { expect } from 'chai'
import { createStoreFixture } from '../event-store/store-fixture.ts'
import { createIntrospect, createIntrospectRoute } from '../introspect.ts'
import { memberRequest } from '../member-request.ts'
import { parseKeyRing } from '../personal-data/key-ring.ts'
import { coffeechainSettings } from './coffeechain.ts'
import { memberAuth } from './member-auth.ts'
import { setTenant } from './set-tenant.ts'
import { createTenantLookup } from './tenants.ts'

const TOKEN = 'a-service-token-of-tests'
const ADDRESS_LIMIT = 5
const LIMITS = { coffeechain: 100, teahouse: 3 } as const
const ring = parseKeyRing('PERSONAL_DATA_KEYS', `k:${randomBytes(32).toString('base64')}`)
const good = { 'X-Tenant-ID': 'coffeechain', 'X-CC-API-Key': 'key-of-coffeechain', 'X-CC-Member-ID': 'CC1234567' }
const other = { 'X-Tenant-ID': 'teahouse', 'X-CC-API-Key': 'key-of-teahouse', 'X-CC-Member-ID': 'TH7654321' }

describe('a request on behalf of a member', () => {
  let fixture: Awaited<ReturnType<typeof createStoreFixture>>
  let store: Awaited<ReturnType<typeof fixture.open>>
  const apps: Record<string, TestApp> = {}
  let addresses = 0
  let address = ''

  const set = (tenantId: keyof typeof LIMITS, credential: string) => {
    const settings = coffeechainSettings({
      tenantId,
      memberIdPattern: tenantId === 'teahouse' ? '^TH\\d{7}$' : undefined,
      requestsPerMinute: LIMITS[tenantId],
      partnerBaseUrl: 'http://127.0.0.1:8001',
    })
    const seeder = { actor: { kind: 'service' as const, id: 'seed' }, correlationId: 'seed', causationId: null }
    const deps = { handle: store.handle, pool: store.pool, ring }
    return setTenant(deps, seeder, settings, { credential, partnerApiKey: 'partner' })
  }

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
    await redisIsReady(store.redis, 5000)
    await set('coffeechain', 'key-of-coffeechain')
    await set('teahouse', 'key-of-teahouse')
    const findTenant = createTenantLookup({ pool: store.pool, ring })
    const introspect = createIntrospect({ findTenant, sessions: { findAccount: async () => null }, staffRing: ring })
    const limiterOf = (name: string) =>
      createRateLimiter({ redis: store.redis, keyPrefix: `${fixture.keyPrefix}${name}:`, metrics: store.metrics })
    const command = await startTestApp((app) => {
      app.use('/internal', requireService(TOKEN))
      app.use(createIntrospectRoute(introspect))
      app.use(
        '/api',
        memberAuth({ findTenant, consumeLimit: limiterOf('c'), addressLimitPerMinute: ADDRESS_LIMIT, testMode: true }),
      )
      app.get('/api/me', (_req, res) => {
        const { tenant, ...request } = memberRequest(res)
        res.json({ ...request, tenantId: tenant.tenantId, currency: tenant.currency.name })
      })
    })
    const client = createServiceClient({ baseUrl: command.url, serviceToken: TOKEN, timeoutMs: 5000 })
    const query = await startTestApp((app) => {
      app.use(
        '/api',
        createMemberAuth({
          introspect: createIntrospection({ client }),
          consumeLimit: limiterOf('q'),
          addressLimitPerMinute: ADDRESS_LIMIT,
        }),
      )
      app.get('/api/me', (_req, res) => {
        const { tenantId, memberId, principal, tenant } = memberOf(res)
        res.json({ tenantId, memberId, principal, currency: (tenant.currency as { name: string }).name })
      })
    })
    Object.assign(apps, { command, query })
  })
  beforeEach(() => {
    address = `203.0.113.${addresses++}`
  })
  after(async () => {
    await Promise.all(Object.values(apps).map((app) => app.stop()))
    await fixture.close()
  })

  for (const process of ['command', 'query']) {
    describe(`to ${process}-api`, () => {
      const get = (headers: Record<string, string | undefined>) => {
        const present = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
        const all = { ...Object.fromEntries(present), 'X-Forwarded-For': address }
        return (apps[process] as TestApp).fetch('/api/me', { headers: all })
      }

      it('is let through with the tenant, the member and their principal', async () => {
        const response = await get(good)
        expect(response.status).to.equal(200)
        expect(await response.json()).to.deep.include({
          tenantId: 'coffeechain',
          memberId: 'CC1234567',
          principal: 'member:CC1234567',
          currency: 'stars',
        })
        expect(response.headers.get('x-ratelimit-limit')).to.equal('100')
        expect(Number(response.headers.get('x-ratelimit-remaining'))).to.be.within(0, 99)
        const secondsLeft = Number(response.headers.get('x-ratelimit-reset')) - Date.now() / 1000
        expect(secondsLeft).to.be.within(0, 61)
      })

      const cases: [string, Record<string, string | undefined>, number, string][] = [
        ['without a tenant', { 'X-Tenant-ID': undefined }, 400, 'validation-error'],
        ['with an unknown tenant', { 'X-Tenant-ID': 'nobody' }, 401, 'unauthorized'],
        ['with something that is no tenant id', { 'X-Tenant-ID': "'; drop table tenants" }, 401, 'unauthorized'],
        ['without a member', { 'X-CC-Member-ID': undefined }, 400, 'validation-error'],
        ['with a malformed member', { 'X-CC-Member-ID': 'CC123' }, 400, 'validation-error'],
        [
          'with a member id that only contains a good one',
          { 'X-CC-Member-ID': 'CC1234567/../' },
          400,
          'validation-error',
        ],
        ["with another tenant's member", { 'X-CC-Member-ID': 'TH7654321' }, 400, 'validation-error'],
        ['without a key', { 'X-CC-API-Key': undefined }, 401, 'unauthorized'],
        ['with a wrong key', { 'X-CC-API-Key': 'key-of-coffeechaim' }, 401, 'unauthorized'],
        ["with another tenant's key", { 'X-CC-API-Key': 'key-of-teahouse' }, 401, 'unauthorized'],
        ['with a key of immense length', { 'X-CC-API-Key': 'k'.repeat(8000) }, 401, 'unauthorized'],
        [
          'with a malformed member and a wrong key',
          { 'X-CC-Member-ID': 'x', 'X-CC-API-Key': 'x' },
          400,
          'validation-error',
        ],
      ]
      for (const [title, change, status, code] of cases) {
        it(`is refused ${title}, and counts against its address`, async () => {
          const response = await get({ ...good, ...change })
          expect(response.status).to.equal(status)
          expect(await response.json()).to.deep.include({ code })
          expect(response.headers.get('x-ratelimit-limit')).to.equal(String(ADDRESS_LIMIT))
          expect(response.headers.get('x-ratelimit-remaining')).to.equal(String(ADDRESS_LIMIT - 1))
          if (status === 401) expect(response.headers.has('www-authenticate')).to.equal(true)
        })
      }

      it('names the header that is wrong', async () => {
        const { errors } = (await (await get({ ...good, 'X-CC-Member-ID': 'x' })).json()) as { errors: unknown }
        expect(errors).to.deep.equal([{ field: 'X-CC-Member-ID', message: 'Must be a member id of this programme' }])
      })

      it('that is refused too often from one address is limited there, which costs the tenant nothing', async () => {
        const before = Number((await get(good)).headers.get('x-ratelimit-remaining'))
        const statuses: number[] = []
        for (let n = 0; n < ADDRESS_LIMIT + 1; n++) statuses.push((await get({ ...good, 'X-CC-API-Key': 'x' })).status)
        expect(statuses).to.deep.equal([401, 401, 401, 401, 401, 429])
        const after = await get(good)
        expect(after.status, 'a neighbour with good credentials').to.equal(200)
        expect(Number(after.headers.get('x-ratelimit-remaining'))).to.equal(before - 1)
      })

      it("beyond the tenant's limit is told when to come back, while other tenants are served", async () => {
        for (let n = 0; n < LIMITS.teahouse; n++) {
          // Whoever the member is: the tenant's requests are counted together.
          expect((await get({ ...other, 'X-CC-Member-ID': `TH000000${n}` })).status).to.equal(200)
        }
        const limited = await get(other)
        expect(limited.status).to.equal(429)
        expect(limited.headers.get('x-ratelimit-remaining')).to.equal('0')
        const body = (await limited.json()) as Record<string, unknown>
        expect(body).to.include({ code: 'rate-limit', detail: 'Rate limit exceeded. Please try again later.' })
        expect(limited.headers.get('retry-after')).to.equal(String(body.retry_after))
        expect((await get(good)).status).to.equal(200)
      })
    })
  }

  it('carries X-Mock-Error in test mode only', async () => {
    const headers = { ...good, 'X-Mock-Error': 'api-timeout' }
    expect(await (await (apps.command as TestApp).fetch('/api/me', { headers })).json()).to.include({
      mockError: 'api-timeout',
    })
    const findTenant = createTenantLookup({ pool: store.pool, ring })
    const consumeLimit = createRateLimiter({ redis: store.redis, keyPrefix: fixture.keyPrefix, metrics: store.metrics })
    const production = await startTestApp((app) => {
      app.use(memberAuth({ findTenant, consumeLimit, addressLimitPerMinute: 5, testMode: false }))
      app.get('/api/me', (_req, res) => void res.json(memberRequest(res)))
    })
    expect(await (await production.fetch('/api/me', { headers })).json()).to.not.have.property('mockError')
    await production.stop()
  })

  // Last, and in a group of its own, because mocha runs a group's own tests before its groups.
  describe('while command-api is away', () => {
    it('is served by query-api from memory, to those it knows', async () => {
      const { command, query } = apps as { command: TestApp; query: TestApp }
      expect((await query.fetch('/api/me', { headers: good })).status).to.equal(200)
      await command.stop()
      expect((await query.fetch('/api/me', { headers: good })).status).to.equal(200)
      const stranger = await query.fetch('/api/me', { headers: { ...good, 'X-CC-Member-ID': 'CC0000009' } })
      expect(stranger.status).to.equal(503)
    })
  })
})
