/** Seen failing: with the sample loaded whatever NODE_ENV says. */
import { expect } from 'chai'
import { type ProcessPlan, seedEnvironment } from './processes.ts'

const plan = (isOurs: boolean, env: Record<string, string>): ProcessPlan => ({
  name: 'a process',
  entry: 'main.ts',
  port: 1,
  portVariable: 'A_PORT',
  heapMb: 1,
  env,
  isOurs,
})

describe('the environment of the seed', () => {
  it('asks for the sample of stays, in production only where somebody does', () => {
    const asked = (env: NodeJS.ProcessEnv) => seedEnvironment(env, []).SEED_STAYS
    expect(asked({})).to.equal('true')
    expect(asked({ SEED_STAYS: '' })).to.equal('true')
    expect(asked({ SEED_STAYS: 'false' })).to.equal('false')
    expect(asked({ NODE_ENV: 'production' })).to.equal('false')
    expect(asked({ NODE_ENV: 'production', SEED_STAYS: 'true' })).to.equal('true')
  })

  it('is that of our processes, not of stand-ins', () => {
    const plans = [plan(true, { WRITE_DATABASE_URL: 'ours' }), plan(false, { WRITE_DATABASE_URL: 'theirs' })]
    expect(seedEnvironment({ WRITE_DATABASE_URL: 'nobody', OTHER: 'kept' }, plans)).to.include({
      WRITE_DATABASE_URL: 'ours',
      OTHER: 'kept',
    })
  })
})
