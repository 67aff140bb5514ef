/**
 * Decisions of operators. Seen failing when: a repeated decision is taken for one about the next question; a decision about another attempt is
 * taken; settling a voided movement ends the movement of another booking; the queue's entry names the poll's attempt.
 */
import { expect } from 'chai'
import {
  type BookingSpec,
  confirmed,
  held,
  hour,
  outcomes,
  paid,
  refusal,
  requested,
  SpecMember,
  unknownDeduction,
} from './booking-spec.ts'

const refusedRefund = () =>
  paid()
    .work('issue-tickets', outcomes.refused('offer-unavailable'))
    .work('refund', outcomes.refused('unauthorized'), 65_000)
const unknownRefund = () =>
  paid().work('issue-tickets', outcomes.refused('offer-unavailable')).work('refund', outcomes.timeout, 65_000)
const order = { orderId: 'ord_1', bookingReference: 'ABC123' }

describe('a booking that waits for nobody', () => {
  it('needs no decision', () => {
    for (const s of [requested(), paid(), confirmed(), requested({ approval: true })])
      expect(refusal(() => s.operator('happened'))).to.equal('no-decision-needed')
  })
})

describe('an unknown deduction', () => {
  it('that an operator found goes on with its transaction id, so that it can be refunded', () => {
    const s = unknownDeduction().operator('happened', { transactionId: 'txn_7' })
    expect(s.facts).to.deep.equal(['OperatorDecided', 'PaymentDeducted'])
    expect(s.accountFacts).to.deep.equal(['MovementSettled'])
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'issue-tickets'])
    s.work('issue-tickets', outcomes.refused('offer-unavailable'))
    expect(s.step('refund').input.transactionId).to.equal('txn_7')
  })

  it('that an operator did not find fails the booking', () => {
    const s = unknownDeduction().operator('did-not-happen')
    expect(s.facts).to.deep.equal(['OperatorDecided', 'CompensationStarted'])
    expect(s.accountFacts).to.deep.equal(['MovementVoided'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.fact('BookingFailed').reason).to.equal('operator-decision')
  })

  it('is neither tried again nor owed', () => {
    expect(refusal(() => unknownDeduction().operator('retry'))).to.equal('validation-error')
    expect(refusal(() => unknownDeduction().operator('owe'))).to.equal('validation-error')
  })

  it('is decided once: the same decision about the same attempt changes nothing more', () => {
    const about = { step: 'deduct', attempt: 1 }
    const s = unknownDeduction().operator('happened', { about })
    expect(s.operator('happened', { about }).appended).to.deep.equal([])
    expect(refusal(() => s.operator('did-not-happen', { about }))).to.equal('no-decision-needed')
    expect(refusal(() => s.operator('happened'))).to.equal('no-decision-needed')
  })

  it('is not answered by a decision about another attempt', () => {
    const about = { step: 'refund', attempt: 1 }
    expect(refusal(() => unknownDeduction().operator('happened', { about }))).to.equal('conflict')
  })
})

describe('a decision that arrives again', () => {
  it('is not taken for one about the next question', () => {
    const about = { step: 'cancel-order', attempt: 1 }
    const s = confirmed().cancel().work('cancel-order', outcomes.timeout).operator('happened', { about })
    s.work('refund', outcomes.timeout, 65_000)
    expect(s.operator('happened', { about }).appended).to.deep.equal([])
    expect(s.booking.unknown?.step).to.equal('refund')
  })
})

describe('an unknown hold', () => {
  const unknownHold = () => requested().work('place-hold', outcomes.timeout)

  it('that an operator found goes on', () => {
    const s = unknownHold().operator('happened', order)
    expect(s.facts).to.deep.equal(['OperatorDecided', 'HoldPlaced'])
    expect(s.fact('HoldPlaced').payBy).to.equal(s.booking.offer.expiresAt)
    expect(s.openSteps).to.deep.equal(['deduct', 'hold-expiry'])
  })

  it('cannot be found without the order’s id', () => {
    expect(refusal(() => unknownHold().operator('happened'))).to.equal('validation-error')
  })

  it('that an operator did not find fails the booking', () => {
    expect(unknownHold().operator('did-not-happen').booking.phase).to.equal('failed')
  })
})

