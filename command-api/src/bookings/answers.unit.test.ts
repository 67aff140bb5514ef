/**
 * What members are answered, for every state a booking can be in. Seen failing when: `isCreateSettled` takes an unknown outcome for an
 * answer; `net_refund` is the amount although no refund was asked for.
 */
import {
  confirmedBookingSchema,
  pendingApprovalBookingSchema,
  pendingBookingSchema,
} from '@portolan/schemas/bookings/views.ts'
import type { Outcome } from '@portolan/schemas/steps.ts'
import { expect } from 'chai'
import {
  bookingStatus,
  cancelledAnswer,
  createdAnswer,
  createProblem,
  isCancelDecided,
  isCreateDecided,
  isCreateSettled,
  pendingAnswer,
} from './answers.ts'
import type { Booking } from './booking.ts'
import { type BookingSpec, confirmed, held, outcomes, paid, requested, unknownDeduction } from './booking-spec.ts'

const details = {
  title: 'Mr',
  gender: 'm',
  firstName: 'John',
  lastName: 'Doe',
  dateOfBirth: '1985-03-15',
  email: 'john.doe@email.com',
  phone: '+15551234567',
} as const

const answerable = (b: Booking) => [isCreateDecided(b), isCreateSettled(b), isCancelDecided(b)]

/** A booking that failed because of what came of its deduction, all undone. */
function failedBy(outcome: Outcome): BookingSpec {
  const s = held().work('deduct', outcome)
  return s.work('cancel-order', outcomes.cancelled)
}
const refundedCancellation = () =>
  confirmed().cancel().work('cancel-order', outcomes.cancelled).work('refund', outcomes.refunded, 65_000)

describe('a booking that is confirmed', () => {
  it('is answered with the documented body', () => {
    const { booking } = confirmed()
    const body = createdAnswer(booking, 'coffeechain', [details])
    expect(body).to.deep.equal({
      data: {
        booking_id: 'bkg_1',
        status: 'confirmed',
        tenant_id: 'coffeechain',
        member_id: 'CC1234567',
        flight: {
          id: 'flt_1',
          flight_number: 'UA123',
          departure: '2026-12-24T08:00:00.000Z',
          arrival: '2026-12-24T13:00:00.000Z',
        },
        passengers: [{ name: 'John Doe', ticket_number: '0162345678901' }],
        payment: { loyalty_amount: 35_000, loyalty_currency: 'stars', usd_equivalent: 35_000 },
        created_at: '2026-11-21T12:00:00.000Z',
        expires_at: null,
      },
    })
    confirmedBookingSchema.parse(body)
    expect(createProblem(booking)).to.equal(null)
    expect(answerable(booking)).to.deep.equal([true, true, false])
    expect(bookingStatus(booking)).to.equal('confirmed')
  })

  it('has no name for a person who was forgotten, and no ticket where none was issued', () => {
    const booking = { ...confirmed().booking, tickets: [] }
    const body = createdAnswer(booking, 'coffeechain', [undefined])
    expect(body?.data).to.have.deep.property('passengers', [{ name: '', ticket_number: null }])
  })
})

describe('a booking that waits for approval', () => {
  it('is answered with the shorter body and the documented reason', () => {
    const { booking } = requested({ approval: true })
    const body = createdAnswer(booking, 'coffeechain', [])
    expect(body).to.deep.equal({
      data: {
        booking_id: 'bkg_1',
        status: 'pending_approval',
        tenant_id: 'coffeechain',
        approval_required: true,
        approval_reason: 'Booking exceeds 50,000 stars limit',
        estimated_approval_time: 'PT24H',
      },
    })
    pendingApprovalBookingSchema.parse(body)
    expect(answerable(booking)).to.deep.equal([true, true, false])
  })

  it('is a conflict for whoever created it once it was rejected, and not cancelled', () => {
    const { booking } = requested({ approval: true }).reject()
    expect(createdAnswer(booking, 'coffeechain', [])).to.equal(null)
    expect(cancelledAnswer(booking)).to.equal(null)
    expect(answerable(booking)).to.deep.equal([true, true, true])
  })
})

describe('a booking under way', () => {
  it('is pending, without a reason while everything goes its way', () => {
    const { booking } = requested()
    const body = pendingAnswer(booking, 'coffeechain')
    expect(body).to.deep.equal({
      data: { booking_id: 'bkg_1', status: 'pending', tenant_id: 'coffeechain', member_id: 'CC1234567' },
    })
    pendingBookingSchema.parse(body)
    expect(bookingStatus(booking)).to.equal('processing')
    expect(createdAnswer(booking, 'coffeechain', [])).to.equal(null)
    expect(createProblem(booking)).to.equal(null)
    expect(answerable(booking)).to.deep.equal([false, false, false])
  })

  it('says when the supplier is awaited', () => {
    const { booking } = paid().work('issue-tickets', outcomes.accepted)
    expect(bookingStatus(booking)).to.equal('awaiting_supplier')
    expect(pendingAnswer(booking, 't').data.status_detail).to.equal('awaiting_supplier')
    expect(answerable(booking)).to.deep.equal([false, false, false])
  })

  it('says when it is cancelled or taken back', () => {
    expect(bookingStatus(confirmed().cancel().booking)).to.equal('cancelling')
    expect(bookingStatus(paid().work('issue-tickets', outcomes.refused('offer-unavailable')).booking)).to.equal(
      'compensating',
    )
  })
})

