/** The internal lookup port, with and without Redis. */
import { expect } from 'chai'
import { start } from '../main.ts'
import { serviceToken } from '../testing/fake-command-api.ts'
import { type Scene, setScene } from '../testing/scene.ts'

describe('the lookup port', () => {
  let scene: Scene
  let running: Awaited<ReturnType<typeof start>>
  const memberId = 'CC1234567'
  const caller = { tenantId: 'coffeechain', correlationId: 'test' }

  before(async () => {
    scene = await setScene()
    // Nothing listens at this Redis: look-ups have to live without it.
    const config = scene.config({
      REDIS_URL: 'redis://127.0.0.1:1',
      HEALTH_PROBE_TIMEOUT_MS: '200',
      HEALTH_PROBE_KEPT_MS: '1',
    })
    running = await start(config, { logger: scene.logger })
  })
  beforeEach(() => scene.clean())
  after(async () => {
    await running?.stop()
    await scene?.strike()
  })

  async function ask(name: string, body: unknown, token = serviceToken) {
    const response = await fetch(`${running.url}/internal/lookups/${name}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as Record<string, unknown>
    return { status: response.status, answer, code: answer.code }
  }

  const search = (origin: string, destination: string, deadlineMs = 5_000) => ({
    ...caller,
    deadlineMs,
    search: {
      origin,
      destination,
      departureDate: new Date(Date.now() + 40 * 86_400_000).toISOString().slice(0, 10),
      returnDate: null,
      passengers: { adults: 1, children: 0, infants: 0 },
      cabinClass: 'economy',
    },
  })

  it('finds flights', async () => {
    const { status, answer } = await ask('flight-search', search('JFK', 'LAX'))
    expect(status).to.equal(200)
    expect((answer.offers as unknown[]).length).to.be.above(3)
    expect((await ask('flight-search', search('PVD', 'RAI'))).answer).to.deep.equal({ offers: [] })
  })

  it('says within the deadline that a search took too long', async () => {
    const startedAt = Date.now()
    expect(await ask('flight-search', search('STN', 'LHR', 300))).to.include({ status: 504, code: 'partner-timeout' })
    expect(Date.now() - startedAt).to.be.below(1_500)
  })

  it('reads a balance, and says what stands in the way', async () => {
    const balance = (fields: Record<string, unknown> = {}) => ask('member-balance', { ...caller, memberId, ...fields })
    expect((await balance()).answer).to.deep.equal({ balance: 150_000, currency: 'stars', status: 'active' })
    expect(await balance({ memberId: 'CC9999999' })).to.include({ status: 404, code: 'member-not-found' })
    expect(await balance({ mockError: 'auth-failed' })).to.include({ status: 401, code: 'unauthorized' })
    expect(await balance({ mockError: 'true' })).to.include({ status: 502, code: 'partner-unavailable' })
    expect(await balance({ mockError: 'insufficient-balance' })).to.include({ status: 200 })
    await scene.coffeeChain.fault({ operation: 'balance', times: 1, effect: 'skip', answer: 'hang' })
    expect(await balance()).to.include({ status: 504, code: 'partner-timeout' })
    expect((await balance({ memberId: 7 })).status).to.equal(400)
  })

  it('asks the partner whether an approval is required', async () => {
    const check = (fields: Record<string, unknown>) =>
      ask('approval-check', { ...caller, memberId, amount: 100, bookingReference: 'bkg_1', ...fields })
    expect((await check({})).answer).to.deep.equal({ approvalRequired: false })
    expect((await check({ amount: 60_000 })).answer).to.deep.equal({ approvalRequired: true })
    expect((await check({ mockError: 'approval-required' })).answer).to.deep.equal({ approvalRequired: true })
    expect((await check({ amount: 0 })).status).to.equal(400)
  })

  it('says which of the others is healthy, however long one hangs', async () => {
    expect((await ask('health', undefined)).answer).to.deep.equal({ duffel_api: 'healthy', coffeechain_api: 'healthy' })
    await scene.coffeeChain.fault({ operation: 'health', times: 1, effect: 'skip', answer: 'hang' })
    const startedAt = Date.now()
    expect((await ask('health', undefined)).answer).to.include({ coffeechain_api: 'unhealthy' })
    expect(Date.now() - startedAt).to.be.below(1_500)
  })

  it('answers nobody without the service token', async () => {
    expect((await ask('health', undefined, 'wrong')).status).to.equal(401)
    expect((await ask('flight-search', search('JFK', 'LAX'), 'wrong')).status).to.equal(401)
  })

  it('shows breakers in its metrics', async () => {
    const text = await (await fetch(`${running.url}/metrics`)).text()
    expect(text).to.match(/portolan_breaker_state\{party="partner:coffeechain"[^}]*\} 0/)
    expect(text).to.match(/portolan_breaker_state\{party="duffel:orders"[^}]*\} 0/)
  })
})
