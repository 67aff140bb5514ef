import { ConfigError, loadConfig } from '@portolan/infra/config.ts'
import { bookingSteps } from '@portolan/schemas/bookings/messages.ts'
import { expect } from 'chai'
import { bookingStepHandlers } from './bookings/steps.ts'
import { configSchema } from './config.ts'
import type { Outside } from './outside.ts'

const enough = { SERVICE_TOKEN: 'a-service-token-of-tests', DUFFEL_ACCESS_TOKEN: 'duffel_test_x' }

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(configSchema, env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe('the settings of workers', () => {
  it('need a service token and a Duffel token, under either name', () => {
    expect(problemsOf({})).to.have.length(2)
    expect(
      loadConfig(configSchema, { ...enough, DUFFEL_ACCESS_TOKEN: '', DUFFEL_API_KEY: 'duffel_test_y' }),
    ).to.include({
      duffelToken: 'duffel_test_y',
      partnerCallTimeoutMs: 10_000,
      supplierCallTimeoutMs: 130_000,
    })
  })

  it('refuse a live token unless it is wanted, and never quote it', () => {
    const live = { ...enough, DUFFEL_ACCESS_TOKEN: 'duffel_live_secret' }
    const [problem] = problemsOf(live)
    expect(problem).to.match(/^DUFFEL_ACCESS_TOKEN: is a live token/)
    expect(problem).to.not.include('secret')
    expect(problemsOf({ ...live, DUFFEL_ALLOW_LIVE: '1' })).to.deep.equal([])
  })

  it('refuse contradictions', () => {
    expect(problemsOf({ ...enough, PARTNER_CALL_TIMEOUT_MS: '35000' })).to.have.length(1)
    expect(problemsOf({ ...enough, NODE_ENV: 'production', TEST_MODE: 'true' })).to.have.length(1)
    expect(problemsOf({ ...enough, TENANT_KEPT_MS: '60001' })).to.have.length(1)
  })
})

describe('the steps of a booking', () => {
  const handlers = bookingStepHandlers({} as Outside, loadConfig(configSchema, enough))

  it('all have a handler, claimed where the language says so', () => {
    expect(Object.keys(handlers).sort()).to.deep.equal(Object.keys(bookingSteps).sort())
    for (const [step, { claimed }] of Object.entries(bookingSteps))
      expect(handlers[step]?.kind === 'claimed', step).to.equal(claimed)
  })
})
