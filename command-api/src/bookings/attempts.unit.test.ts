/**
 * Claims, balances, watches and reports. Seen failing when: a claimed attempt is granted again; a late or foreign report is believed from any
 * execution; a movement starts while another is open; a lost call counts as never sent; a deadline or a hold that ran out is not looked at;
 * the failed job of a watch counts as a failed watch; a balance other than the recorded one allows the call.
 * Reports that contradict a conclusion: disputes.unit.test.ts.
 */
import { expect } from 'chai'
import {
  type BookingSpec,
  held,
  hour,
  minute,
  outcomes,
  paid,
  requested,
  SpecMember,
  second,
  unknownDeduction,
} from './booking-spec.ts'

const stranger = '99999999-0000-4000-8000-000000000000'

/** A deduction whose worker recorded the balance, called, and was never heard of again. */
function lostDeduction(): BookingSpec {
  const s = held()
  s.start('deduct')
  s.recordBalance('deduct', 100_000)
  return s.falls('attempt-watch')
}

describe('a step that is due', () => {
  it('is claimed by the first execution and watched from then on', () => {
    const s = held()
    expect(s.start('deduct')).to.equal('granted')
    expect(s.accountFacts).to.deep.equal(['MovementOpened'])
    expect(s.step('attempt-watch').input).to.include({ of: 'deduct', ofAttempt: 1 })
  })

  it('is lost when nothing was heard by callBefore, the call’s timeout and 40 s', () => {
    const s = held()
    const startedMs = s.member.nowMs
    s.start('deduct')
    expect(Date.parse(s.step('attempt-watch').dueAt) - startedMs).to.equal((5 + 10 + 40) * second)
  })

  it('is granted again to the same execution, whose answer was lost, without a second claim', () => {
    const s = held()
    const executionId = s.member.newExecution()
    s.start('deduct', executionId)
    expect(s.start('deduct', executionId)).to.equal('granted')
    expect(s.appended).to.deep.equal([])
  })

  it('is refused to any other execution', () => {
    const s = requested()
    s.start('place-hold')
    expect(s.start('place-hold')).to.equal('over')
    expect(s.appended).to.deep.equal([])
  })

  it('is refused under an attempt number that is not open', () => {
    const s = held()
    expect(s.start('deduct', stranger, 2)).to.equal('over')
    s.work('deduct', outcomes.deducted)
    expect(s.start('deduct', stranger, 1)).to.equal('over')
  })

  it('is ended instead of claimed after its deadline', () => {
    const s = held().after(30 * second + 1)
    expect(s.start('deduct')).to.equal('over')
    expect(s.fact('AttemptEnded')).to.include({ step: 'deduct', outcome: 'not-done', code: 'deadline-passed' })
    expect(s.fact('CompensationStarted').reason).to.equal('partner-unavailable')
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('may still be claimed at its deadline', () => {
    expect(
      held()
        .after(30 * second)
        .start('deduct'),
    ).to.equal('granted')
  })

  it('that gives back goes to an operator after its deadline', () => {
    const s = paid()
      .work('issue-tickets', outcomes.refused('offer-unavailable'))
      .after(24 * hour + 1)
    expect(s.start('refund')).to.equal('over')
    expect(s.facts).to.deep.equal(['OperatorNeeded'])
  })

  it('ends when a worker reports that it could not start', () => {
    const s = held().report('deduct', outcomes.unavailable, { executionId: stranger })
    expect(s.step('deduct').attempt).to.equal(2)
  })

  it('that nobody claimed cannot have succeeded', () => {
    expect(held().report('deduct', outcomes.deducted, { executionId: stranger }).appended).to.deep.equal([])
  })
})

describe('a step of a booking whose hold has run out', () => {
  it('is not claimed; the booking expires in the same command', () => {
    const s = requested()
      .work('place-hold', outcomes.held('2026-11-21T12:00:20.000Z'))
      .after(20 * second)
    expect(s.start('deduct')).to.equal('over')
    expect(s.facts).to.deep.equal(['CompensationStarted'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.fact('BookingExpired').reason).to.equal('hold-expired')
  })
})

describe('a second movement of one member', () => {
  function twoBookings() {
    const member = new SpecMember()
    const first = requested({ member, holdable: false })
    const second = requested({ member, holdable: false, bookingId: 'bkg_2' })
    first.start('deduct')
    return { first, second, member }
  }

  it('waits while another one is open', () => {
    const { second, member } = twoBookings()
    expect(second.start('deduct')).to.equal('busy')
    expect(second.appended).to.deep.equal([])
    expect(member.account.open?.bookingId).to.equal('bkg_1')
  })

  it('waits while another one is unknown', () => {
    const { first, second } = twoBookings()
    first.recordBalance('deduct', 100_000)
    first.report('deduct', outcomes.timeout)
    expect(second.start('deduct')).to.equal('busy')
  })

  it('may start once the other one is settled', () => {
    const { first, second } = twoBookings()
    first.recordBalance('deduct', 100_000)
    first.report('deduct', outcomes.deducted)
    expect(second.start('deduct')).to.equal('granted')
  })

  it('fails when it had to wait for longer than 30 s, and leaves the other one alone', () => {
    const { second, member } = twoBookings()
    second.after(30 * 1000).report('deduct', { kind: 'not-done', code: 'deadline-passed', retryAfterMs: 0 })
    expect(second.fact('BookingFailed').reason).to.equal('partner-unavailable')
    expect(member.account.open?.bookingId).to.equal('bkg_1')
  })
})

describe('a claimed deduction', () => {
  it('may be called once its balance is recorded', () => {
    const s = held()
    s.start('deduct')
    expect(s.recordBalance('deduct', 100_000)).to.equal(true)
    expect(s.accountFacts).to.deep.equal(['BalanceRecorded'])
  })

  it('may be called when the same balance is recorded again', () => {
    const s = held()
    s.start('deduct')
    s.recordBalance('deduct', 100_000)
    expect(s.recordBalance('deduct', 100_000)).to.equal(true)
    expect(s.appendedToAccount).to.deep.equal([])
  })

  it('may not be called with another balance than the recorded one, nor by another execution', () => {
    const s = held()
    s.start('deduct')
    s.recordBalance('deduct', 100_000)
    expect(s.recordBalance('deduct', 99_999)).to.equal(false)
    expect(s.recordBalance('deduct', 100_000, { executionId: stranger })).to.equal(false)
  })

  it('may not be called any more after its watch', () => {
    const s = held()
    const executionId = s.member.newExecution()
    s.start('deduct', executionId)
    s.falls('attempt-watch')
    expect(s.recordBalance('deduct', 100_000, { attempt: 1, executionId })).to.equal(false)
  })

  it('ignores reports of executions that do not hold the claim', () => {
    const s = held()
    s.start('deduct')
    for (const executionId of [stranger, null]) {
      expect(s.report('deduct', outcomes.unavailable, { executionId }).appended).to.deep.equal([])
      expect(s.report('deduct', outcomes.deducted, { executionId }).appended).to.deep.equal([])
    }
  })

  it('is recorded once however often it is reported', () => {
    const s = held()
    s.start('deduct')
    s.recordBalance('deduct', 100_000)
    const executionId = s.executionOf('deduct')
    s.report('deduct', outcomes.deducted)
    expect(s.report('deduct', outcomes.deducted, { attempt: 1, executionId }).appended).to.deep.equal([])
    expect(s.appendedToAccount).to.deep.equal([])
  })

  it('is not lost while its watch is early', () => {
    const s = held()
    s.start('deduct')
    s.after(54 * second).report('attempt-watch', { kind: 'succeeded', result: {} })
    expect(s.openSteps).to.include('deduct')
    expect(s.step('attempt-watch')).to.include({ attempt: s.booking.attempts['attempt-watch'] })
    expect(s.falls('attempt-watch').openSteps).not.to.include('deduct')
  })

  it('that is lost without a recorded balance was never called: it did not happen', () => {
    const s = held()
    s.start('deduct')
    s.falls('attempt-watch')
    expect(s.facts).to.deep.equal(['CompensationStarted'])
    expect(s.accountFacts).to.deep.equal(['MovementVoided'])
    expect(s.member.account.open).to.equal(null)
  })

  it('that is lost after its balance was recorded is unknown', () => {
    const s = lostDeduction()
    expect(s.facts).to.deep.equal(['OutcomeUnknown'])
    expect(s.accountFacts).to.deep.equal(['MovementUnknown'])
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'reconcile-movement'])
  })
})

describe('a claimed order', () => {
  it('that is lost is unknown, whatever it was', () => {
    const s = requested()
    s.start('place-hold')
    expect(s.falls('attempt-watch').fact('OutcomeUnknown')).to.include({ step: 'place-hold', code: 'no-report' })
  })
})

describe('a watch', () => {
  it('counts as due even when its worker failed', () => {
    const s = requested()
    s.start('place-hold')
    s.at(s.step('attempt-watch').dueAt).report('attempt-watch', outcomes.unavailable)
    expect(s.facts).to.deep.equal(['OutcomeUnknown'])
  })

  it('of an attempt that was reported changes nothing', () => {
    const s = held()
    s.after(hour).report('attempt-watch', { kind: 'succeeded', result: {} }, { attempt: 1 })
    expect(s.appended).to.deep.equal([])
  })
})

describe('a report that comes after its attempt was declared unknown', () => {
  const late = { attempt: 1, executionId: '00000000-0000-4000-8000-000000000002' }

  it('settles the deduction with its transaction id', () => {
    const s = lostDeduction().after(minute).report('deduct', outcomes.deducted, late)
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'PaymentDeducted'])
    expect(s.fact('OutcomeEstablished')).to.include({ happened: true, by: 'report' })
    expect(s.fact('PaymentDeducted').transactionId).to.equal('txn_1')
    expect(s.accountFacts).to.deep.equal(['MovementSettled'])
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'issue-tickets'])
  })

  it('is believed only from the execution that held the claim', () => {
    for (const executionId of [stranger, null]) {
      const s = lostDeduction().report('deduct', outcomes.unavailable, { attempt: 1, executionId })
      expect(s.appended).to.deep.equal([])
      expect(s.appendedToAccount).to.deep.equal([])
    }
  })

  it('fails the booking when the deduction was refused', () => {
    const s = lostDeduction().report('deduct', outcomes.refused('insufficient-balance', { available: 5 }), late)
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'CompensationStarted'])
    expect(s.fact('CompensationStarted')).to.include({ reason: 'insufficient-balance', availableBalance: 5 })
    expect(s.accountFacts).to.deep.equal(['MovementVoided'])
  })

  it('fails the booking when the deduction was not done: what was unknown is not tried again', () => {
    const s = lostDeduction().report('deduct', outcomes.unavailable, late)
    expect(s.fact('CompensationStarted').reason).to.equal('partner-unavailable')
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('changes nothing when it does not know either', () => {
    expect(lostDeduction().report('deduct', outcomes.timeout, late).appended).to.deep.equal([])
    expect(lostDeduction().report('deduct', outcomes.accepted, late).appended).to.deep.equal([])
  })

  it('relieves the operator who was already asked', () => {
    const s = lostDeduction().after(hour)
    s.report('reconcile-movement', { kind: 'succeeded', result: { balance: 1, readAt: s.member.now } })
    expect(s.booking.operator).not.to.equal(null)
    s.report('deduct', outcomes.deducted, late)
    expect(s.openSteps).to.include('issue-tickets').and.not.to.include('operator-decision')
  })

  it('changes nothing after the question was answered alike', () => {
    const s = unknownDeduction().operator('happened', { transactionId: 'txn_1' })
    expect(s.report('deduct', outcomes.deducted, late).appended).to.deep.equal([])
  })

  it('makes a lost refund that was not done be tried again', () => {
    const s = paid().work('issue-tickets', outcomes.refused('offer-unavailable'))
    s.start('refund')
    s.recordBalance('refund', 65_000)
    const executionId = s.executionOf('refund')
    s.falls('attempt-watch').report('refund', outcomes.unavailable, { attempt: 1, executionId })
    expect(s.facts).to.deep.equal(['OutcomeEstablished'])
    expect(s.step('refund').attempt).to.equal(2)
  })

  it('turns a lost order that the supplier accepted into a polled one', () => {
    const s = paid()
    s.start('issue-tickets')
    const executionId = s.executionOf('issue-tickets')
    s.falls('attempt-watch')
    s.report('issue-tickets', { kind: 'accepted', result: { orderId: 'ord_1' } }, { attempt: 1, executionId })
    expect(s.facts).to.deep.equal(['SupplierAccepted'])
    expect(s.booking.unknown).to.equal(null)
    expect(s.openSteps).to.deep.equal(['poll-order'])
  })
})
