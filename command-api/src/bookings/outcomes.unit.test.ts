/**
 * What follows from each outcome of each step. Seen failing when: an unknown outcome is tried again; retries ignore their window; a 404 of the
 * partner does not become an owed refund; a hold expires while its tickets are being paid; an order without tickets confirms; an order that
 * the supplier called off is polled on; an unknown refund starts a new window.
 */
import type { FailureReason } from '@portolan/schemas/bookings/messages.ts'
import { expect } from 'chai'
import { ZodError } from 'zod'
import {
  confirmed,
  foundOrder,
  held,
  hour,
  minute,
  outcomes,
  paid,
  requested,
  second,
  unknownDeduction,
} from './booking-spec.ts'

const failing = () => paid().work('issue-tickets', outcomes.refused('offer-unavailable'))
const notDone = (retryAfterMs: number) => ({ kind: 'not-done', code: 'rate-limited', retryAfterMs }) as const

describe('a hold', () => {
  it('keeps the seats until it must be paid', () => {
    const s = held()
    expect(s.facts).to.deep.equal(['HoldPlaced'])
    expect(s.openSteps).to.deep.equal(['deduct', 'hold-expiry'])
    expect(s.step('hold-expiry').dueAt).to.equal(s.fact('HoldPlaced').payBy)
  })

  for (const [code, reason] of [
    ['offer-expired', 'offer-unavailable'],
    ['price-changed', 'offer-unavailable'],
    ['offer-unavailable', 'offer-unavailable'],
    ['order-not-created', 'supplier-unavailable'],
    ['passenger-gone', 'passenger-gone'],
  ] as const satisfies [string, FailureReason][]) {
    it(`that is refused as ${code} fails the booking as ${reason}`, () => {
      const s = requested().work('place-hold', outcomes.refused(code))
      expect(s.facts).to.deep.equal(['CompensationStarted', 'BookingFailed'])
      expect(s.fact('BookingFailed').reason).to.equal(reason)
    })
  }

  it('that the supplier accepts is polled until it stands', () => {
    const s = requested().work('place-hold', outcomes.accepted)
    expect(s.facts).to.deep.equal(['SupplierAccepted'])
    s.falls('poll-order', foundOrder({ awaitingPayment: true, payBy: '2026-11-21T13:00:00.000Z', tickets: [] }))
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'HoldPlaced'])
    expect(s.openSteps).to.deep.equal(['deduct', 'hold-expiry'])
  })

  it('of unknown outcome that is found goes on', () => {
    const s = requested().work('place-hold', outcomes.serverError)
    expect(s.step('reconcile-order').input).to.include({ of: 'place-hold', orderId: null, personId: 'per_1' })
    s.falls('reconcile-order', foundOrder({ awaitingPayment: true, payBy: '2026-11-21T13:00:00.000Z', tickets: [] }))
    expect(s.openSteps).to.deep.equal(['deduct', 'hold-expiry'])
  })

  it('that runs out before it is paid expires the booking', () => {
    const s = held().falls('hold-expiry')
    expect(s.facts).to.deep.equal(['CompensationStarted'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.facts).to.deep.equal(['OrderCancelled', 'BookingExpired'])
  })

  it('does not run out while its tickets are being paid for', () => {
    const s = paid()
    s.start('issue-tickets')
    expect(s.openSteps).to.deep.equal(['attempt-watch', 'issue-tickets'])
    s.at(s.fact('HoldPlaced').payBy).after(second).report('issue-tickets', outcomes.issued)
    expect(s.booking.phase).to.equal('confirmed')
  })

  it('runs out after all when the tickets were not paid for', () => {
    const s = paid()
    s.start('issue-tickets')
    s.report('issue-tickets', outcomes.unavailable)
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'issue-tickets'])
    s.falls('hold-expiry')
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('that runs out during a deduction gives the stars back', () => {
    const s = held()
    s.start('deduct')
    s.recordBalance('deduct', 100_000)
    s.falls('hold-expiry').report('deduct', outcomes.deducted)
    expect(s.openSteps).to.deep.equal(['refund'])
    s.work('refund', outcomes.refunded, 65_000).work('cancel-order', outcomes.cancelled)
    expect(s.fact('BookingExpired').reason).to.equal('hold-expired')
  })

  it('is given up without a refund when the supplier says it is gone', () => {
    const s = held().cancel().work('cancel-order', outcomes.refused('already-cancelled'))
    expect(s.facts).to.deep.equal(['OrderCancelled', 'BookingCancelled'])
  })

  it('lapses by itself when the supplier will not cancel it', () => {
    const s = held().cancel().work('cancel-order', outcomes.refused('not-cancellable'))
    expect(s.booking.phase).to.equal('cancelled')
  })
})

