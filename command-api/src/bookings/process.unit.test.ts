/**
 * The process manager by itself; the scenarios of every other file check that it is stable and never reuses an attempt number. Seen failing when:
 * a watch keeps its number; attempts start at 1 again; steps are asked for while one is claimed; the window counts from the last attempt.
 */
import { expect } from 'chai'
import { confirmed, held, hour, minute, outcomes, paid, requested, second, times } from './booking-spec.ts'
import { nextSteps } from './process.ts'

/** How long after falling due the open step may still start, in ms. */
function windowOf(s: ReturnType<typeof requested>, step: string): number {
  const { dueAt, deadline } = s.step(step)
  return Date.parse(deadline) - Date.parse(dueAt)
}

describe('the steps of a booking', () => {
  it('go from the hold over the deduction to the tickets, one at a time, each watched while it is claimed', () => {
    const s = confirmed()
    const asked = s.events.flatMap((event) => (event.type === 'StepRequested' ? [event.data.step] : []))
    expect(asked.filter((step) => step !== 'attempt-watch' && step !== 'hold-expiry')).to.deep.equal([
      'place-hold',
      'deduct',
      'issue-tickets',
    ])
    expect(asked.filter((step) => step === 'attempt-watch')).to.have.length(3)
  })

  it('are none for a booking that does not exist, is confirmed or has ended', () => {
    expect(nextSteps(null, times)).to.deep.equal([])
    expect(nextSteps(confirmed().state, times)).to.deep.equal([])
    expect(nextSteps(requested().cancel().state, times)).to.deep.equal([])
  })

  it('name the booking and its member in every input', () => {
    const inputs = paid().events.flatMap((event) => (event.type === 'StepRequested' ? [event.data.input] : []))
    for (const input of inputs) expect(input).to.include({ bookingId: 'bkg_1', memberId: 'CC1234567' })
  })

  it('order and pay at the supplier’s own price', () => {
    const price = { supplierOfferId: 'off_1', supplierAmount: '350.00', supplierCurrency: 'USD' }
    expect(requested().step('place-hold').input).to.include(price)
    expect(paid().step('issue-tickets').input).to.include({ ...price, orderId: 'ord_1' })
  })

  it('may be late by 30 s before the tickets and by a day when giving back', () => {
    expect(windowOf(requested(), 'place-hold')).to.equal(30 * second)
    expect(windowOf(held(), 'deduct')).to.equal(30 * second)
    expect(windowOf(paid(), 'issue-tickets')).to.equal(30 * second)
    expect(windowOf(confirmed().cancel(), 'cancel-order')).to.equal(24 * hour)
    expect(windowOf(requested({ approval: true }).approve(), 'recheck-fare')).to.equal(15 * minute)
  })

  it('count their window from when they first fell due, however often they are tried', () => {
    const s = held()
    const { deadline } = s.step('deduct')
    s.after(second).work('deduct', outcomes.unavailable)
    expect(s.step('deduct')).to.include({ attempt: 2, deadline })
  })

  it('are withdrawn when the member cancels before a worker claims them', () => {
    const s = held().cancel()
    const withdrawn = s.appended.flatMap((event) => (event.type === 'StepWithdrawn' ? [event.data.step] : []))
    expect(withdrawn).to.have.members(['deduct', 'hold-expiry'])
  })
})
