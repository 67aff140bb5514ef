// Part of promise P12. Sabotage seen to fail: keeping tenants in memory for two seconds; storing the partner key as it is.
import { randomBytes } from 'node:crypto'
import { requireService } from '@portolan/infra/http/service-auth.ts'
import { withTenant } from '@portolan/infra/postgres.ts'
import { startTestApp, type TestApp } from '@portolan/infra/testing/test-app.ts'
import { expect } from 'chai'
import { createStoreFixture } from '../event-store/store-fixture.ts'
import { parseKeyRing } from '../personal-data/key-ring.ts'
import { coffeechainSettings } from './coffeechain.ts'
import { createTenantRoutes } from './routes.ts'
import { setTenant } from './set-tenant.ts'
import { createTenantLookup, credentialHash } from './tenants.ts'

const TOKEN = 'a-service-token-of-tests'
const listed = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const oldKey = listed('old')
const newKey = listed('new')
const ring = parseKeyRing('PERSONAL_DATA_KEYS', oldKey)
const seeder = { actor: { kind: 'service' as const, id: 'seed' }, correlationId: 'seed-1', causationId: null }
const secrets = { credential: 'credential-of-members', partnerApiKey: 'key-towards-partner' }

describe('a tenant', () => {
  let fixture: Awaited<ReturnType<typeof createStoreFixture>>
  let store: Awaited<ReturnType<typeof fixture.open>>
  let tenants = 0
  const newSettings = () =>
    coffeechainSettings({
      tenantId: `tenant-${tenants++}`,
      requestsPerMinute: 100,
      partnerBaseUrl: 'http://127.0.0.1:8001',
    })
  const set = (settings = newSettings(), its = secrets, keys = ring) =>
    setTenant({ handle: store.handle, pool: store.pool, ring: keys }, seeder, settings, its)

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
  })
  after(() => fixture.close())

  it('is found with its settings, the hash of its credential and the key towards its partner', async () => {
    const settings = newSettings()
    expect(await set(settings)).to.deep.equal(['TenantRegistered'])
    const tenant = await createTenantLookup({ pool: store.pool, ring })(settings.tenantId)
    expect(tenant?.settings).to.deep.equal(settings)
    expect(tenant?.credentialSha256.equals(credentialHash(secrets.credential))).to.equal(true)
    expect(tenant?.partnerApiKey).to.equal(secrets.partnerApiKey)
  })

  it('set again to the same is left alone; new settings and new secrets each have their event', async () => {
    const settings = newSettings()
    await set(settings)
    expect(await set(settings)).to.deep.equal([])
    expect(await set({ ...settings, name: 'Renamed' })).to.deep.equal(['TenantSettingsChanged'])
    expect(await set({ ...settings, name: 'Renamed' }, { ...secrets, credential: 'rerolled' })).to.deep.equal([
      'TenantSettingsChanged',
    ])
    expect(await set({ ...settings, name: 'Renamed' }, { ...secrets, credential: 'rerolled' })).to.deep.equal([])
  })

  it('registered by two at once has one registration', async () => {
    const settings = newSettings()
    const appended = await Promise.all([set(settings), set(settings)])
    expect(appended.flat().filter((type) => type === 'TenantRegistered')).to.have.length(1)
  })

  it('has no secret in any event or table', async () => {
    await set()
    const { rows: tables } = await fixture.admin.query("select tablename from pg_tables where schemaname = 'public'")
    for (const { tablename } of tables) {
      const { rows } = await fixture.admin.query(`select row_to_json(t)::text as row from ${tablename} t`)
      const text = rows.map(({ row }) => row).join()
      for (const secret of Object.values(secrets)) {
        expect(text, tablename).to.not.include(secret)
        expect(text, tablename).to.not.include(Buffer.from(secret).toString('hex'))
      }
    }
  })

  it("is hidden by the database from another tenant's transaction", async () => {
    const settings = newSettings()
    await set(settings)
    for (const text of ['select * from tenants', 'select * from tenant_secrets']) {
      const [result] = await withTenant(store.pool, 'other', [{ text }])
      expect(result?.rowCount).to.equal(0)
      expect((await store.pool.query(text)).rowCount).to.equal(0)
      const [own] = await withTenant(store.pool, settings.tenantId, [{ text }])
      expect(own?.rowCount).to.equal(1)
    }
  })

  it('changes everywhere within a second, a revoked credential included', async () => {
    let time = 0
    const settings = newSettings()
    await set(settings)
    const find = createTenantLookup({ pool: store.pool, ring, now: () => time })
    const before = await find(settings.tenantId)
    await set(settings, { ...secrets, credential: 'rerolled' })
    time = 999
    expect(await find(settings.tenantId)).to.equal(before)
    time = 1000
    expect((await find(settings.tenantId))?.credentialSha256.equals(credentialHash('rerolled'))).to.equal(true)
  })

  it('keeps its secrets through a rotation of the environment key', async () => {
    const settings = newSettings()
    await set(settings)
    const rotated = parseKeyRing('PERSONAL_DATA_KEYS', `${newKey},${oldKey}`)
    const tenant = await createTenantLookup({ pool: store.pool, ring: rotated })(settings.tenantId)
    expect(tenant?.partnerApiKey).to.equal(secrets.partnerApiKey)
    const withoutOld = parseKeyRing('PERSONAL_DATA_KEYS', newKey)
    const find = createTenantLookup({ pool: store.pool, ring: withoutOld })
    expect((await find(settings.tenantId).catch((error) => error)).message).to.include('lacks key old')
    expect(await set(settings, secrets, rotated), 'sealing anew is no change').to.deep.equal([])
    expect((await find(settings.tenantId))?.partnerApiKey).to.equal(secrets.partnerApiKey)
  })

  it('does not exist under an id that is none', async () => {
    const find = createTenantLookup({ pool: store.pool, ring })
    for (const id of ['nobody', '', '../x', "x'; drop table tenants", 'X'.repeat(500)]) {
      expect(await find(id)).to.equal(null)
    }
  })

  describe('behind GET /internal/tenants/:tenantId', () => {
    let app: TestApp
    const get = (id: string, token = TOKEN) =>
      app.fetch(`/internal/tenants/${id}`, { headers: { authorization: `Bearer ${token}` } })

    before(async () => {
      app = await startTestApp((routes) => {
        routes.use('/internal', requireService(TOKEN))
        routes.use(createTenantRoutes({ findTenant: createTenantLookup({ pool: store.pool, ring }) }))
      })
    })
    after(() => app.stop())

    it('is answered with settings and the key towards its partner, never with its credential', async () => {
      const settings = newSettings()
      await set(settings)
      const response = await get(settings.tenantId)
      expect(response.headers.get('cache-control')).to.equal('no-store')
      expect(await response.json()).to.deep.equal({ settings, secrets: { partnerApiKey: secrets.partnerApiKey } })
    })

    it('is not found when unknown, and not told without the service token', async () => {
      expect((await get('nobody')).status).to.equal(404)
      expect((await get('nobody', 'wrong')).status).to.equal(401)
    })
  })
})