describe('a deduction', () => {
  it('is a fact of the booking and of the member’s account', () => {
    const s = paid()
    expect(s.facts).to.deep.equal(['PaymentDeducted'])
    expect(s.appendedToAccount).to.have.nested.property('[0].data.transactionId', 'txn_1')
    expect(s.member.account.open).to.equal(null)
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'issue-tickets'])
  })

  for (const [code, reason] of [
    ['insufficient-balance', 'insufficient-balance'],
    ['member-not-found', 'member-not-found'],
    ['unauthorized', 'partner-unauthorized'],
    ['partner-refused', 'partner-refused'],
  ] as const satisfies [string, FailureReason][]) {
    it(`that is refused as ${code} gives the hold back and fails the booking as ${reason}`, () => {
      const s = held().work('deduct', outcomes.refused(code, { available: 34_000 }))
      expect(s.accountFacts).to.deep.equal(['MovementVoided'])
      expect(s.openSteps).to.deep.equal(['cancel-order'])
      s.work('cancel-order', outcomes.cancelled)
      expect(s.fact('BookingFailed').reason).to.equal(reason)
    })
  }

  it('that is refused for want of stars names what the member has', () => {
    const s = held().work('deduct', outcomes.refused('insufficient-balance', { available: 34_000 }))
    expect(s.booking.undo?.availableBalance).to.equal(34_000)
  })

  it('is tried again with growing pauses for 30 s after it fell due, then the booking fails', () => {
    const s = held()
    const startedMs = s.member.nowMs
    const pauses: number[] = []
    s.whileOpen('deduct', () => {
      s.work('deduct', outcomes.unavailable)
      const { dueAt } = s.booking.open.deduct ?? {}
      if (dueAt) pauses.push(Date.parse(dueAt) - s.member.nowMs)
      if (dueAt) s.at(dueAt)
    })
    expect(pauses).to.deep.equal([500, 1000, 2000, 4000, 8000])
    expect(s.member.nowMs - startedMs).to.be.at.most(30 * second)
    expect(s.fact('CompensationStarted').reason).to.equal('partner-unavailable')
    expect(s.booking.attempts.deduct).to.equal(6)
  })

  it('waits as long as the partner asks for, and fails at once when that is longer than 30 s', () => {
    expect(
      held()
        .work('deduct', notDone(20 * second))
        .step('deduct').dueAt,
    ).to.equal('2026-11-21T12:00:20.000Z')
    expect(held().work('deduct', notDone(31 * second)).facts).to.deep.equal(['CompensationStarted'])
  })

  it('that times out is unknown: nothing is tried again, nothing given back', () => {
    const s = unknownDeduction()
    expect(s.facts).to.deep.equal(['OutcomeUnknown'])
    expect(s.accountFacts).to.deep.equal(['MovementUnknown'])
    expect(s.openSteps).to.deep.equal(['hold-expiry', 'reconcile-movement'])
  })

  it('that the partner claims to have merely accepted is unknown', () => {
    expect(held().work('deduct', outcomes.accepted).facts).to.deep.equal(['OutcomeUnknown'])
  })

  it('is not recorded from an answer that does not fit', () => {
    const s = held()
    s.start('deduct')
    expect(() => s.report('deduct', { kind: 'succeeded', result: {} })).to.throw(ZodError)
  })
})

