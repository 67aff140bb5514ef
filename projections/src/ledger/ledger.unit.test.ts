import { sampleData } from '@portolan/infra/testing/samples.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { linesOf } from './ledger.ts'

const accountEvent = (type: string, changes = {}) => ({
  tenantId: 'coffeechain',
  stream: 'member-account-CC1234567',
  streamVersion: 4,
  type,
  data: sampleData(topics.members, type, changes),
})
const amounts = (event: Parameters<typeof linesOf>[0]) =>
  Object.fromEntries(linesOf(event).map(({ account, amount }) => [account, amount]))

describe('ledger lines', () => {
  it('of a deduction move the amount from the member to the programme', () => {
    expect(amounts(accountEvent('MovementSettled', { kind: 'deduction', amount: 35_000 }))).to.deep.equal({
      'member:CC1234567': -35_000,
      programme: 35_000,
    })
  })

  it('of a refund move it back', () => {
    expect(amounts(accountEvent('MovementSettled', { kind: 'refund', amount: 35_000 }))).to.deep.equal({
      'member:CC1234567': 35_000,
      programme: -35_000,
    })
  })

  it('of an owed refund move it from the programme to what is owed, and from there to the member once settled', () => {
    expect(amounts(accountEvent('RefundOwed', { amount: 700 }))).to.deep.equal({
      'owed:CC1234567': 700,
      programme: -700,
    })
    expect(amounts(accountEvent('OwedRefundSettled', { amount: 700 }))).to.deep.equal({
      'owed:CC1234567': -700,
      'member:CC1234567': 700,
    })
  })

  it('of a correction take the movement back, and what was owed for it', () => {
    expect(amounts(accountEvent('MovementCorrected', { kind: 'deduction', amount: 700 }))).to.deep.equal({
      'member:CC1234567': 700,
      programme: -700,
    })
    expect(amounts(accountEvent('MovementCorrected', { kind: 'refund', amount: 700 }))).to.deep.equal({
      'member:CC1234567': -700,
      programme: 700,
    })
    expect(amounts(accountEvent('OwedRefundCancelled', { amount: 700 }))).to.deep.equal({
      'owed:CC1234567': -700,
      programme: 700,
    })
  })

  it('of a recovery stand below zero until it comes in or is waived', () => {
    expect(amounts(accountEvent('RecoveryDue', { amount: 700 }))).to.deep.equal({
      'recoverable:CC1234567': -700,
      programme: 700,
    })
    expect(amounts(accountEvent('RecoverySettled', { amount: 700, how: 'recovered' }))).to.deep.equal({
      'member:CC1234567': -700,
      'recoverable:CC1234567': 700,
    })
    expect(amounts(accountEvent('RecoverySettled', { amount: 700, how: 'waived' }))).to.deep.equal({
      programme: -700,
      'recoverable:CC1234567': 700,
    })
  })

  it('of a cancellation book the penalty from the supplier to the tenant, and nothing without one', () => {
    const cancelled = (penaltyMinor: number) => ({
      tenantId: 'coffeechain',
      stream: 'booking-bkg_1',
      streamVersion: 12,
      type: 'OrderCancelled',
      data: sampleData(topics.bookings, 'OrderCancelled', { penaltyMinor, currency: 'USD' }),
    })
    expect(amounts(cancelled(4500))).to.deep.equal({ 'supplier:duffel': -4500, 'tenant-penalties': 4500 })
    expect(linesOf(cancelled(4500))[0]).to.include({
      booking_id: 'bkg_1',
      member_id: null,
      currency: 'USD',
      kind: 'penalty',
    })
    expect(linesOf(cancelled(0))).to.deep.equal([])
  })

  it('name the event they come from, so that it counts once', () => {
    expect(
      linesOf(accountEvent('MovementSettled')).map(({ stream, stream_version, line }) => [
        stream,
        stream_version,
        line,
      ]),
    ).to.deep.equal([
      ['member-account-CC1234567', 4, 1],
      ['member-account-CC1234567', 4, 2],
    ])
  })
})
