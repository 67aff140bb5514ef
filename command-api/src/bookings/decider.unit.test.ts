/**
 * What members and operators may do, in every state. Seen failing when: an overdue approval can still be given; approving, cancelling or a
 * webhook counts twice; a departed flight can be cancelled; a dearer fare is taken; a cancelled booking ends while a call is claimed or
 * unknown, gives the stars back before the tickets, or forgets the refund of one that was failing.
 */
import { expect } from 'chai'
import {
  BookingSpec,
  confirmed,
  foundOrder,
  held,
  hour,
  minute,
  outcomes,
  paid,
  price,
  refusal,
  requested,
  second,
  unknownDeduction,
} from './booking-spec.ts'

const fare = {
  supplierOfferId: 'off_2',
  supplierPassengerIds: ['pas_2'],
  holdable: true,
  expiresAt: '2026-11-22T12:00:00.000Z',
  supplierAmount: '350.00',
  supplierCurrency: 'USD',
  balance: 100_000,
}

const awaitingApproval = () => requested({ approval: true })

describe('a booking that nobody asked for', () => {
  it('is not found by any command', () => {
    const s = new BookingSpec()
    const commands = [
      () => s.approve(),
      () => s.reject(),
      () => s.cancel(),
      () => s.operator('retry'),
      () => s.settleOwed(1),
    ]
    for (const command of commands) expect(refusal(command)).to.equal('booking-not-found')
  })

  it('has no poll to hasten', () => {
    expect(new BookingSpec().webhook().appended).to.deep.equal([])
  })
})

describe('a booking that was asked for', () => {
  it('holds the seats first where the fare allows it', () => {
    const s = requested()
    expect(s.facts).to.deep.equal(['BookingRequested'])
    expect(s.openSteps).to.deep.equal(['place-hold'])
  })

  it('deducts at once where the fare cannot be held', () => {
    expect(requested({ holdable: false }).openSteps).to.deep.equal(['deduct'])
  })

  it('is not waiting for an approval', () => {
    expect(refusal(() => requested().approve())).to.equal('not-pending-approval')
    expect(refusal(() => requested().reject())).to.equal('not-pending-approval')
  })

  it('is cancelled at once while nothing was done for it', () => {
    const s = requested().cancel()
    expect(s.facts).to.deep.equal(['CancellationRequested', 'BookingCancelled'])
    expect(s.fact('BookingCancelled').refund).to.equal('not_applicable')
  })

  it('owes nothing that could be settled', () => {
    expect(requested().settleOwed().appendedToAccount).to.deep.equal([])
  })
})

describe('a booking that waits for an approval', () => {
  it('holds and deducts nothing meanwhile', () => {
    const s = awaitingApproval()
    expect(s.facts).to.deep.equal(['BookingRequested', 'ApprovalRequested'])
    expect(s.openSteps).to.deep.equal(['approval-expiry'])
  })

  it('has its fare looked up again once it is approved', () => {
    const s = awaitingApproval().after(hour).approve()
    expect(s.facts).to.deep.equal(['BookingApproved'])
    expect(s.openSteps).to.deep.equal(['recheck-fare'])
  })

  it('is approved once however often somebody approves', () => {
    expect(awaitingApproval().approve().approve().appended).to.deep.equal([])
  })

  it('stays approved for a second approver even after it expired for its price', () => {
    const s = awaitingApproval().approve()
    s.report('recheck-fare', { kind: 'succeeded', result: { ...fare, supplierAmount: '350.01' } })
    expect(s.booking.phase).to.equal('expired')
    expect(s.approve().appended).to.deep.equal([])
  })

  it('is rejected once however often somebody rejects', () => {
    const s = awaitingApproval().reject()
    expect(s.facts).to.deep.equal(['BookingRejected'])
    expect(s.booking.phase).to.equal('rejected')
    expect(s.reject().appended).to.deep.equal([])
  })

  it('cannot be approved after it was rejected, nor rejected after it was approved', () => {
    expect(refusal(() => awaitingApproval().reject().approve())).to.equal('not-pending-approval')
    expect(refusal(() => awaitingApproval().approve().reject())).to.equal('not-pending-approval')
  })

  it('expires when nobody decides in time', () => {
    const s = awaitingApproval().falls('approval-expiry')
    expect(s.facts).to.deep.equal(['BookingExpired'])
    expect(s.fact('BookingExpired').reason).to.equal('approval-expired')
  })

  it('does not expire a moment too early, and is asked for again', () => {
    const s = awaitingApproval().after(24 * hour - 1)
    s.report('approval-expiry', { kind: 'succeeded', result: {} })
    expect(s.booking.phase).to.equal('pending_approval')
    // As far beyond its time as the worker's clock was ahead, or it would run too early again and again.
    const dueAt = new Date(Date.parse(s.booking.approval?.expiresAt ?? '') + 1).toISOString()
    expect(s.step('approval-expiry')).to.include({ attempt: 2, dueAt })
  })

  it('expires after one early run although the worker’s clock is seconds ahead', () => {
    const s = awaitingApproval()
    let runs = 0
    s.whileOpen('approval-expiry', () => {
      runs += 1
      s.at(new Date(Date.parse(s.step('approval-expiry').dueAt) - 3 * second).toISOString())
      s.report('approval-expiry', { kind: 'succeeded', result: {} })
    })
    expect(s.booking.phase).to.equal('expired')
    expect(runs).to.equal(2)
  })

  for (const command of ['approve', 'reject', 'cancel'] as const) {
    it(`expires when the first thing after its time is to ${command} it`, () => {
      const s = awaitingApproval().after(24 * hour)
      expect(s[command]().facts).to.deep.equal(['BookingExpired'])
      expect(s.refused).to.equal(command === 'cancel' ? 'not-cancellable' : 'not-pending-approval')
    })
  }

  it('is cancelled without a refund', () => {
    const s = awaitingApproval().cancel()
    expect(s.facts).to.deep.equal(['CancellationRequested', 'BookingCancelled'])
    expect(s.fact('BookingCancelled').refund).to.equal('not_applicable')
    expect(refusal(() => s.approve())).to.equal('not-pending-approval')
  })
})

