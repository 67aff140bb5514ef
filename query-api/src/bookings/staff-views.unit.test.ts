/** What an operator is shown of an open question. Seen failing when: the balance it would have become is that of the other direction. */
import type { TroubleEvidence } from '@portolan/schemas/bookings/read-models.ts'
import { unknownOutcomeListSchema } from '@portolan/schemas/ops/views.ts'
import { expect } from 'chai'
import { type QueuedRow, troubleRow } from './staff-views.ts'

const at = '2026-11-21T10:00:00.000Z'
const trouble = { step: 'deduct', attempt: 1, why: 'inconclusive-balance', since: at, until: at }

function shown(evidence: TroubleEvidence | undefined, why = trouble.why) {
  const operator = { ...trouble, why }
  const progress = {
    phase: 'processing',
    undoTo: null,
    isSupplierAwaited: false,
    unknown: null,
    operator,
    approval: null,
  }
  const row = {
    tenant_id: 'coffeechain',
    booking_id: 'bkg_1',
    member_id: 'CC1234567',
    status: 'outcome_unknown',
    flight_number: 'UA123',
    origin: 'JFK',
    destination: 'LAX',
    departure_date: '2026-12-24',
    loyalty_amount: 35_000,
    loyalty_currency: 'stars',
    created_at: new Date(at),
    updated_at: new Date(at),
    progress: { ...progress, ...(evidence && { evidence }) },
  }
  const outcome = troubleRow(row as unknown as QueuedRow)
  return unknownOutcomeListSchema.parse({ outcomes: [outcome], nextCursor: null }).outcomes[0]
}

const evidence = (kind: 'deduction' | 'refund', seen: TroubleEvidence['seen'] = []): TroubleEvidence => ({
  step: 'deduct',
  attempt: 1,
  claimedAt: at,
  callBefore: at,
  movement: { kind, amount: 35_000, currency: 'stars', balanceBefore: 100_000, readAt: at },
  looks: 3,
  seen,
})

describe('a question that waits for an operator', () => {
  it('names the balance before, and what it would have become', () => {
    expect(shown(evidence('deduction'))?.evidence?.movement).to.include({
      balanceBefore: 100_000,
      balanceIfItHappened: 65_000,
    })
    expect(shown(evidence('refund'))?.evidence?.movement?.balanceIfItHappened).to.equal(135_000)
  })

  it('shows what every look saw', () => {
    const order = {
      orderId: 'ord_1',
      bookingReference: null,
      cancelled: false,
      awaitingPayment: true,
      totalAmount: '350.00',
      totalCurrency: 'USD',
      tickets: 0,
    }
    const seen = [
      { look: 1, at, saw: { kind: 'nothing' as const, code: 'partner-timeout' } },
      { look: 2, at, saw: { kind: 'balance' as const, balance: 99_000, readAt: at } },
      { look: 3, at, saw: { kind: 'no-order' as const } },
      { look: 4, at, saw: { kind: 'order' as const, ...order } },
    ]
    expect(shown(evidence('deduction', seen))?.evidence?.seen).to.deep.equal([
      { look: 1, at, balance: null, order: null, note: 'partner-timeout' },
      { look: 2, at, balance: 99_000, order: null, note: null },
      { look: 3, at, balance: null, order: null, note: 'no-order' },
      { look: 4, at, balance: null, order, note: null },
    ])
  })

  it('says in words why machines could not conclude, also for a reason that has no words yet', () => {
    expect(shown(undefined)?.explanation).to.contain('The balance is neither as before nor')
    expect(shown(undefined)?.evidence).to.equal(null)
    expect(shown(undefined, 'something-new')?.explanation).to.equal('Machines met: something-new')
  })
})
