/**
 * Bookings of a restored store: whatever they may have done in the time that was lost is not done again unasked (P7).
 *
 * Seen failing when: the refund of a confirmed booking is not doubted; a claimed movement without a recorded balance counts as never sent;
 * a doubted booking ends without the question whether it was paid for; a hold runs out although its tickets may have been issued; the
 * doubt about a step outlives its answer; a call that may be under way counts as never made after the usual minute; an ended booking of
 * which Kafka knew more is left alone.
 */
import { expect } from 'chai'
import {
  type BookingSpec,
  confirmed,
  foundOrder,
  held,
  hour,
  minute,
  outcomes,
  paid,
  requested,
  SpecMember,
  second,
  times,
} from './booking-spec.ts'
import { conclude } from './decider.ts'
import { markLostHistory } from './lost-history.ts'

function restored(s: BookingSpec, lostEvents = 0, generation = 2): BookingSpec {
  const mark = markLostHistory(s.states, { generation, lostEvents }, s.member.now, s.settings)
  return s.appends(mark.booking.length > 0 ? conclude(s.states, mark, s.member.now, times) : mark)
}
const found = (s: BookingSpec, result: Record<string, unknown>) =>
  s.whileOpen('reconcile-order', () => s.falls('reconcile-order', result))
const movementSteps = ['deduct', 'refund']

describe('a restored booking', () => {
  const everyState: Record<string, () => BookingSpec> = {
    'just requested': () => requested(),
    'at its only deduction': () => requested({ holdable: false }),
    'at its hold, claimed': () => {
      const s = requested()
      s.start('place-hold')
      return s
    },
    held: () => held(),
    'at its deduction, claimed': () => {
      const s = held()
      s.start('deduct')
      return s
    },
    'at its deduction, with the balance recorded': () => {
      const s = held()
      s.start('deduct')
      s.recordBalance('deduct', 100_000)
      return s
    },
    'with an unknown deduction': () => held().work('deduct', outcomes.timeout),
    paid: () => paid(),
    'with tickets accepted': () => paid().work('issue-tickets', outcomes.accepted),
    'at its refund': () => paid().work('issue-tickets', outcomes.refused('offer-unavailable')),
    'at its cancellation': () => confirmed().cancel(),
    'cancelled up to the refund': () => confirmed().cancel().work('cancel-order', outcomes.cancelled),
  }
  for (const [name, make] of Object.entries(everyState)) {
    it(`${name}: asks for no call that moves money or orders`, () => {
      const s = restored(make())
      const calls = s.openSteps.filter((step) =>
        ['place-hold', 'issue-tickets', 'cancel-order', ...movementSteps].includes(step),
      )
      expect(calls).to.deep.equal([])
      expect(s.booking.unknown ?? s.booking.awaiting, 'something stands open').not.to.equal(null)
      expect(
        s.openSteps.some((step) => ['reconcile-order', 'poll-order', 'operator-decision'].includes(step)),
      ).to.equal(true)
    })
  }

  it('is marked once per generation', () => {
    const s = restored(paid())
    expect(restored(s).appended).to.deep.equal([])
    expect(restored(s, 0, 3).facts).to.include('BookingHistoryLost')
  })

  it('that ended, or whose flight has departed, is left alone', () => {
    expect(restored(requested({ approval: true }).reject()).appended).to.deep.equal([])
    const flown = confirmed({ departsAt: '2026-11-22T08:00:00.000Z' }).after(24 * hour)
    expect(restored(flown).appended).to.deep.equal([])
  })
})

describe('a booking that had ended', () => {
  /** Its deduction was taken for not made, so it failed and its hold was given back. */
  function failed(): BookingSpec {
    const s = held().work('deduct', outcomes.timeout)
    const unchanged = () => s.falls('reconcile-movement', { balance: 100_000, readAt: s.member.now })
    return s.whileOpen('reconcile-movement', unchanged).work('cancel-order', outcomes.cancelled)
  }

  it('and was corrected in the lost time is not refunded again by the same correction', () => {
    const s = restored(failed(), 5)
    expect(s.facts).to.deep.equal(['BookingHistoryLost'])
    expect(s.openSteps).to.deep.equal([])
    s.correct('deduct', 1, true, { transactionId: 'txn_1' })
    expect(s.booking.operator).to.include({ step: 'refund', why: 'history-lost' })
    s.operator('happened')
    expect(s.booking.phase).to.equal('failed')
  })

  it('and was opened again by a correction before the backup doubts its refund', () => {
    const s = restored(failed().correct('deduct', 1, true, { transactionId: 'txn_1' }))
    expect(s.booking.operator).to.include({ step: 'refund', why: 'history-lost' })
  })
})

