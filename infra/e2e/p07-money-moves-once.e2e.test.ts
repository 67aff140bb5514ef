/**
 * P7 and P8: money moves once, and "we do not know" is a state. The partner and the supplier fail in the worst places; each booking ends
 * as the design's section 5 says, and ledger and partner agree.
 *
 * Seen failing: with a timed-out deduction reported as `not-done` instead of `unknown` the member pays twice or for nothing; with the
 * reconciliation concluding `did-not-happen` at once the deduction that happened late is never refunded; with `MovementSettled` left out
 * of the ledger the balances disagree.
 */
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expectLedgerBalanced } from '@portolan/infra/testing/ledger.ts'
import { expect } from 'chai'
import type { Member } from './member.ts'
import type { FaultRule } from './sandbox-control.ts'
import { type System, startSystem } from './system.ts'

const opening = 400_000

describe('P7, P8: money moves once, whatever the other side does', function () {
  this.timeout(60_000)
  let system: System
  before(async function () {
    this.timeout(120_000)
    system = await startSystem()
  })
  after(() => system?.stop())
  afterEach(async () => {
    await system.coffeechain.clearFaults()
    await system.duffel.clearFaults()
  })

  /** The booking's status once it has reached one of `statuses`. */
  const reaches = (member: Member, bookingId: string, ...statuses: string[]) =>
    eventually(
      async () => {
        const { status, body } = await member.get(bookingId)
        expect(status, JSON.stringify(body)).to.equal(200)
        expect(statuses, `still ${JSON.stringify(body.data.status_detail ?? body.data.status)}`).to.include(
          body.data.status,
        )
        return body.data
      },
      { withinMs: 25_000, everyMs: 100 },
    )

  /** Partner and ledger must agree: what the member has is what they opened with plus their ledger lines. */
  async function expectAgreement(member: Member, paid: number): Promise<void> {
    expect(await system.coffeechain.balance(member.memberId), 'the partner').to.equal(opening - paid)
    await eventually(async () => {
      const balances = await expectLedgerBalanced(system.readDatabase.adminUrl)
      const own = balances.find(({ account }) => account === `member:${member.memberId}`)
      expect(own?.balance ?? 0, 'the ledger').to.equal(-paid)
    })
  }

  async function bookUnder(fault: FaultRule, where: 'coffeechain' | 'duffel', search = {}) {
    const member = await system.newMember({ balance: opening })
    const flight = await member.findFlight(search)
    await system[where].setFaults([fault])
    const answer = await member.book(flight)
    const bookingId: string = answer.body.data?.booking_id ?? answer.body.error?.booking_id
    expect(bookingId, JSON.stringify(answer.body)).to.be.a('string')
    return { member, flight, answer, bookingId }
  }

  describe('the partner times out on the deduction', () => {
    it('after deducting: the balance tells, the ticket is issued, the member pays once', async () => {
      const fault: FaultRule = { operation: 'deduct', times: 1, effect: 'perform', answer: 'hang' }
      const { member, flight, answer, bookingId } = await bookUnder(fault, 'coffeechain')
      expect(answer.status).to.equal(504)
      expect(answer.body.error.type).to.match(/partner-timeout$/)
      await reaches(member, bookingId, 'confirmed')
      await expectAgreement(member, flight.amount)
    })

    it('after not deducting: the booking fails and nothing is paid', async () => {
      const fault: FaultRule = { operation: 'deduct', times: 1, effect: 'skip', answer: 'hang' }
      const { member, answer, bookingId } = await bookUnder(fault, 'coffeechain')
      expect(answer.status).to.equal(504)
      await reaches(member, bookingId, 'failed')
      await expectAgreement(member, 0)
    })

    it('and deducts only later: an unchanged balance proves nothing before the settle time', async () => {
      const fault: FaultRule = { operation: 'deduct', times: 1, effect: 'perform', effectDelayMs: 2500, answer: 'hang' }
      const { member, flight, bookingId } = await bookUnder(fault, 'coffeechain')
      await reaches(member, bookingId, 'confirmed')
      await expectAgreement(member, flight.amount)
    })
  })

  it('the partner answers 500 after deducting: pending, then completed, 502 meanwhile', async () => {
    const fault: FaultRule = { operation: 'deduct', times: 1, effect: 'perform', answer: { status: 500 } }
    const { member, flight, answer, bookingId } = await bookUnder(fault, 'coffeechain')
    expect(answer.status).to.equal(502)
    await reaches(member, bookingId, 'confirmed')
    await expectAgreement(member, flight.amount)
  })

  it('the partner cuts the connection after deducting: the same', async () => {
    const fault: FaultRule = { operation: 'deduct', times: 1, effect: 'perform', answer: 'reset' }
    const { member, flight, bookingId } = await bookUnder(fault, 'coffeechain')
    await reaches(member, bookingId, 'confirmed')
    await expectAgreement(member, flight.amount)
  })

  it('the partner refuses for lack of balance: 403, failed, nothing paid', async () => {
    const body = { detail: { error: 'insufficient_balance', message: 'x', current_balance: 7, requested_amount: 9 } }
    const fault: FaultRule = { operation: 'deduct', times: 1, effect: 'skip', answer: { status: 400, body } }
    const { member, flight, answer, bookingId } = await bookUnder(fault, 'coffeechain')
    expect(answer.status).to.equal(403)
    expect(answer.body.error.balance).to.deep.equal({ required: flight.amount, available: 7, currency: 'stars' })
    await reaches(member, bookingId, 'failed')
    await expectAgreement(member, 0)
  })

  it('the partner is briefly busy (503): the deduction is tried again and made once', async () => {
    const fault: FaultRule = { operation: 'deduct', times: 2, effect: 'skip', answer: { status: 503 } }
    const { member, flight, answer, bookingId } = await bookUnder(fault, 'coffeechain')
    expect(answer.status).to.equal(201)
    await reaches(member, bookingId, 'confirmed')
    await expectAgreement(member, flight.amount)
  })

  describe('Duffel answers 500 to the order', () => {
    it('after booking: the order is found by its metadata and the booking is confirmed', async () => {
      const fault: FaultRule = { operation: 'orders.create', times: 1, effect: 'perform', answer: { status: 500 } }
      const { member, flight, answer, bookingId } = await bookUnder(fault, 'duffel')
      expect(answer.status).to.equal(502)
      await reaches(member, bookingId, 'confirmed')
      await expectAgreement(member, flight.amount)
      const { effects } = await system.duffel.counters()
      expect(effects['orders.create'], 'nobody ordered a second time').to.be.greaterThan(0)
    })

    it('after not booking: nothing is found, the stars go back, the booking fails', async () => {
      const fault: FaultRule = { operation: 'orders.create', times: 1, effect: 'skip', answer: { status: 500 } }
      const { member, answer, bookingId } = await bookUnder(fault, 'duffel')
      expect(answer.status).to.equal(502)
      await reaches(member, bookingId, 'failed')
      await expectAgreement(member, 0)
    })
  })

  it('Duffel guarantees that nothing was created (502 order_not_created): compensated at once', async () => {
    const answer = { status: 502, code: 'order_not_created' }
    const fault: FaultRule = { operation: 'orders.create', times: 1, effect: 'skip', answer }
    const { member, answer: created, bookingId } = await bookUnder(fault, 'duffel')
    expect(created.status).to.equal(502)
    await reaches(member, bookingId, 'failed')
    await expectAgreement(member, 0)
  })

  it('the refund times out after refunding: the balance tells, and it is made once', async () => {
    const member = await system.newMember({ balance: opening })
    const booked = await member.book(await member.findFlight())
    expect(booked.status).to.equal(201)
    await system.coffeechain.setFaults([{ operation: 'refund', times: 1, effect: 'perform', answer: 'hang' }])
    const cancelled = await member.cancel(booked.body.data.booking_id)
    expect([200, 202]).to.include(cancelled.status)
    await reaches(member, booked.body.data.booking_id, 'cancelled')
    await expectAgreement(member, 0)
  })

  it('the refund times out without refunding: it is tried again, and made once', async () => {
    const member = await system.newMember({ balance: opening })
    const booked = await member.book(await member.findFlight())
    await system.coffeechain.setFaults([{ operation: 'refund', times: 1, effect: 'skip', answer: 'hang' }])
    await member.cancel(booked.body.data.booking_id)
    await reaches(member, booked.body.data.booking_id, 'cancelled')
    await expectAgreement(member, 0)
  })

  it('the partner has forgotten the transaction: the refund is owed, never processed', async () => {
    const member = await system.newMember({ balance: opening })
    const flight = await member.findFlight()
    const booked = await member.book(flight)
    const body = { detail: { error: 'transaction_not_found', message: 'x' } }
    await system.coffeechain.setFaults([
      { operation: 'refund', match: { memberId: member.memberId }, effect: 'skip', answer: { status: 404, body } },
    ])
    const cancelled = await member.cancel(booked.body.data.booking_id)
    expect(cancelled.status).to.equal(200)
    expect(cancelled.body.data.refund).to.deep.include({ status: 'pending', processed_at: null })
    await eventually(async () => {
      const balances = await expectLedgerBalanced(system.readDatabase.adminUrl)
      const owed = balances.find(({ account }) => account === `owed:${member.memberId}`)
      expect(owed?.balance).to.equal(flight.amount)
    })
  })
})