describe('an approved booking whose fare is looked up again', () => {
  const recheck = (result: Partial<typeof fare>) =>
    awaitingApproval()
      .approve()
      .report('recheck-fare', { kind: 'succeeded', result: { ...fare, ...result } })

  it('goes on with the new offer at the same price', () => {
    const s = recheck({})
    expect(s.facts).to.deep.equal(['FareConfirmed'])
    expect(s.openSteps).to.deep.equal(['place-hold'])
    const { input } = s.step('place-hold')
    expect(input).to.include({ supplierOfferId: 'off_2', supplierAmount: '350.00' })
    expect(input.passengers).to.have.nested.property('[0].supplierPassengerId', 'pas_2')
  })

  it('pays the supplier less and the agreed stars when the fare fell', () => {
    const s = recheck({ supplierAmount: '99.5' })
    expect(s.step('place-hold').input.supplierAmount).to.equal('99.5')
    s.work('place-hold', outcomes.held('2026-11-21T13:00:00.000Z'))
    expect(s.step('deduct').input.amount).to.equal(price.loyaltyAmount)
  })

  it('deducts next when the new offer cannot be held', () => {
    expect(recheck({ holdable: false }).openSteps).to.deep.equal(['deduct'])
  })

  for (const change of [{ supplierAmount: '350.01' }, { supplierCurrency: 'EUR', supplierAmount: '1.00' }]) {
    it(`expires when the fare is now ${Object.values(change).join(' ')}`, () => {
      const s = recheck(change)
      expect(s.facts).to.deep.equal(['CompensationStarted', 'BookingExpired'])
      expect(s.fact('BookingExpired').reason).to.equal('price-increased')
    })
  }

  it('fails when the member has spent the stars meanwhile', () => {
    const s = recheck({ balance: 34_999 })
    expect(s.booking.phase).to.equal('failed')
    expect(s.fact('CompensationStarted')).to.include({ reason: 'insufficient-balance', availableBalance: 34_999 })
  })

  it('expires when the flight is gone', () => {
    const s = awaitingApproval().approve().report('recheck-fare', outcomes.refused('offer-unavailable'))
    expect(s.booking.phase).to.equal('expired')
    expect(s.fact('BookingExpired').reason).to.equal('offer-unavailable')
  })

  it('is looked up again while the supplier is not available, and fails after a quarter of an hour', () => {
    const s = awaitingApproval().approve()
    const unavailable = { kind: 'not-done', code: 'supplier-unavailable', retryAfterMs: minute } as const
    s.whileOpen('recheck-fare', () => s.after(minute).report('recheck-fare', unavailable))
    expect(s.booking.attempts['recheck-fare']).to.equal(15)
    expect(s.fact('BookingFailed').reason).to.equal('supplier-unavailable')
  })

  it('is cancelled at once, and a look-up that comes later changes nothing', () => {
    const s = awaitingApproval().approve().cancel()
    expect(s.booking.phase).to.equal('cancelled')
    s.report('recheck-fare', { kind: 'succeeded', result: fare }, { attempt: 1 })
    expect(s.appended).to.deep.equal([])
  })
})