describe('a booking whose outcome nobody knows', () => {
  it('is answered by what happened to the call, and a retry of the request waits for the end', () => {
    const timedOut = unknownDeduction().booking
    expect(createProblem(timedOut)).to.include({ code: 'partner-timeout' })
    expect(createProblem(timedOut)?.members).to.deep.equal({ booking_id: 'bkg_1' })
    expect(createProblem(held().work('deduct', outcomes.serverError).booking)).to.include({
      code: 'partner-unavailable',
    })
    expect(bookingStatus(timedOut)).to.equal('outcome_unknown')
    expect(answerable(timedOut)).to.deep.equal([true, false, true])
  })

  it('is unavailable rather than late once a person has to decide', () => {
    const s = confirmed().cancel().work('cancel-order', outcomes.refused('not-cancellable'))
    expect(s.booking.operator).not.to.equal(null)
    expect(createProblem(s.booking)).to.include({ code: 'partner-unavailable' })
    expect(bookingStatus(s.booking)).to.equal('outcome_unknown')
    expect(isCancelDecided(s.booking)).to.equal(true)
  })
})

describe('a booking that failed', () => {
  it('for lack of balance is answered with the balance the partner named', () => {
    const problem = createProblem(failedBy(outcomes.refused('insufficient-balance', { available: 7 })).booking)
    expect(problem).to.include({
      code: 'insufficient-balance',
      detail: 'Member has an insufficient balance. Required: 35000, Available: 7',
    })
    expect(problem?.members).to.deep.equal({
      balance: { required: 35_000, available: 7, currency: 'stars' },
      booking_id: 'bkg_1',
    })
  })

  it('for lack of balance names 0 where the partner named nothing', () => {
    const problem = createProblem(failedBy(outcomes.refused('insufficient-balance')).booking)
    expect(problem?.members.balance).to.include({ available: 0 })
  })

  const answers: Record<string, string> = {
    'member-not-found': 'member-not-found',
    unauthorized: 'unauthorized',
    'partner-refused': 'conflict',
  }
  for (const [refused, code] of Object.entries(answers)) {
    it(`because the partner said ${refused} is answered ${code}, with its id`, () => {
      const problem = createProblem(failedBy(outcomes.refused(refused)).booking)
      expect(problem).to.include({ code })
      expect(problem?.members).to.deep.equal({ booking_id: 'bkg_1' })
    })
  }

  it('because the supplier refused is answered as soon as that is clear, before all is undone', () => {
    const { booking } = requested().work('place-hold', outcomes.refused('offer-unavailable'))
    expect(createProblem(booking)).to.include({ code: 'offer-no-longer-available' })
    const undoing = paid().work('issue-tickets', outcomes.refused('order-not-created')).booking
    expect(createProblem(undoing)).to.include({ code: 'partner-unavailable' })
    expect(answerable(undoing)).to.deep.equal([true, true, false])
  })

  it('is no cancelled one', () => {
    expect(cancelledAnswer(failedBy(outcomes.refused('partner-refused')).booking)).to.equal(null)
  })
})

describe('a cancelled booking', () => {
  it('is answered with the refund the partner confirmed', () => {
    const s = refundedCancellation()
    const body = cancelledAnswer(s.booking)
    expect(body).to.deep.equal({
      data: {
        booking_id: 'bkg_1',
        status: 'cancelled',
        cancelled_at: '2026-11-21T12:00:00.000Z',
        refund: {
          status: 'processed',
          loyalty_amount: 35_000,
          loyalty_currency: 'stars',
          fee: 0,
          net_refund: 35_000,
          processed_at: '2026-11-21T12:00:00.000Z',
        },
      },
    })
    expect(answerable(s.booking)).to.deep.equal([true, true, true])
  })

  it('with an owed refund says pending, not processed', () => {
    const s = confirmed().cancel().work('cancel-order', outcomes.cancelled)
    s.work('refund', outcomes.refused('transaction-not-found'), 65_000)
    expect(cancelledAnswer(s.booking)?.data.refund).to.include({
      status: 'pending',
      net_refund: 35_000,
      processed_at: null,
    })
  })

  it('without a wish for a refund gives nothing back', () => {
    const s = confirmed().cancel(false).work('cancel-order', outcomes.cancelled)
    expect(cancelledAnswer(s.booking)?.data.refund).to.include({
      status: 'not_requested',
      loyalty_amount: 35_000,
      net_refund: 0,
      processed_at: null,
    })
  })

  it('that had cost nothing yet has nothing to give back', () => {
    const s = requested({ approval: true }).cancel()
    expect(cancelledAnswer(s.booking)?.data.refund).to.include({
      status: 'not_applicable',
      loyalty_amount: 0,
      net_refund: 0,
    })
    expect(createProblem(s.booking)).to.include({ code: 'conflict' })
  })
})
