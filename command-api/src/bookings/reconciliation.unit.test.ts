/**
 * Unknown deductions, concluded by comparing balances. Seen failing when: a reading counts by when it is reported instead of when it was due;
 * the balance a reset returns to is believed; a reading from after the deadline is compared; an amount without a transaction id is not owed.
 */
import { expect } from 'chai'
import { type BookingSpec, held, minute, outcomes, second, unknownDeduction } from './booking-spec.ts'

/** Each reading falls due in its turn and says `balance`, until the question is answered. Returns how long that took in ms. */
function read(s: BookingSpec, balance: number): number {
  const sinceMs = Date.parse(s.fact('OutcomeUnknown').at)
  s.whileOpen('reconcile-movement', () => s.falls('reconcile-movement', { balance, readAt: s.member.now }))
  return s.member.nowMs - sinceMs
}

describe('an unknown deduction of 35,000 stars from 100,000', () => {
  it('is first looked at after five seconds and asks for nothing but the balance', () => {
    const s = unknownDeduction()
    const { dueAt, deadline, input } = s.step('reconcile-movement')
    expect(Date.parse(dueAt) - s.member.nowMs).to.equal(5 * second)
    expect(deadline).to.equal(s.fact('OutcomeUnknown').reconcileUntil)
    expect(input).to.include({ of: 'deduct', movementId: 'bkg_1:deduct:1' })
  })

  it('happened when 65,000 are left; the tickets are issued', () => {
    const s = unknownDeduction()
    expect(read(s, 65_000)).to.equal(5 * second)
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'PaymentDeducted'])
    expect(s.fact('OutcomeEstablished')).to.include({ happened: true, by: 'reconciliation' })
    expect(s.fact('PaymentDeducted').transactionId).to.equal(null)
    expect(s.accountFacts).to.deep.equal(['MovementSettled'])
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'issue-tickets'])
  })

  it('is owed when the tickets cannot be issued then, because no transaction id is known', () => {
    const s = unknownDeduction()
    read(s, 65_000)
    s.work('issue-tickets', outcomes.refused('offer-expired')).work('cancel-order', outcomes.cancelled)
    expect(s.facts).to.deep.equal(['OrderCancelled', 'RefundOwed', 'BookingFailed'])
  })

  it('did not happen when 100,000 are still there after a minute; the booking fails', () => {
    const s = unknownDeduction()
    expect(read(s, 100_000)).to.equal(minute)
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'CompensationStarted'])
    expect(s.fact('CompensationStarted').reason).to.equal('partner-timeout')
    expect(s.accountFacts).to.deep.equal(['MovementVoided'])
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('is not concluded from an early reading whose report comes late', () => {
    const s = unknownDeduction().after(5 * second)
    const readAt = s.member.now
    s.after(10 * minute).report('reconcile-movement', { kind: 'succeeded', result: { balance: 100_000, readAt } })
    expect(s.fact('AttemptEnded')).to.include({ outcome: 'not-done', code: 'balance-unchanged' })
    expect(s.booking.unknown).not.to.equal(null)
  })

  for (const [balance, why] of [
    [64_993, 'something else was spent as well'],
    [99_993, 'something else was spent'],
    [135_000, 'stars came in'],
  ] as const) {
    it(`goes to an operator when ${balance} are left, because ${why}`, () => {
      const s = unknownDeduction()
      expect(read(s, balance)).to.equal(5 * second)
      expect(s.facts).to.deep.equal(['OperatorNeeded'])
      expect(s.fact('OperatorNeeded')).to.include({ step: 'deduct', attempt: 1, why: 'inconclusive-balance' })
      expect(s.member.account.open?.unknown).to.equal(true)
    })
  }

  it('goes to an operator when the balance is what the partner’s reset returns to', () => {
    const s = unknownDeduction({ resetBalance: 100_000 })
    read(s, 100_000)
    expect(s.facts).to.deep.equal(['OperatorNeeded'])
  })

  it('goes to an operator when a resetting partner is read too late to compare', () => {
    const s = unknownDeduction({ resetBalance: 150_000 }).after(16 * minute)
    s.report('reconcile-movement', { kind: 'succeeded', result: { balance: 65_000, readAt: s.member.now } })
    expect(s.facts).to.deep.equal(['OperatorNeeded'])
  })

  it('goes to an operator when the partner cannot be asked for a quarter of an hour', () => {
    const s = unknownDeduction()
    s.whileOpen('reconcile-movement', () => {
      s.at(s.step('reconcile-movement').dueAt).report('reconcile-movement', outcomes.unavailable)
    })
    expect(s.facts).to.deep.equal(['OperatorNeeded'])
    expect(s.member.nowMs).to.be.at.most(Date.parse(s.fact('OutcomeUnknown').reconcileUntil))
  })

  describe('that nobody looked at for an hour, because the workers were away', () => {
    const away = () => unknownDeduction().after(60 * minute)
    const look = (s: BookingSpec, balance: number) =>
      s.report('reconcile-movement', { kind: 'succeeded', result: { balance, readAt: s.member.now } })

    it('is concluded by the late reading when that says it happened', () => {
      expect(look(away(), 65_000).facts).to.deep.equal(['OutcomeEstablished', 'PaymentDeducted'])
    })

    it('is looked at once more when the balance is unchanged, and then did not happen', () => {
      const s = look(away(), 100_000)
      expect(s.booking.operator).to.equal(null)
      expect(read(s, 100_000)).to.equal(60 * minute + 5 * second)
      expect(s.facts).to.deep.equal(['OutcomeEstablished', 'CompensationStarted'])
    })

    it('goes to an operator when the partner cannot be asked then either', () => {
      const s = away().report('reconcile-movement', outcomes.unavailable)
      expect(s.booking.operator).to.equal(null)
      s.at(s.step('reconcile-movement').dueAt).report('reconcile-movement', outcomes.unavailable)
      expect(s.facts).to.deep.equal(['OperatorNeeded'])
    })
  })

  it('goes to an operator when the partner does not know the member any more', () => {
    const s = unknownDeduction()
      .after(5 * second)
      .report('reconcile-movement', outcomes.refused('member-not-found'))
    expect(s.fact('OperatorNeeded')).to.include({ step: 'deduct', why: 'member-not-found' })
  })

  it('keeps its question when a reading itself times out', () => {
    const s = unknownDeduction()
      .after(5 * second)
      .report('reconcile-movement', outcomes.timeout)
    expect(s.booking.unknown?.step).to.equal('deduct')
    expect(s.step('reconcile-movement').attempt).to.equal(2)
  })

  it('that did not happen fails as partner-unavailable when the partner had answered 500', () => {
    const s = held().work('deduct', outcomes.serverError)
    read(s, 100_000)
    expect(s.fact('CompensationStarted').reason).to.equal('partner-unavailable')
  })
})