describe('a deduction in doubt', () => {
  it('waits for an operator, with or without a claim, and no balance is compared', () => {
    for (const claim of [false, true]) {
      const s = held()
      if (claim) s.start('deduct')
      restored(s)
      expect(s.booking.operator).to.include({ step: 'deduct', attempt: 1, why: 'history-lost' })
      expect(s.openSteps).to.deep.equal(['operator-decision'])
    }
  })

  it('that was made: the order is looked up before anything is paid', () => {
    const s = restored(held()).operator('happened', { transactionId: 'txn_9' })
    expect(s.facts).to.include.members(['PaymentDeducted', 'OutcomeUnknown'])
    expect(s.openSteps).to.deep.equal(['reconcile-order'])
    found(s, foundOrder())
    expect(s.booking.phase).to.equal('confirmed')
  })

  it('that was made, for an order that was never ticketed: nothing is refunded unasked', () => {
    const s = restored(held()).operator('happened', { transactionId: 'txn_9' })
    found(s, foundOrder({ awaitingPayment: true, tickets: [] }))
    expect(s.booking.operator).to.include({ step: 'refund', why: 'history-lost' })
    s.operator('retry')
    expect(s.step('refund').input.transactionId).to.equal('txn_9')
  })

  it('that was not made can still be made, and then nothing else is in doubt', () => {
    const s = restored(held())
    s.operator('retry').work('deduct', outcomes.deducted).work('issue-tickets', outcomes.issued)
    expect(s.booking.phase).to.equal('confirmed')
    expect(s.booking.lost?.doubted).not.to.include('refund')
  })

  it('that was not made may also end the booking', () => {
    const s = restored(held()).operator('did-not-happen')
    found(s, foundOrder({ awaitingPayment: true, tickets: [] }))
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.phase).to.equal('failed')
    expect(s.accountFacts).not.to.include('RefundOwed')
  })

  it('is believed to the worker that held the claim all the time', () => {
    const s = held()
    s.start('deduct')
    s.recordBalance('deduct', 100_000)
    const executionId = s.executionOf('deduct')
    restored(s).report('deduct', outcomes.deducted, { attempt: 1, executionId })
    expect(s.fact('PaymentDeducted').transactionId).to.equal('txn_1')
  })

  it('keeps the hold from running out: the tickets may have been issued', () => {
    const s = restored(held()).after(hour)
    expect(s.openSteps).not.to.include('hold-expiry')
    s.operator('happened')
    found(s, foundOrder())
    expect(s.booking.phase).to.equal('confirmed')
  })
})

describe('an order in doubt', () => {
  it('that was placed goes on to the question about the deduction', () => {
    const s = restored(requested())
    expect(s.step('reconcile-order').input).to.include({ of: 'place-hold' })
    found(s, foundOrder())
    expect(s.booking.operator).to.include({ step: 'deduct', why: 'history-lost' })
  })

  it('whose call is still under way is not taken for one that was never made', () => {
    const s = paid()
    s.start('issue-tickets')
    const executionId = s.executionOf('issue-tickets')
    restored(s)
    const untilMs = s.member.nowMs + 145 * second
    while (s.member.nowMs < untilMs) s.falls('reconcile-order', { found: false })
    expect(s.booking.unknown).to.include({ step: 'issue-tickets' })
    s.report('issue-tickets', outcomes.issued, { attempt: 1, executionId })
    expect(s.booking.phase).to.equal('confirmed')
  })

  it('that is not there fails the booking, once somebody has said that nothing was deducted', () => {
    const s = restored(requested())
    found(s, { found: false })
    expect(s.booking.phase).to.equal('undoing')
    expect(s.booking.operator).to.include({ step: 'deduct', why: 'history-lost' })
    s.operator('did-not-happen')
    expect(s.booking.phase).to.equal('failed')
  })
})

