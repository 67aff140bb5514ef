/**
 * Reports that contradict what was concluded meanwhile. Seen failing when: such a report is dropped, of a booking under way or of one that
 * has ended; it is believed from another execution than the attempt's own; a repetition asks again what was upheld; only the last attempt's
 * execution is known; the entry keeps a booking from its end or its cancellation; the other order's id upholds the one that stands;
 * the id of a deduction that stands is dropped.
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
  times,
  unknownDeduction,
} from './booking-spec.ts'
import { conclude } from './decider.ts'
import { markLostHistory } from './lost-history.ts'

const stranger = '99999999-0000-4000-8000-000000000000'
const issued = (orderId: string) => ({
  kind: 'succeeded' as const,
  result: { ...outcomes.issued.result, orderId },
})

/** Claims `step`, whose answer is lost. Returns who holds the claim. */
function lose(s: BookingSpec, step: string, balance = 100_000) {
  s.start(step)
  if (step === 'deduct' || step === 'refund') s.recordBalance(step, balance)
  const from = { attempt: s.step(step).attempt, executionId: s.executionOf(step) }
  s.report(step, outcomes.timeout)
  return from
}

/** A booking that ended because nobody found its order. */
function endedWithoutOrder() {
  const s = paid()
  const from = lose(s, 'issue-tickets')
  s.after(hour).operator('did-not-happen').work('refund', outcomes.refunded, 65_000)
  s.work('cancel-order', outcomes.cancelled)
  expect(s.booking.phase).to.equal('failed')
  return { s, from }
}

