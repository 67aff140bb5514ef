/**
 * Holds that ran out while no worker could say so: whatever command meets one records it first. Seen failing when: the expiry is left out; it
 * is lost with a refusal; a hold expires although its tickets are being paid for.
 */
import { expect } from 'chai'
import { held, hour, minute, outcomes, paid } from './booking-spec.ts'

describe('a hold that is overdue', () => {
  it('expires inside the cancellation that meets it, and the cancellation goes on from there', () => {
    const s = held().after(hour).cancel()
    expect(s.facts).to.deep.equal(['CompensationStarted', 'CancellationRequested'])
    expect(s.fact('CompensationStarted')).to.include({ reason: 'hold-expired', to: 'expired' })
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('gives the stars back when they were deducted', () => {
    const s = paid().after(hour).cancel()
    expect(s.facts).to.deep.equal(['CompensationStarted', 'CancellationRequested'])
    s.work('cancel-order', outcomes.cancelled).work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('expires inside a decision about the unknown deduction, whose consequence is then the refund', () => {
    const s = held().work('deduct', outcomes.timeout).after(hour).operator('happened', { transactionId: 'txn_9' })
    expect(s.facts).to.deep.equal(['CompensationStarted', 'OperatorDecided', 'PaymentDeducted'])
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('expires although the command itself is refused', () => {
    const s = held().after(hour).approve()
    expect(s.facts).to.deep.equal(['CompensationStarted'])
    expect(s.refused).to.equal('not-pending-approval')
  })

  it('stands while its tickets are being paid for, or nobody knows whether they were', () => {
    const claimed = paid()
    claimed.start('issue-tickets')
    expect(claimed.after(hour).cancel().facts).to.deep.equal(['CancellationRequested'])
    const unknown = paid().work('issue-tickets', outcomes.timeout).after(hour).cancel()
    expect(unknown.facts).to.deep.equal(['CancellationRequested'])
  })

  it('is not overdue a moment before its time', () => {
    expect(
      held()
        .after(19 * minute)
        .cancel().facts,
    ).to.deep.equal(['CancellationRequested'])
  })
})
