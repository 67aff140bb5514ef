/**
 * Wrong conclusions and what makes them good: the ledger's equation (settle-up.ts) holds after every correction, and nothing is taken or
 * given twice. Seen failing when: the wrong deduction's entries are not taken back; an owed refund stays although the refund had gone
 * through; a recovery stays after the unpaid ticket was given up; the caller's own report can be corrected; a correction interrupts a call; a
 * second deduction counts as the first; a refund that was settled outside is made as well once a correction of it is taken back;
 * a hold is corrected under its tickets; the id of a deduction that stands is dropped; what a member paid outside is forgotten, by the next
 * correction or at the booking's end; more is settled than was seen.
 */
import type { MemberEvent } from '@portolan/schemas/members/messages.ts'
import { expect } from 'chai'
import {
  type BookingSpec,
  confirmed,
  foundOrder,
  held,
  hour,
  outcomes,
  paid,
  refusal,
  requested,
  times,
} from './booking-spec.ts'
import { conclude } from './decider.ts'
import { markLostHistory } from './lost-history.ts'
import { emptyAccount, evolveAccount } from './member-account.ts'

const price = 35_000
const tickets = [{ passengerIndex: 0, ticketNumber: '0162345678901', seat: null }]

/** A deduction that no machine could establish. */
const openDeduction = (): BookingSpec => {
  const s = held().work('deduct', outcomes.timeout)
  return s.falls('reconcile-movement', { balance: 99_000, readAt: s.member.now })
}
const failedByMistake = () => openDeduction().operator('did-not-happen').work('cancel-order', outcomes.cancelled)
const confirmedByMistake = () => openDeduction().operator('happened').work('issue-tickets', outcomes.issued)
const openRefund = () => {
  const s = paid().work('issue-tickets', outcomes.refused('offer-unavailable')).work('refund', outcomes.timeout, 65_000)
  return s.falls('reconcile-movement', { balance: 64_000, readAt: s.member.now })
}

/** What the ledger says: moved at the partner, settled outside, owed to the member, to be recovered from them, paid by them outside. */
function ledger({ member }: BookingSpec) {
  const sum = (signs: Partial<Record<MemberEvent['type'], number>>) =>
    member.events.reduce((total, event) => {
      const sign = signs[event.type] ?? 0
      if (sign === 0 || !('amount' in event.data)) return total
      const isRefund = 'kind' in event.data && event.data.kind === 'refund'
      return total + (isRefund ? -sign : sign) * event.data.amount
    }, 0)
  return {
    partner: sum({ MovementSettled: 1, MovementCorrected: -1 }),
    outside: sum({ OwedRefundSettled: 1 }),
    owed: sum({ RefundOwed: 1, OwedRefundSettled: -1, OwedRefundCancelled: -1 }),
    recoverable: sum({ RecoveryDue: 1, RecoverySettled: -1 }),
    recovered: member.events.reduce(
      (total, { type, data }) => total + (type === 'RecoverySettled' && data.how === 'recovered' ? data.amount : 0),
      0,
    ),
  }
}

function expectLedger(s: BookingSpec, expected: Partial<ReturnType<typeof ledger>>): void {
  expect(ledger(s)).to.deep.equal({ partner: 0, outside: 0, owed: 0, recoverable: 0, recovered: 0, ...expected })
  expect(s.member.events.reduce(evolveAccount, emptyAccount())).to.deep.equal(s.member.account)
}