describe('the tickets', () => {
  it('of which an order is found at another price goes to an operator: it is nothing we asked for', () => {
    for (const price of [{ totalAmount: '350.01' }, { totalCurrency: 'EUR' }]) {
      const s = paid()
      s.work('issue-tickets', outcomes.serverError)
      s.falls('reconcile-order', foundOrder(price))
      expect(s.booking.operator).to.include({ step: 'issue-tickets', why: 'price-mismatch' })
      expect(s.booking.phase).to.equal('arranging')
    }
  })

  it('confirm the booking', () => {
    const s = confirmed()
    expect(s.facts).to.deep.equal(['BookingConfirmed'])
    expect(s.openSteps).to.deep.equal([])
    expect(s.booking.tickets[0]?.ticketNumber).to.equal('0162345678901')
  })

  it('that are refused give the stars back first, then the hold, and fail the booking', () => {
    const s = failing()
    expect(s.openSteps).to.deep.equal(['refund'])
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.fact('BookingFailed').reason).to.equal('offer-unavailable')
  })

  it('that are refused because the hold ran out expire the booking', () => {
    const s = paid().work('issue-tickets', outcomes.refused('hold-expired')).work('refund', outcomes.refunded, 65_000)
    expect(s.work('cancel-order', outcomes.refused('already-cancelled')).booking.phase).to.equal('expired')
  })

  it('that the supplier cannot issue within 30 s give the stars back', () => {
    const s = paid().work('issue-tickets', notDone(31 * second))
    expect(s.fact('CompensationStarted').reason).to.equal('supplier-unavailable')
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('that the supplier accepts are polled by the order’s id where it is known', () => {
    const s = requested({ holdable: false }).work('deduct', outcomes.deducted)
    s.work('issue-tickets', { kind: 'accepted', result: { orderId: 'ord_9' } })
    expect(s.step('poll-order').input).to.include({ of: 'issue-tickets', orderId: 'ord_9' })
  })

  it('that are not all there yet are polled on', () => {
    const s = paid()
      .work('issue-tickets', outcomes.accepted)
      .falls('poll-order', foundOrder({ tickets: [] }))
    expect(s.openSteps).to.deep.equal(['poll-order'])
    expect(s.falls('poll-order', foundOrder()).booking.phase).to.equal('confirmed')
  })

  it('that are polled in vain are polled less often and go to an operator after six hours', () => {
    const s = paid().work('issue-tickets', outcomes.accepted)
    s.whileOpen('poll-order', () => s.falls('poll-order', { found: false }))
    expect(s.fact('OperatorNeeded')).to.include({ step: 'issue-tickets', attempt: 1, why: 'not-found-yet' })
    expect(s.booking.attempts['poll-order']).to.be.within(50, 100)
  })

  it('whose order the supplier called off give the stars back at once', () => {
    const s = paid()
      .work('issue-tickets', outcomes.accepted)
      .falls('poll-order', foundOrder({ cancelled: true }))
    expect(s.fact('OutcomeEstablished').happened).to.equal(false)
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('of unknown outcome that are found confirm the booking', () => {
    const s = paid().work('issue-tickets', outcomes.serverError).falls('reconcile-order', foundOrder())
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'BookingConfirmed'])
  })

  it('of unknown outcome whose order is paid but lacks tickets are polled', () => {
    const s = paid()
      .work('issue-tickets', outcomes.timeout)
      .falls('reconcile-order', foundOrder({ tickets: [] }))
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'SupplierAccepted'])
    expect(s.step('poll-order').input.orderId).to.equal('ord_1')
  })

  it('of unknown outcome are looked for until a minute has passed, then the stars go back', () => {
    const s = paid().work('issue-tickets', outcomes.timeout)
    const sinceMs = s.member.nowMs
    const unpaid = foundOrder({ awaitingPayment: true, tickets: [] })
    s.whileOpen('reconcile-order', () => s.falls('reconcile-order', unpaid))
    expect(s.member.nowMs - sinceMs).to.equal(minute)
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'CompensationStarted'])
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('of unknown outcome go to an operator when the supplier cannot be asked', () => {
    const s = paid().work('issue-tickets', outcomes.timeout)
    s.whileOpen('reconcile-order', () => {
      s.at(s.step('reconcile-order').dueAt).report('reconcile-order', outcomes.unavailable)
    })
    expect(s.member.nowMs - Date.parse(s.fact('OutcomeUnknown').at)).to.be.within(14 * minute, 15 * minute)
    expect(s.fact('OperatorNeeded')).to.include({ step: 'issue-tickets', attempt: 1 })
  })
})