describe('tickets that only an operator can find', () => {
  const tickets = [{ passengerIndex: 0, ticketNumber: '0162345678901', seat: '23A' }]
  function neverAnswered(): BookingSpec {
    const s = paid().work('issue-tickets', outcomes.accepted)
    return s.whileOpen('poll-order', () => s.falls('poll-order', { found: false }))
  }

  it('confirm the booking when they were found', () => {
    const s = neverAnswered().operator('happened', { ...order, tickets })
    expect(s.facts).to.deep.equal(['OperatorDecided', 'BookingConfirmed'])
    expect(s.booking.tickets).to.deep.equal(tickets)
    expect(s.openSteps).to.deep.equal([])
  })

  it('give the stars back when they were not', () => {
    const s = neverAnswered().operator('did-not-happen')
    expect(s.booking.awaiting).to.equal(null)
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('are given back when they were found after the member cancelled', () => {
    const s = neverAnswered().cancel()
    expect(s.openSteps).to.deep.equal(['operator-decision'])
    expect(s.operator('happened', { ...order, tickets }).openSteps).to.deep.equal(['cancel-order'])
  })
})

describe('a cancellation the supplier refused', () => {
  const refused = () => confirmed().cancel().work('cancel-order', outcomes.refused('not-cancellable'))

  it('is done when the operator cancelled by hand', () => {
    const s = refused().operator('happened')
    expect(s.facts).to.deep.equal(['OperatorDecided', 'OrderCancelled'])
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('is tried again, in a new window, when the operator says so', () => {
    const s = refused()
      .after(25 * hour)
      .operator('retry')
    expect(s.step('cancel-order').attempt).to.equal(2)
    expect(s.start('cancel-order')).to.equal('granted')
  })

  it('cannot be owed', () => {
    expect(refusal(() => refused().operator('owe'))).to.equal('validation-error')
  })
})

describe('a refund that machines could not make', () => {
  it('is tried again when the operator says so', () => {
    const s = refusedRefund().operator('retry')
    expect(s.facts).to.deep.equal(['OperatorDecided'])
    expect(s.step('refund').attempt).to.equal(2)
  })

  it('is owed when the operator says so', () => {
    const s = refusedRefund().operator('owe')
    expect(s.facts).to.deep.equal(['OperatorDecided', 'RefundOwed'])
    expect(s.accountFacts).to.deep.equal(['RefundOwed'])
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('whose outcome was unknown ends its movement when it becomes owed', () => {
    const s = unknownRefund().operator('owe')
    expect(s.accountFacts).to.deep.equal(['MovementVoided', 'RefundOwed'])
    expect(s.member.account.open).to.equal(null)
  })

  it('is recorded as made when the operator found it', () => {
    const s = unknownRefund().operator('happened', { transactionId: 'ref_9' })
    expect(s.facts).to.deep.equal(['OperatorDecided', 'PaymentRefunded'])
    expect(s.fact('PaymentRefunded').refundId).to.equal('ref_9')
  })

  it('is recorded in the account under its own movement, whatever other movement is open', () => {
    const member = new SpecMember()
    const s = held({ member }).work('deduct', outcomes.deducted)
    s.work('issue-tickets', outcomes.refused('offer-unavailable'))
    s.work('refund', outcomes.refused('unauthorized'), 65_000)
    const other = requested({ member, holdable: false, bookingId: 'bkg_2' })
    other.start('deduct')
    s.operator('happened')
    expect(s.appendedToAccount).to.have.nested.property('[0].data.movementId', 'bkg_1:refund:1')
    expect(member.account.open?.movementId).to.equal('bkg_2:deduct:1')
  })
})

describe('a decision that nobody makes', () => {
  it('is asked for again a day later, under a new number', () => {
    const s = refusedRefund()
    const { dueAt } = s.step('operator-decision')
    s.falls('operator-decision')
    expect(s.booking.operator).not.to.equal(null)
    expect(s.step('operator-decision').attempt).to.equal(2)
    expect(Date.parse(s.step('operator-decision').dueAt) - Date.parse(dueAt)).to.equal(24 * hour)
  })
})