describe('said that a deduction did not happen, but it did', () => {
  it('is refunded by a call when the partner’s id is known, and the booking ends as it had', () => {
    const s = failedByMistake()
    expect(s.booking.phase).to.equal('failed')
    s.correct('deduct', 1, true, { transactionId: 'txn_9' })
    expect(s.facts).to.deep.equal(['OutcomeCorrected'])
    expect(s.booking.phase).to.equal('undoing')
    expect(s.step('refund').input).to.include({ transactionId: 'txn_9', amount: price })
    expectLedger(s, { partner: price })
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('failed')
    expectLedger(s, {})
  })

  it('is owed when it is not known', () => {
    const s = failedByMistake().correct('deduct', 1, true)
    expect(s.facts).to.deep.equal(['OutcomeCorrected', 'RefundOwed', 'BookingFailed'])
    expectLedger(s, { partner: price, owed: price })
  })

  it('is given back along with what is still being undone', () => {
    const s = openDeduction().operator('did-not-happen').correct('deduct', 1, true, { transactionId: 'txn_9' })
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('changes nothing when it is said again', () => {
    expect(failedByMistake().correct('deduct', 1, true).correct('deduct', 1, true).appended).to.deep.equal([])
  })
})

describe('said that a deduction happened, but it did not', () => {
  it('is to be recovered from a member who has the ticket', () => {
    const s = confirmedByMistake().correct('deduct', 1, false)
    expect(s.booking).to.include({ phase: 'confirmed', deduction: null })
    expectLedger(s, { recoverable: price })
    s.recover('recovered')
    expectLedger(s, { recovered: price })
    expect(s.recover('recovered', price).appendedToAccount).to.deep.equal([])
  })

  it('and did: its id is kept, so that it can be refunded by a call', () => {
    const s = confirmedByMistake()
    expect(s.correct('deduct', 1, true).appended).to.deep.equal([])
    expect(s.correct('deduct', 1, true, { transactionId: 'txn_9' }).facts).to.deep.equal(['OutcomeUpheld'])
    expect(s.correct('deduct', 1, true, { transactionId: 'txn_9' }).appended).to.deep.equal([])
    s.cancel().work('cancel-order', outcomes.cancelled)
    expect(s.step('refund').input).to.include({ transactionId: 'txn_9' })
    expectLedger(s, { partner: price })
  })

  it('is not to be recovered any more once the ticket is given up', () => {
    const s = confirmedByMistake().correct('deduct', 1, false).cancel().work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('cancelled')
    expect(s.fact('BookingCancelled').refund).to.equal('not_applicable')
    expectLedger(s, {})
  })

  it('is owed to who paid it outside once the ticket is given up', () => {
    const s = confirmedByMistake().correct('deduct', 1, false).recover('recovered').cancel()
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('cancelled')
    expectLedger(s, { owed: price, recovered: price })
  })

  it('is owed to who paid it outside once it turns out to have been deducted, and asked for once only when it was not', () => {
    const s = confirmedByMistake().correct('deduct', 1, false).recover('recovered')
    s.correct('deduct', 1, true, { transactionId: 'txn_9' })
    expectLedger(s, { partner: price, owed: price, recovered: price })
    s.correct('deduct', 1, false)
    expectLedger(s, { recovered: price })
  })

  it('stays paid when the ticket is given up without asking for a refund', () => {
    const s = confirmedByMistake().correct('deduct', 1, false).recover('recovered').cancel(false)
    s.work('cancel-order', outcomes.cancelled)
    expectLedger(s, { recovered: price })
  })

  it('stays to be recovered when the ticket is given up without asking for a refund', () => {
    const s = confirmedByMistake().correct('deduct', 1, false).cancel(false).work('cancel-order', outcomes.cancelled)
    expectLedger(s, { recoverable: price })
  })

  it('is not owed any more when it was', () => {
    const s = openDeduction().operator('happened').cancel().work('cancel-order', outcomes.cancelled)
    expectLedger(s, { partner: price, owed: price })
    s.correct('deduct', 1, false)
    expectLedger(s, {})
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('is to be recovered when it was given back outside meanwhile', () => {
    const s = openDeduction().operator('happened').cancel().work('cancel-order', outcomes.cancelled).settleOwed()
    s.correct('deduct', 1, false)
    expectLedger(s, { outside: price, recoverable: price })
  })

  it('is deducted now when no ticket was issued yet', () => {
    const s = openDeduction().operator('happened').correct('deduct', 1, false)
    expect(s.openSteps).to.deep.equal(['deduct', 'hold-expiry'])
    expect(s.step('deduct').attempt).to.equal(2)
    expectLedger(s, {})
  })

  it('and then that it did happen after all: everything as before', () => {
    const s = confirmedByMistake().correct('deduct', 1, false).correct('deduct', 1, true, { transactionId: 'txn_9' })
    expect(s.booking.deduction?.transactionId).to.equal('txn_9')
    expectLedger(s, { partner: price })
  })
})

describe('said that a refund is owed, but it had gone through', () => {
  const owedByMistake = () => openRefund().operator('owe').work('cancel-order', outcomes.cancelled)

  it('is not owed any more', () => {
    const s = owedByMistake()
    expectLedger(s, { partner: price, owed: price })
    s.correct('refund', 1, true)
    expectLedger(s, {})
    expect(s.booking.givenBack?.as).to.equal('refunded')
  })

  it('is to be recovered when it was given back outside too', () => {
    const s = owedByMistake().settleOwed().correct('refund', 1, true)
    expectLedger(s, { outside: price, recoverable: price })
  })

  it('and then that it had not: what was given back outside is not given back again, and nothing is recovered', () => {
    const s = owedByMistake().settleOwed().correct('refund', 1, true).correct('refund', 1, false)
    expect(s.booking.phase).to.equal('failed')
    expect(s.openSteps).to.deep.equal([])
    expect(s.fact('OutcomeCorrected')).to.include({ givenBack: 'owed', settledOutside: true })
    expectLedger(s, { partner: price, outside: price })
  })

  it('is to be recovered when it was tried again and made twice', () => {
    const s = openRefund().operator('retry').work('refund', outcomes.refunded, 65_000).correct('refund', 1, true)
    expectLedger(s, { partner: -price, recoverable: price })
  })
})

describe('said that a refund happened, but it did not', () => {
  it('is made now', () => {
    const s = openRefund().operator('happened').work('cancel-order', outcomes.cancelled).correct('refund', 1, false)
    expect(s.step('refund').attempt).to.equal(2)
    expectLedger(s, { partner: price })
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('failed')
    expectLedger(s, {})
  })
})

describe('said the wrong thing about an order', () => {
  const openTickets = () => paid().work('issue-tickets', outcomes.timeout).after(hour)
  const decided = (...decision: Parameters<BookingSpec['operator']>) => openTickets().operator(...decision)

  it('that exists after all: it is cancelled', () => {
    const s = decided('did-not-happen')
      .work('refund', outcomes.refunded, 65_000)
      .work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('failed')
    expect(refusal(() => s.correct('issue-tickets', 1, true))).to.equal('validation-error')
    s.correct('issue-tickets', 1, true, { orderId: 'ord_2', tickets })
    expect(s.step('cancel-order').input).to.include({ orderId: 'ord_2' })
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('failed')
    expectLedger(s, {})
  })

  it('that does not exist: who thought to be booked gets the stars back', () => {
    const s = decided('happened', { orderId: 'ord_2', tickets }).correct('issue-tickets', 1, false)
    expect(s.facts).to.deep.equal(['OutcomeCorrected', 'CompensationStarted'])
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('failed')
    expectLedger(s, {})
  })

  it('that was held, while its tickets stand: they come first, or a live ticket would be forgotten', () => {
    const s = requested().work('place-hold', outcomes.timeout)
    const found = foundOrder({ awaitingPayment: true, payBy: '2026-11-21T13:00:00.000Z', tickets: [] })
    s.falls('reconcile-order', found).work('deduct', outcomes.deducted).work('issue-tickets', outcomes.timeout)
    s.after(hour).operator('happened', { orderId: 'ord_1', tickets })
    expect(refusal(() => s.correct('place-hold', 1, false))).to.equal('conflict')
    expect(s.booking).to.deep.include({ phase: 'confirmed', tickets })
    s.correct('issue-tickets', 1, false).correct('place-hold', 1, false)
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('that was not cancelled after all: it is cancelled now', () => {
    const s = confirmed().cancel().work('cancel-order', outcomes.refused('not-cancellable')).operator('happened')
    s.work('refund', outcomes.refunded, 65_000).correct('cancel-order', 1, false)
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    expect(refusal(() => s.correct('cancel-order', 1, true))).to.equal('validation-error')
  })
})

describe('two deductions of one booking', () => {
  /** Of a restored store: the first was made in the lost time, and an operator said that it was not. */
  function twice(): BookingSpec {
    const s = held()
    const lost = markLostHistory(s.states, { generation: 2, lostEvents: 0 }, s.member.now, s.settings)
    s.appends(conclude(s.states, lost, s.member.now, times)).operator('retry')
    s.work('deduct', outcomes.deducted).work('issue-tickets', outcomes.issued)
    return s.correct('deduct', 1, true, { transactionId: 'txn_lost' })
  }

  it('are both known, and the second is owed', () => {
    expectLedger(twice(), { partner: 2 * price, owed: price })
  })

  it('of a cancelled booking are both given back', () => {
    const s = twice().cancel()
    s.whileOpen('reconcile-order', () => s.falls('reconcile-order', foundOrder())).work(
      'cancel-order',
      outcomes.cancelled,
    )
    s.work('refund', outcomes.refunded, 30_000)
    expect(s.booking.phase).to.equal('cancelled')
    expectLedger(s, { partner: price, owed: price })
    s.settleOwed()
    expectLedger(s, { partner: price, outside: price })
  })

  it('of which the second is settled outside owe nothing more at the next correction', () => {
    const s = twice().settleOwed().correct('deduct', 1, false)
    expectLedger(s, { partner: price, outside: price, recoverable: price })
    s.correct('deduct', 1, true)
    expectLedger(s, { partner: 2 * price, outside: price })
  })

  it('of which one was none after all are one, and no third is asked for', () => {
    const s = twice().correct('deduct', 1, false)
    expectLedger(s, { partner: price })
    expect(s.booking.deduction).to.include({ transactionId: 'txn_1' })
    expect(s.openSteps).to.deep.equal([])
  })

  it('without a transaction id are both owed', () => {
    const s = held()
    const lost = markLostHistory(s.states, { generation: 2, lostEvents: 0 }, s.member.now, s.settings)
    s.appends(conclude(s.states, lost, s.member.now, times))
      .operator('retry')
      .work('deduct', outcomes.timeout)
    s.operator('happened').work('issue-tickets', outcomes.issued).correct('deduct', 1, true).cancel()
    s.whileOpen('reconcile-order', () => s.falls('reconcile-order', foundOrder())).work(
      'cancel-order',
      outcomes.cancelled,
    )
    expectLedger(s, { partner: 2 * price, owed: 2 * price })
    s.correct('deduct', 2, false)
    expectLedger(s, { partner: price, owed: price })
  })
})

describe('an amount that is settled outside', () => {
  it('is the one that was seen: a correction may have changed it meanwhile', () => {
    const owed = openDeduction().operator('happened').cancel().work('cancel-order', outcomes.cancelled)
    expect(refusal(() => owed.settleOwed(2 * price))).to.equal('conflict')
    expect(refusal(() => owed.correct('deduct', 1, false).settleOwed(price))).to.equal('conflict')
    const due = confirmedByMistake().correct('deduct', 1, false)
    for (const how of ['recovered', 'waived'] as const)
      expect(
        refusal(() => due.recover(how, 2 * price)),
        how,
      ).to.equal('conflict')
    expect(refusal(() => due.correct('deduct', 1, true).recover('recovered', price))).to.equal('conflict')
  })

  it('is settled once when that is said again', () => {
    const owed = openDeduction().operator('happened').cancel().work('cancel-order', outcomes.cancelled).settleOwed()
    expect(owed.settleOwed(price).appendedToAccount).to.deep.equal([])
    for (const how of ['recovered', 'waived'] as const) {
      const due = confirmedByMistake().correct('deduct', 1, false).recover(how)
      expect(due.recover(how, price).appendedToAccount, how).to.deep.equal([])
    }
  })
})

describe('a correction is refused', () => {
  it('about what nobody concluded, and about what its caller reported', () => {
    expect(refusal(() => requested().correct('deduct', 1, true))).to.equal('no-decision-needed')
    expect(refusal(() => confirmed().correct('deduct', 1, false))).to.equal('no-decision-needed')
    expect(refusal(() => failedByMistake().correct('deduct', 2, true))).to.equal('no-decision-needed')
  })

  it('while a call is under way or another question is open', () => {
    const claimed = openDeduction().operator('did-not-happen')
    claimed.start('cancel-order')
    expect(refusal(() => claimed.correct('deduct', 1, true))).to.equal('conflict')
    const asked = openDeduction().operator('did-not-happen').work('cancel-order', outcomes.timeout)
    expect(refusal(() => asked.correct('deduct', 1, true))).to.equal('conflict')
  })
})