describe('a confirmed booking', () => {
  it('goes on as it is, and its first cancellation is refunded as ever', () => {
    const s = restored(confirmed())
    expect(s.openSteps).to.deep.equal([])
    s.cancel().work('cancel-order', outcomes.cancelled).work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('whose order is cancelled already may have been refunded: a person says so', () => {
    const s = restored(confirmed()).cancel().work('cancel-order', outcomes.refused('already-cancelled'))
    expect(s.booking.operator).to.include({ step: 'refund', why: 'history-lost' })
    expect(s.openSteps).to.deep.equal(['operator-decision'])
    s.operator('happened')
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('with lost events that are known is never refunded unasked', () => {
    const s = restored(confirmed(), 3).cancel().work('cancel-order', outcomes.cancelled)
    expect(s.booking.operator).to.include({ step: 'refund', why: 'history-lost' })
  })
})

describe('a booking that waited for an approval', () => {
  it('may be approved again, and then doubts everything', () => {
    const s = restored(requested({ approval: true, holdable: false })).approve()
    const fare = {
      supplierOfferId: 'off_1',
      supplierPassengerIds: ['pas_1'],
      holdable: false,
      expiresAt: s.booking.offer.expiresAt,
    }
    const same = { ...fare, supplierAmount: '350.00', supplierCurrency: 'USD', balance: 100_000 }
    s.after(minute).report('recheck-fare', { kind: 'succeeded', result: same })
    expect(s.booking.operator).to.include({ step: 'deduct', why: 'history-lost' })
  })
})

describe('a booking that waited for an approval and is to end', () => {
  const ends: Record<string, [to: string, (s: BookingSpec) => BookingSpec]> = {
    'is rejected': ['failed', (s) => s.reject()],
    'is cancelled': ['cancelled', (s) => s.cancel()],
    'runs out': ['expired', (s) => s.after(25 * hour).falls('approval-expiry')],
    'had run out': ['expired', (s) => s.after(25 * hour).approve()],
  }
  for (const [name, [to, end]] of Object.entries(ends)) {
    it(`${name}: a person says first whether it was paid for`, () => {
      const s = end(restored(requested({ approval: true })))
      expect(s.booking.operator).to.include({ step: 'deduct', why: 'history-lost' })
      s.operator('happened', { transactionId: 'txn_9' })
      found(s, foundOrder())
      // Whether the tickets that were found were given back again is looked up, whether they were paid back a person says.
      const undone = (step: string) => {
        if (step === 'refund') s.operator('retry').work('refund', outcomes.refunded, 65_000)
        else found(s, foundOrder()).work('cancel-order', outcomes.cancelled)
      }
      for (const step of to === 'cancelled' ? ['cancel-order', 'refund'] : ['refund', 'cancel-order']) undone(step)
      expect(s.booking.phase).to.equal(to)
      expect(s.booking.givenBack?.as).to.equal('refunded')
    })

    it(`${name}: and it ends so when nothing was done for it`, () => {
      const s = end(restored(requested({ approval: true }))).operator('did-not-happen')
      found(s, { found: false })
      expect(s.booking.phase).to.equal(to)
      expect(s.accountFacts).to.deep.equal([])
    })
  }
})

describe('a booking that is being undone', () => {
  it('looks for the order that may have been paid for, before it refunds', () => {
    const s = restored(requested({ holdable: false }))
      .cancel()
      .operator('happened', { transactionId: 'txn_9' })
    expect(s.step('reconcile-order').input).to.include({ of: 'issue-tickets' })
    found(s, foundOrder())
    found(s, foundOrder())
    s.work('cancel-order', outcomes.cancelled)
    expect(s.booking.operator).to.include({ step: 'refund' })
    s.operator('did-not-happen').work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('asks nothing more about an instant fare that was not deducted', () => {
    expect(
      restored(requested({ holdable: false }))
        .cancel()
        .operator('did-not-happen').booking.phase,
    ).to.equal('cancelled')
  })

  it('gives back an order that was held and never paid', () => {
    const s = restored(requested()).cancel()
    expect(s.step('reconcile-order').input).to.include({ of: 'place-hold' })
    found(s, foundOrder({ awaitingPayment: true, tickets: [] }))
    found(s, foundOrder({ awaitingPayment: true, tickets: [] }))
    s.work('cancel-order', outcomes.cancelled)
    s.operator('did-not-happen')
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('owes nothing before a person has said that it was not refunded', () => {
    const s = restored(requested({ holdable: false }))
      .cancel()
      .operator('happened')
    found(s, { found: false })
    expect(s.booking.operator).to.include({ step: 'refund', why: 'history-lost' })
    expect(s.accountFacts).not.to.include('RefundOwed')
    expect(s.operator('did-not-happen').accountFacts).to.include('RefundOwed')
    expect(s.booking.phase).to.equal('cancelled')
  })
})

describe('a member with lost events', () => {
  it('is not deducted from before an operator has looked, once', () => {
    const member = new SpecMember()
    const first = held({ member, bookingId: 'bkg_1' })
    const data = { generation: 2, lostEvents: 4, at: member.now }
    first.appends({ booking: [], account: [{ type: 'AccountHistoryLost', data }] })
    expect(first.start('deduct')).to.equal('over')
    expect(first.booking.operator).to.include({ step: 'deduct', why: 'history-lost' })
    first.operator('retry')
    expect(first.accountFacts).to.include('AccountHistoryReviewed')
    first.work('deduct', outcomes.deducted)
    held({ member, bookingId: 'bkg_2' }).work('deduct', outcomes.deducted, 65_000)
  })
})