describe('a booking whose member cancels', () => {
  it('gives an unpaid hold back and needs no refund', () => {
    const s = held().cancel()
    expect(s.facts).to.deep.equal(['CancellationRequested'])
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.facts).to.deep.equal(['OrderCancelled', 'BookingCancelled'])
    expect(s.fact('BookingCancelled').refund).to.equal('not_applicable')
  })

  it('gives the tickets back first, then the stars', () => {
    const s = confirmed().cancel()
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    s.work('cancel-order', outcomes.cancelled)
    expect(s.openSteps).to.deep.equal(['refund'])
    expect(s.step('refund').input).to.include({ transactionId: 'txn_1', amount: 35_000, currency: 'stars' })
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.facts).to.deep.equal(['PaymentRefunded', 'BookingCancelled'])
    expect(s.accountFacts).to.deep.equal(['MovementSettled'])
    expect(s.fact('BookingCancelled').refund).to.equal('processed')
  })

  it('keeps the stars when no refund is asked for', () => {
    const s = confirmed().cancel(false).work('cancel-order', outcomes.cancelled)
    expect(s.facts).to.deep.equal(['OrderCancelled', 'BookingCancelled'])
    expect(s.fact('BookingCancelled').refund).to.equal('not_requested')
  })

  it('is refunded all the same when no ticket came of it: only a ticket can be given up', () => {
    const s = paid()
    s.start('issue-tickets')
    s.cancel(false)
    s.report('issue-tickets', { kind: 'refused', code: 'order-not-created' })
    // A cancellation gives the order back first.
    s.whileOpen('cancel-order', () => s.work('cancel-order', outcomes.cancelled))
    s.work('refund', outcomes.refunded, 65_000)
    expect(s.fact('BookingCancelled').refund).to.equal('processed')
  })

  it('is cancelled once however often the member asks', () => {
    const s = confirmed().cancel()
    expect(s.cancel().appended).to.deep.equal([])
    s.work('cancel-order', outcomes.cancelled).work('refund', outcomes.refunded, 65_000)
    expect(s.cancel().appended).to.deep.equal([])
  })

  it('cannot be cancelled after the flight has left', () => {
    const s = confirmed({ departsAt: '2026-11-21T13:00:00.000Z' }).after(hour)
    expect(refusal(() => s.cancel())).to.equal('not-cancellable')
  })

  it('cannot be cancelled after it failed, was rejected or expired', () => {
    const failed = requested({ holdable: false }).work('deduct', outcomes.refused('member-not-found'))
    const ended = [failed, awaitingApproval().reject(), awaitingApproval().falls('approval-expiry')]
    for (const s of ended) expect(refusal(() => s.cancel())).to.equal('not-cancellable')
  })

  it('waits for a hold that is being placed and then gives it back', () => {
    const s = requested()
    s.start('place-hold')
    expect(s.cancel().openSteps).to.deep.equal(['attempt-watch', 'place-hold'])
    s.report('place-hold', outcomes.held('2026-11-21T13:00:00.000Z'))
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('ends when the hold that was being placed is refused', () => {
    const s = requested()
    s.start('place-hold')
    s.cancel().report('place-hold', outcomes.refused('offer-expired'))
    expect(s.facts).to.deep.equal(['BookingCancelled'])
  })

  it('is not given a second try at a hold that was not placed', () => {
    const s = requested()
    s.start('place-hold')
    s.cancel().report('place-hold', outcomes.unavailable)
    expect(s.booking.phase).to.equal('cancelled')
  })

  it('waits for a deduction under way and gives the stars back', () => {
    const s = held()
    s.start('deduct')
    s.recordBalance('deduct', 100_000)
    expect(s.cancel().openSteps).to.deep.equal(['attempt-watch', 'deduct'])
    s.report('deduct', outcomes.deducted)
    expect(s.openSteps).to.deep.equal(['cancel-order'])
    s.work('cancel-order', outcomes.cancelled).work('refund', outcomes.refunded, 65_000)
    expect(s.fact('BookingCancelled').refund).to.equal('processed')
  })

  it('waits for an unknown deduction; when it happened without a transaction id the stars are owed', () => {
    const s = unknownDeduction().cancel()
    expect(s.openSteps).to.deep.equal(['reconcile-movement'])
    s.falls('reconcile-movement', { balance: 65_000, readAt: s.member.now })
    s.work('cancel-order', outcomes.cancelled)
    expect(s.facts).to.deep.equal(['OrderCancelled', 'RefundOwed', 'BookingCancelled'])
    expect(s.fact('BookingCancelled').refund).to.equal('pending')
  })

  it('does not end while nobody knows what was done, even if nothing else is left to undo', () => {
    const unknownHold = requested().work('place-hold', outcomes.timeout)
    const acceptedHold = requested().work('place-hold', outcomes.accepted)
    const unknownPayment = requested({ holdable: false }).work('deduct', outcomes.timeout)
    for (const s of [unknownHold, acceptedHold, unknownPayment]) expect(s.cancel().booking.phase).to.equal('undoing')
  })

  it('waits for tickets being issued and then gives tickets and stars back', () => {
    const s = paid()
    s.start('issue-tickets')
    s.cancel().report('issue-tickets', outcomes.issued)
    expect(s.booking.phase).to.equal('undoing')
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('waits for an order the supplier only accepted', () => {
    const s = paid().work('issue-tickets', outcomes.accepted).cancel()
    expect(s.openSteps).to.deep.equal(['poll-order'])
    s.falls('poll-order', foundOrder())
    expect(s.openSteps).to.deep.equal(['cancel-order'])
  })

  it('ends as cancelled with its stars back when it was failing already', () => {
    const s = paid().work('issue-tickets', outcomes.refused('offer-unavailable')).cancel(false)
    s.work('cancel-order', outcomes.cancelled).work('refund', outcomes.refunded, 65_000)
    expect(s.booking.phase).to.equal('cancelled')
    expect(s.fact('BookingCancelled').refund).to.equal('processed')
  })

  it('is not told twice that it is being undone', () => {
    const s = held()
    s.start('deduct')
    s.cancel().report('deduct', outcomes.refused('insufficient-balance', { available: 10 }))
    expect(s.events.map((event) => event.type)).not.to.include('CompensationStarted')
  })
})

describe('an accepted order that is polled', () => {
  const accepted = () => paid().work('issue-tickets', outcomes.accepted)

  it('is polled at once, under a new number, when a webhook arrives', () => {
    const s = accepted().after(second).webhook()
    expect(s.facts).to.deep.equal(['StepHastened'])
    expect(s.step('poll-order')).to.include({ attempt: 2, dueAt: s.member.now })
  })

  it('is hastened once however many webhooks arrive', () => {
    expect(accepted().webhook().webhook().appended).to.deep.equal([])
  })

  it('no longer counts the poll that the webhook overtook', () => {
    const s = accepted().webhook()
    expect(s.report('poll-order', { kind: 'succeeded', result: foundOrder() }, { attempt: 1 }).appended).to.deep.equal(
      [],
    )
    expect(s.falls('poll-order', foundOrder()).booking.phase).to.equal('confirmed')
  })

  it('goes back to its rhythm when the hastened poll finds nothing new', () => {
    const s = accepted().after(second).webhook().falls('poll-order', { found: false })
    expect(s.step('poll-order').attempt).to.equal(3)
    expect(Date.parse(s.step('poll-order').dueAt)).to.be.greaterThan(s.member.nowMs)
    expect(s.step('poll-order').deadline).to.equal(s.booking.awaiting?.pollUntil)
  })
})

describe('an order of unknown outcome', () => {
  it('is looked up at once when a webhook arrives', () => {
    const s = requested().work('place-hold', outcomes.serverError).webhook()
    expect(s.step('reconcile-order')).to.include({ attempt: 2, dueAt: s.member.now })
  })
})

describe('a refund that is owed', () => {
  const owing = () => {
    const s = unknownDeduction()
    s.falls('reconcile-movement', { balance: 65_000, readAt: s.member.now })
    return s.work('issue-tickets', outcomes.refused('offer-unavailable')).work('cancel-order', outcomes.cancelled)
  }

  it('stands in the member’s account', () => {
    const s = owing()
    expect(s.accountFacts).to.deep.equal(['RefundOwed'])
    expect(s.member.account.owed).to.deep.equal({ bkg_1: { amount: 35_000, currency: 'stars' } })
  })

  it('is settled by an operator once', () => {
    const s = owing().settleOwed()
    expect(s.accountFacts).to.deep.equal(['OwedRefundSettled'])
    expect(s.member.account.owed).to.deep.equal({})
    expect(s.settleOwed().appendedToAccount).to.deep.equal([])
  })
})