describe('a refund', () => {
  it('leaves a stream short enough to load after a day in which the partner refuses the refund: about a hundred attempts', () => {
    const s = confirmed().cancel().work('cancel-order', outcomes.cancelled)
    let attempts = 0
    s.whileOpen('refund', () => {
      attempts += 1
      s.at(s.step('refund').dueAt)
      s.work('refund', outcomes.unavailable, 65_000)
    })
    expect(s.booking.operator?.step).to.equal('refund')
    expect(attempts).to.be.within(90, 120)
  })

  it('that the partner has no transaction for any more is owed', () => {
    const s = failing().work('refund', outcomes.refused('transaction-not-found'), 65_000)
    expect(s.facts).to.deep.equal(['RefundOwed'])
    expect(s.accountFacts).to.deep.equal(['MovementVoided', 'RefundOwed'])
    expect(s.work('cancel-order', outcomes.cancelled).booking.phase).to.equal('failed')
  })

  it('that is refused otherwise goes to an operator', () => {
    const s = failing().work('refund', outcomes.refused('unauthorized'), 65_000)
    expect(s.facts).to.deep.equal(['OperatorNeeded'])
    expect(s.fact('OperatorNeeded')).to.include({ step: 'refund', attempt: 1, why: 'unauthorized' })
    expect(s.member.account.open).to.equal(null)
  })

  it('is tried again for a day, as seldom as the partner asks, then goes to an operator', () => {
    const s = failing()
    s.whileOpen('refund', () => s.at(s.step('refund').dueAt).work('refund', notDone(hour), 65_000))
    expect(s.booking.attempts.refund).to.equal(25)
    expect(s.facts).to.deep.equal(['OperatorNeeded'])
  })

  it('keeps its deadline when its outcome was unknown meanwhile', () => {
    const s = failing()
    const { deadline } = s.step('refund')
    s.work('refund', outcomes.timeout, 65_000)
    s.whileOpen('reconcile-movement', () => s.falls('reconcile-movement', { balance: 65_000, readAt: s.member.now }))
    expect(s.step('refund')).to.include({ attempt: 2, deadline })
  })

  it('of unknown outcome that is seen in the balance happened', () => {
    const s = failing().work('refund', outcomes.timeout, 65_000)
    s.falls('reconcile-movement', { balance: 100_000, readAt: s.member.now })
    expect(s.facts).to.deep.equal(['OutcomeEstablished', 'PaymentRefunded'])
    expect(s.accountFacts).to.deep.equal(['MovementSettled'])
  })
})

describe('the cancellation of paid tickets', () => {
  const cancelling = () => confirmed().cancel()

  it('goes to an operator when the supplier refuses it', () => {
    const s = cancelling().work('cancel-order', outcomes.refused('not-cancellable'))
    expect(s.fact('OperatorNeeded')).to.include({ step: 'cancel-order', why: 'not-cancellable' })
    expect(s.openSteps).to.deep.equal(['operator-decision'])
  })

  it('is done when the supplier says it was cancelled before', () => {
    expect(cancelling().work('cancel-order', outcomes.refused('already-cancelled')).openSteps).to.deep.equal(['refund'])
  })

  it('of unknown outcome is tried again once the order is seen to stand', () => {
    const s = cancelling().work('cancel-order', outcomes.timeout)
    s.whileOpen('reconcile-order', () => s.falls('reconcile-order', foundOrder()))
    expect(s.fact('OutcomeEstablished').happened).to.equal(false)
    expect(s.step('cancel-order').attempt).to.equal(2)
  })

  it('of unknown outcome is done when the order is found cancelled, with its penalty', () => {
    const s = cancelling().work('cancel-order', outcomes.timeout)
    s.falls('reconcile-order', foundOrder({ cancelled: true, penaltyMinor: 5000 }))
    expect(s.fact('OrderCancelled').penaltyMinor).to.equal(5000)
    expect(s.openSteps).to.deep.equal(['refund'])
  })

  it('that the supplier accepted is polled until the order is gone', () => {
    const s = cancelling().work('cancel-order', outcomes.accepted).falls('poll-order', foundOrder())
    expect(s.openSteps).to.deep.equal(['poll-order'])
    s.falls('poll-order', foundOrder({ cancelled: true }))
    expect(s.openSteps).to.deep.equal(['refund'])
  })
})
