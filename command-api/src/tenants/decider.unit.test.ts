import { Rejection } from '@portolan/schemas/errors.ts'
import { type TenantSettings, tenantSettingsSchema } from '@portolan/schemas/tenants/messages.ts'
import { expect } from 'chai'
import { coffeechainSettings } from './coffeechain.ts'
import { decideTenant, type TenantState, tenantStreamType } from './decider.ts'

const NOW = '2026-11-21T10:00:00.000Z'
const settings = coffeechainSettings({ requestsPerMinute: 100, partnerBaseUrl: 'http://127.0.0.1:8001' })
const decide = (state: TenantState, wanted: TenantSettings = settings, hasNewSecrets = false) =>
  decideTenant({ settings: wanted, hasNewSecrets }, state, NOW)
const registered: TenantState = { status: 'registered', settings }
const unknown = tenantStreamType.initialState()

describe('an unknown tenant', () => {
  it('is registered with its settings', () => {
    const events = decide(unknown)
    expect(events).to.deep.equal([{ type: 'TenantRegistered', data: { settings, at: NOW } }])
    expect(events.reduce(tenantStreamType.evolve, unknown)).to.deep.equal(registered)
  })

  for (const [title, change] of [
    ["with the platform's own name", { tenantId: 'platform' }],
    ['whose member id pattern is not anchored', { memberIdPattern: 'CC\\d{7}' }],
    ['whose member id pattern is no regular expression', { memberIdPattern: '^(CC$' }],
  ] as const) {
    it(`is refused ${title}`, () => {
      expect(() => decide(unknown, { ...settings, ...change })).to.throw(Rejection, 'validation-error')
    })
  }
})

describe('a registered tenant', () => {
  it('is left alone when nothing differs, in whatever order its settings come back from a database', () => {
    expect(decide(registered)).to.deep.equal([])
    const reversed = Object.fromEntries(Object.entries(settings).reverse()) as TenantSettings
    expect(decide({ status: 'registered', settings: reversed })).to.deep.equal([])
  })

  it('is changed as a whole', () => {
    const changed = { ...settings, limits: { requestsPerMinute: 10 } }
    const events = decide(registered, changed)
    expect(events).to.deep.equal([{ type: 'TenantSettingsChanged', data: { settings: changed, at: NOW } }])
    expect(events.reduce(tenantStreamType.evolve, registered)).to.deep.equal({
      status: 'registered',
      settings: changed,
    })
  })

  it('is refused a limit towards its partner under which no movement could ever begin', () => {
    const partner = { ...settings.partner, requestsPerMinute: 1 }
    expect(() => decide(registered, { ...settings, partner })).to.throw('partner.requestsPerMinute: Must be 2 or more')
    expect(decide(registered, { ...settings, partner: { ...partner, requestsPerMinute: 2 } })).to.have.length(1)
  })

  it('has an event for new secrets, which does not carry them', () => {
    expect(decide(registered, settings, true)).to.deep.equal([
      { type: 'TenantSettingsChanged', data: { settings, at: NOW } },
    ])
  })
})

describe('CoffeeChain', () => {
  it('is what the contract documents', () => {
    expect(tenantSettingsSchema.parse(settings)).to.deep.include({
      tenantId: 'coffeechain',
      currency: { name: 'stars', perCentNumerator: 1, perCentDenominator: 1 },
      limits: { requestsPerMinute: 100 },
      rules: {
        approvalThreshold: 50_000,
        approvalReason: 'Booking exceeds 50,000 stars limit',
        allowedCabins: ['economy', 'premium_economy', 'business', 'first'],
      },
    })
    expect('CC1234567').to.match(new RegExp(settings.memberIdPattern))
    expect('XCC1234567').to.not.match(new RegExp(settings.memberIdPattern))
  })

  it('has tenants of its kind under other names and with other rules', () => {
    const teahouse = { tenantId: 'teahouse', name: 'Teahouse', memberIdPattern: '^TH\\d{7}$', approvalThreshold: null }
    const other = coffeechainSettings({ ...teahouse, requestsPerMinute: 100, partnerBaseUrl: 'http://127.0.0.1:8001' })
    expect(tenantSettingsSchema.parse(other)).to.deep.include({ tenantId: 'teahouse', memberIdPattern: '^TH\\d{7}$' })
    expect(other.rules.approvalThreshold).to.equal(null)
    const strict = coffeechainSettings({
      ...other,
      requestsPerMinute: 100,
      partnerBaseUrl: '',
      approvalThreshold: 1500,
    })
    expect(strict.rules.approvalReason).to.equal('Booking exceeds 1,500 stars limit')
  })
})
