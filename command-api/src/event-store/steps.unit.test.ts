import type { OpenStep, WantedStep } from '@portolan/schemas/steps.ts'
import { expect } from 'chai'
import { evolveSteps, reconcileSteps, type StepEvent } from './steps.ts'

const wanted = (step: string, attempt = 1): WantedStep => ({
  step,
  attempt,
  dueAt: '2026-11-21T10:00:00.000Z',
  deadline: '2026-11-21T11:00:00.000Z',
  input: { of: step },
})
const requested = (step: string, attempt = 1): StepEvent => ({ type: 'StepRequested', data: wanted(step, attempt) })
const started = (step: string, attempt = 1): StepEvent => ({
  type: 'AttemptStarted',
  data: {
    step,
    attempt,
    executionId: '0f0c1c9e-1111-4222-8333-444455556666',
    callBefore: '2026-11-21T10:00:10.000Z',
    lostAt: '2026-11-21T10:01:00.000Z',
  },
})
const ended = (step: string, attempt = 1): StepEvent => ({
  type: 'AttemptEnded',
  data: { step, attempt, outcome: 'succeeded', code: null, retryAt: null, at: '2026-11-21T10:00:05.000Z' },
})
const opened = (...events: StepEvent[]) => events.reduce<readonly OpenStep[]>(evolveSteps, [])

describe('open steps', () => {
  it('hold a requested step until its attempt ends', () => {
    expect(opened(requested('deduct'))).to.deep.equal([{ ...wanted('deduct'), claim: null }])
    expect(opened(requested('deduct'), started('deduct'), ended('deduct'))).to.deep.equal([])
  })

  it('know the claim of a started attempt', () => {
    expect(opened(requested('deduct'), started('deduct'))[0]?.claim?.lostAt).to.equal('2026-11-21T10:01:00.000Z')
  })

  it('let a new attempt take the place of an older one, unclaimed', () => {
    const open = opened(requested('deduct'), started('deduct'), requested('deduct', 2))
    expect(open).to.deep.equal([{ ...wanted('deduct', 2), claim: null }])
  })

  it('ignore the end of another attempt and events that are no step events', () => {
    const open = opened(requested('deduct', 2), ended('deduct', 1))
    expect(open).to.have.length(1)
    expect(evolveSteps(open, { type: 'BookingExpired', data: {} })).to.equal(open)
  })
})

describe('reconciling open with wanted steps', () => {
  it('requests what is wanted and not open', () => {
    expect(reconcileSteps([], [wanted('deduct')])).to.deep.equal([requested('deduct')])
  })

  it('leaves what is open with the same attempt, whatever its due time became', () => {
    const later = { ...wanted('deduct'), dueAt: '2026-11-21T10:30:00.000Z' }
    expect(reconcileSteps(opened(requested('deduct')), [later])).to.deep.equal([])
  })

  it('requests the next attempt of an open unclaimed step without withdrawing the older one', () => {
    expect(reconcileSteps(opened(requested('deduct')), [wanted('deduct', 2)])).to.deep.equal([requested('deduct', 2)])
  })

  it('withdraws an unclaimed step that is no longer wanted', () => {
    expect(reconcileSteps(opened(requested('hold-expiry')), [])).to.deep.equal([
      { type: 'StepWithdrawn', data: { step: 'hold-expiry', attempt: 1, dueAt: wanted('hold-expiry').dueAt } },
    ])
  })

  it('never withdraws or replaces a claimed step', () => {
    const open = opened(requested('deduct'), started('deduct'))
    expect(reconcileSteps(open, [])).to.deep.equal([])
    expect(reconcileSteps(open, [wanted('deduct', 2)])).to.deep.equal([])
  })

  it('comes to rest: the events it names leave nothing more to do', () => {
    const want = [wanted('deduct', 2), wanted('attempt-watch')]
    const open = opened(requested('place-hold'), requested('deduct'))
    const settled = reconcileSteps(open, want).reduce(evolveSteps, open)
    expect(reconcileSteps(settled, want)).to.deep.equal([])
  })
})