describe('a report that contradicts a conclusion', () => {
  it('of an order waits for an operator, though the booking has ended', () => {
    const { s, from } = endedWithoutOrder()
    s.report('issue-tickets', issued('ord_2'), from)
    expect(s.facts).to.deep.equal(['OutcomeDisputed'])
    expect(s.fact('OutcomeDisputed')).to.deep.include({ step: 'issue-tickets', attempt: 1, transactionId: null })
    expect(s.fact('OutcomeDisputed').order).to.include({ orderId: 'ord_2' })
    expect(s.booking.phase).to.equal('failed')
    expect(s.step('operator-decision').input).to.include({ of: 'issue-tickets', why: 'reported-late' })
    expect(s.step('operator-decision').dueAt).to.equal(s.fact('OutcomeDisputed').decideBy)
  })

  it('of a hold that was looked for in vain waits as well', () => {
    const s = requested()
    const from = lose(s, 'place-hold')
    s.whileOpen('reconcile-order', () => s.falls('reconcile-order', { found: false }))
    expect(s.booking.phase).to.equal('failed')
    s.report('place-hold', outcomes.held('2026-11-21T13:00:00.000Z'), from)
    expect(s.fact('OutcomeDisputed').order?.orderId).to.equal('ord_1')
  })

  it('of an order that the supplier only accepted waits too', () => {
    const { s, from } = endedWithoutOrder()
    s.report('issue-tickets', { kind: 'accepted', result: { orderId: 'ord_2' } }, from)
    expect(s.fact('OutcomeDisputed').order).to.include({ orderId: 'ord_2' })
  })

  it('of a deduction waits while the booking is undone, and is kept when that is through', () => {
    const s = unknownDeduction()
    const from = { attempt: 1, executionId: s.booking.executions['deduct:1'] ?? '' }
    s.operator('did-not-happen').report('deduct', outcomes.deducted, from)
    expect(s.facts).to.deep.equal(['OutcomeDisputed'])
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('failed')
    expect(s.openSteps).to.deep.equal(['operator-decision'])
    s.correct('deduct', 1, true, { transactionId: 'txn_1' }).work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('failed')
    expect(s.openSteps).to.deep.equal([])
  })

  it('of a refund that was made a second time is known by its own claim', () => {
    const s = paid().work('issue-tickets', outcomes.refused('offer-unavailable'))
    const from = lose(s, 'refund', 65_000)
    s.operator('retry').work('refund', outcomes.refunded, 65_000).work('cancel-order', outcomes.cancelled)
    s.report('refund', outcomes.refunded, from)
    expect(s.fact('OutcomeDisputed')).to.include({ step: 'refund', attempt: 1, transactionId: 'ref_1' })
  })

  it('of a second deduction does not keep a confirmed booking from being cancelled', () => {
    const s = held()
    s.start('deduct')
    const from = { attempt: 1, executionId: s.executionOf('deduct') }
    const lost = markLostHistory(s.states, { generation: 2, lostEvents: 0 }, s.member.now, s.settings)
    s.appends(conclude(s.states, lost, s.member.now, times)).operator('retry')
    s.work('deduct', outcomes.deducted).work('issue-tickets', outcomes.issued)
    s.report('deduct', outcomes.deducted, from)
    expect(s.booking.phase).to.equal('confirmed')
    expect(s.openSteps).to.deep.equal(['operator-decision'])
    s.cancel()
    expect(s.openSteps).not.to.deep.equal(['operator-decision'])
    expect(s.booking.phase).to.equal('undoing')
  })

  it('names another order than the one that was found', () => {
    const s = paid()
    const from = lose(s, 'issue-tickets')
    const tickets = outcomes.issued.result.tickets.slice()
    s.after(hour).operator('happened', { orderId: 'ord_1', tickets })
    expect(s.report('issue-tickets', issued('ord_1'), from).appended).to.deep.equal([])
    expect(s.report('issue-tickets', issued('ord_2'), from).facts).to.deep.equal(['OutcomeDisputed'])
    expect(s.correct('issue-tickets', 1, true).facts).to.deep.equal(['OutcomeUpheld'])
    expect(s.openSteps).to.deep.equal([])
  })

  it('stays open when it is answered with the other order’s id', () => {
    const s = paid()
    const from = lose(s, 'issue-tickets')
    s.after(hour).operator('happened', { orderId: 'ord_1', tickets: outcomes.issued.result.tickets.slice() })
    s.report('issue-tickets', issued('ord_2'), from)
    expect(refusal(() => s.correct('issue-tickets', 1, true, { orderId: 'ord_2' }))).to.equal('conflict')
    expect(s.openSteps).to.deep.equal(['operator-decision'])
    expect(s.correct('issue-tickets', 1, true, { orderId: 'ord_1' }).facts).to.deep.equal(['OutcomeUpheld'])
    expect(s.openSteps).to.deep.equal([])
  })

  it('cannot exchange the order: when only the other one exists it is cancelled, and the member is refunded', () => {
    const s = paid()
    const from = lose(s, 'issue-tickets')
    s.after(hour).operator('happened', { orderId: 'ord_1', tickets: outcomes.issued.result.tickets.slice() })
    s.report('issue-tickets', issued('ord_2'), from)
    s.correct('issue-tickets', 1, false).correct('issue-tickets', 1, true, { orderId: 'ord_2' })
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.step('cancel-order').input).to.include({ orderId: 'ord_2' })
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('failed')
    expect(s.openSteps).to.deep.equal([])
  })

  it('is corrected: the order is cancelled, and the booking ends as it had', () => {
    const { s, from } = endedWithoutOrder()
    s.report('issue-tickets', issued('ord_2'), from).correct('issue-tickets', 1, true, { orderId: 'ord_2' })
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('failed')
    expect(s.openSteps).to.deep.equal([])
  })

  it('is answered when the conclusion is upheld, and a repetition asks nothing again', () => {
    const { s, from } = endedWithoutOrder()
    s.report('issue-tickets', issued('ord_2'), from)
    expect(s.report('issue-tickets', issued('ord_2'), from).appended).to.deep.equal([])
    s.correct('issue-tickets', 1, false, { reason: 'ord_2 was cancelled by hand' })
    expect(s.facts).to.deep.equal(['OutcomeUpheld'])
    expect(s.openSteps).to.deep.equal([])
    expect(s.correct('issue-tickets', 1, false).appended).to.deep.equal([])
    expect(s.report('issue-tickets', issued('ord_2'), from).appended).to.deep.equal([])
  })

  it('is asked again in time when nobody has decided', () => {
    const { s, from } = endedWithoutOrder()
    s.report('issue-tickets', issued('ord_2'), from).falls('operator-decision')
    expect(s.step('operator-decision').attempt).to.equal(s.booking.attempts['operator-decision'])
    expect(s.step('operator-decision').dueAt > s.member.now).to.equal(true)
  })

  it('counts only from the execution that held the claim', () => {
    const { s, from } = endedWithoutOrder()
    for (const executionId of [stranger, null])
      expect(s.report('issue-tickets', issued('ord_2'), { ...from, executionId }).appended).to.deep.equal([])
  })

  it('is none when it did not happen, is not known, or was reported before', () => {
    const { s, from } = endedWithoutOrder()
    for (const outcome of [outcomes.timeout, outcomes.unavailable, outcomes.refused('offer-unavailable')])
      expect(s.report('issue-tickets', outcome, from).appended).to.deep.equal([])
    const done = confirmed()
    const own = { attempt: 1, executionId: done.booking.executions['issue-tickets:1'] ?? '' }
    expect(done.report('issue-tickets', outcomes.issued, own).appended).to.deep.equal([])
  })

  it('is none when it only names the deduction that the balance had told of, which then can be refunded by a call', () => {
    const s = unknownDeduction()
    const from = { attempt: 1, executionId: s.booking.executions['deduct:1'] ?? '' }
    s.falls('reconcile-movement', { balance: 65_000, readAt: s.member.now })
    s.start('issue-tickets')
    expect(s.report('deduct', outcomes.deducted, { ...from, executionId: stranger }).appended).to.deep.equal([])
    expect(s.report('deduct', outcomes.deducted, from).appended.map(({ type }) => type)).to.deep.equal([
      'OutcomeUpheld',
    ])
    expect(s.report('deduct', outcomes.deducted, from).appended).to.deep.equal([])
    s.report('issue-tickets', outcomes.issued).cancel().work('cancel-order', outcomes.cancelled)
    expect(s.step('refund').input).to.include({ transactionId: 'txn_1' })
  })

  it('is none about a cancelled order: the next attempt finds out', () => {
    const s = confirmed().cancel()
    const from = lose(s, 'cancel-order')
    s.after(hour).operator('retry')
    expect(s.report('cancel-order', outcomes.cancelled, from).appended).to.deep.equal([])
  })
})
