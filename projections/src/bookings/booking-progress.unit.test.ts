import { sampleData } from '@portolan/infra/testing/samples.ts'
import { readEvent } from '@portolan/schemas/catalogue.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { evolveDetails } from './booking-details.ts'
import { evolveProgress, type ShownEvent, shownEvents, startProgress, statusOf } from './booking-progress.ts'

/** An event by its golden sample, in its current version. */
const given = (type: ShownEvent['type'], changes: Record<string, unknown> = {}): ShownEvent =>
  ({ type, data: sampleData(topics.bookings, type, changes, type === 'BookingConfirmed' ? 2 : 1) }) as ShownEvent
const fold = (events: ShownEvent[]) => events.reduce(evolveProgress, startProgress)
const detailsOf = (events: ShownEvent[]) =>
  events.reduce<ReturnType<typeof evolveDetails> | null>((details, event) => evolveDetails(details, event), null)

describe('a booking, read from its events', () => {
  const stories: [string, ShownEvent[], string][] = [
    ['is being processed once requested', [given('BookingRequested')], 'processing'],
    ['waits for approval', [given('BookingRequested'), given('ApprovalRequested')], 'pending_approval'],
    [
      'is processed again once approved',
      [given('BookingRequested'), given('ApprovalRequested'), given('BookingApproved'), given('FareConfirmed')],
      'processing',
    ],
    ['is rejected', [given('BookingRequested'), given('ApprovalRequested'), given('BookingRejected')], 'rejected'],
    [
      'is confirmed once ticketed',
      [given('BookingRequested'), given('HoldPlaced'), given('PaymentDeducted'), given('BookingConfirmed')],
      'confirmed',
    ],
    ['awaits a supplier that accepted', [given('BookingRequested'), given('SupplierAccepted')], 'awaiting_supplier'],
    ['does not know an outcome', [given('BookingRequested'), given('OutcomeUnknown')], 'outcome_unknown'],
    [
      'still does not know it when a person is needed',
      [given('BookingRequested'), given('OutcomeUnknown'), given('OperatorNeeded')],
      'outcome_unknown',
    ],
    [
      'goes on once the outcome is established',
      [given('BookingRequested'), given('OutcomeUnknown'), given('OutcomeEstablished'), given('PaymentDeducted')],
      'processing',
    ],
    [
      'goes on once an operator decided',
      [given('BookingRequested'), given('OperatorNeeded'), given('OperatorDecided')],
      'processing',
    ],
    [
      'is compensated',
      [given('BookingRequested'), given('PaymentDeducted'), given('CompensationStarted')],
      'compensating',
    ],
    [
      'shows an unknown refund before its compensation',
      [given('BookingRequested'), given('CompensationStarted'), given('OutcomeUnknown')],
      'outcome_unknown',
    ],
    ['fails', [given('BookingRequested'), given('CompensationStarted'), given('BookingFailed')], 'failed'],
    ['expires', [given('BookingRequested'), given('BookingExpired')], 'expired'],
    [
      'is being cancelled',
      [given('BookingRequested'), given('BookingConfirmed'), given('CancellationRequested')],
      'cancelling',
    ],
    [
      'is being cancelled although its tickets were issued meanwhile',
      [given('BookingRequested'), given('CancellationRequested'), given('BookingConfirmed')],
      'cancelling',
    ],
    [
      'that waited for approval is being cancelled until its cancellation is through',
      [given('BookingRequested'), given('ApprovalRequested'), given('CancellationRequested')],
      'cancelling',
    ],
    [
      'is cancelled',
      [given('BookingRequested'), given('BookingConfirmed'), given('CancellationRequested'), given('BookingCancelled')],
      'cancelled',
    ],
  ]
  for (const [title, events, status] of stories)
    it(title, () => {
      expect(statusOf(fold(events))).to.equal(status)
      expect(detailsOf(events)?.status).to.equal(status)
    })

  it('says what is unknown, since when and until when, and who decided on an approval', () => {
    const unknown = given('OutcomeUnknown', {
      step: 'deduct',
      attempt: 2,
      code: 'timeout',
      at: '2026-01-01T00:00:00Z',
      reconcileUntil: '2026-01-01T00:15:00Z',
    })
    expect(fold([given('BookingRequested'), unknown]).unknown).to.deep.equal({
      step: 'deduct',
      attempt: 2,
      why: 'timeout',
      since: '2026-01-01T00:00:00Z',
      until: '2026-01-01T00:15:00Z',
    })
    const approved = fold([
      given('BookingRequested'),
      given('ApprovalRequested'),
      given('BookingApproved', { by: 'staff-1', at: '2026-01-02T00:00:00Z' }),
    ])
    expect(approved.approval).to.include({ decidedBy: 'staff-1', decidedAt: '2026-01-02T00:00:00Z' })
  })

  it('keeps what is known about an open question until it is answered', () => {
    const movement = { kind: 'deduction', amount: 35_000, currency: 'stars', balanceBefore: 150_000, readAt: null }
    const asked = [given('BookingRequested'), given('OutcomeUnknown', { claimedAt: '2026-01-01T00:00:00Z', movement })]
    const saw = { kind: 'balance', balance: 149_000, readAt: '2026-01-01T00:00:05Z' }
    const looked = [...asked, given('OutcomeRead', { look: 1, saw }), given('OperatorNeeded', { looks: 4 })]
    expect(fold(looked).evidence).to.deep.include({ claimedAt: '2026-01-01T00:00:00Z', movement, looks: 4 })
    expect(fold(looked).evidence?.seen.map((look) => look.saw)).to.deep.equal([saw])
    expect(fold([...looked, given('OperatorDecided')])).not.to.have.property('evidence')
    const restless = Array.from({ length: 30 }, (_, look) => given('OutcomeRead', { look: look + 1, saw }))
    expect(fold([...asked, ...restless]).evidence?.seen, 'the latest ones').to.have.length(20)
  })

  it('shows a disputed conclusion beside its status until it is corrected or upheld', () => {
    const failed = [given('BookingRequested'), given('CompensationStarted'), given('BookingFailed')]
    const disputed = [...failed, given('OutcomeDisputed', { step: 'issue-tickets', attempt: 1 })]
    expect(statusOf(fold(disputed))).to.equal('failed')
    expect(fold(disputed).disputed).to.have.length(1)
    expect(fold(disputed).disputed?.[0]).to.deep.include({ step: 'issue-tickets', why: 'reported-late' })
    const about = { step: 'issue-tickets', attempt: 1 }
    expect(fold([...disputed, given('OutcomeUpheld', about)])).not.to.have.property('disputed')
    expect(fold([...disputed, given('OutcomeUpheld', { ...about, attempt: 2 })]).disputed).to.have.length(1)
    expect(fold([...disputed, given('OutcomeCorrected', { ...about, happened: true })])).not.to.have.property(
      'disputed',
    )
  })

  it('follows a correction: undone further, and the facts as they are now known', () => {
    const failed = [given('BookingRequested'), given('CompensationStarted'), given('BookingFailed')]
    const corrected = [...failed, given('OutcomeCorrected', { step: 'deduct', happened: true, givenBack: null })]
    expect(statusOf(fold(corrected))).to.equal('compensating')
    expect(detailsOf(corrected)?.deducted).to.deep.equal({ amount: 35_000, currency: 'stars' })
    const owed = [...corrected, given('RefundOwed'), given('BookingFailed')]
    expect(detailsOf(owed)).to.deep.include({ status: 'failed' })
    expect(detailsOf(owed)?.refund?.status).to.equal('pending')
    const refunded = [...owed, given('OutcomeCorrected', { step: 'refund', happened: true, givenBack: 'refunded' })]
    expect(detailsOf(refunded)?.refund?.status).to.equal('processed')
    const ticketed = [given('BookingRequested'), given('PaymentDeducted'), given('BookingConfirmed')]
    const without = detailsOf([...ticketed, given('OutcomeCorrected', { step: 'issue-tickets', happened: false })])
    expect(without).to.deep.include({ order: null, tickets: [] })
  })

  it('shows the deduction that stands when one of two was none after all', () => {
    const once = [given('BookingRequested'), given('PaymentDeducted'), given('BookingConfirmed')]
    const correct = (attempt: number, happened: boolean) =>
      given('OutcomeCorrected', { step: 'deduct', attempt, happened, givenBack: null })
    const twice = [...once, correct(2, true)]
    expect(detailsOf(twice)?.deducted).to.deep.equal({ amount: 35_000, currency: 'stars', times: 2 })
    const oneStands = [...twice, correct(2, false)]
    expect(detailsOf(oneStands)?.deducted).to.deep.equal({ amount: 35_000, currency: 'stars' })
    expect(detailsOf([...oneStands, correct(1, false)])?.deducted).to.equal(null)
  })

  it('keeps tickets, order, money and reasons in its details, and passengers only sealed', () => {
    const details = detailsOf([
      given('BookingRequested'),
      given('PaymentDeducted', { amount: 35_000 }),
      given('BookingConfirmed'),
      given('CancellationRequested', { at: '2026-02-01T00:00:00Z' }),
      given('PaymentRefunded', { amount: 35_000, at: '2026-02-01T00:00:05Z' }),
      given('BookingCancelled', { refund: 'processed', at: '2026-02-01T00:00:06Z' }),
    ])
    expect(details).to.deep.include({
      deducted: { amount: 35_000, currency: 'stars' },
      refund: { status: 'processed', amount: 35_000, at: '2026-02-01T00:00:05Z' },
      cancelledAt: '2026-02-01T00:00:00Z',
      updatedAt: '2026-02-01T00:00:06Z',
    })
    expect(details?.tickets.map(({ seat }) => seat)).to.deep.equal(['23A', null])
    for (const passenger of details?.passengers ?? []) expect(Object.keys(passenger)).to.deep.equal(['type', 'sealed'])
  })

  it('reads a confirmation of version 1 like one of version 2 without seats', () => {
    const data = sampleData(topics.bookings, 'BookingConfirmed', {}, 1)
    const envelope = { type: 'BookingConfirmed', schemaVersion: 1, data } as never
    const lifted = readEvent(topics.bookings, envelope) as ShownEvent
    const details = detailsOf([given('BookingRequested'), lifted])
    expect(details?.tickets).to.deep.equal([
      { passengerIndex: 0, ticketNumber: '0162345678901', seat: null },
      { passengerIndex: 1, ticketNumber: '0162345678902', seat: null },
    ])
  })

  it('cannot begin with anything but its request', () => {
    for (const type of shownEvents) {
      if (type === 'BookingRequested') continue
      expect(() => evolveDetails(null, given(type)), type).to.throw('begins with BookingRequested')
    }
  })
})
