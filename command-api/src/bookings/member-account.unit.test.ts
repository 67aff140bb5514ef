/**
 * The member's account and the comparison of balances. Seen failing when: settling any movement ends the open one; a reading equal to the
 * partner's reset balance, or explained by a reset before the call, is believed; a snapshot leaves something of the account out.
 */
import { sampleData } from '@portolan/infra/testing/samples.ts'
import { type MemberEvent, memberEvents } from '@portolan/schemas/members/messages.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { expect } from 'chai'
import { randomFrom } from './booking-world-spec.ts'
import {
  emptyAccount,
  evolveAccount,
  judgeBalance,
  type MemberAccount,
  memberAccountStreamType,
  type OpenMovement,
} from './member-account.ts'

const at = '2026-11-21T12:00:00.000Z'
const movement = {
  movementId: 'bkg_1:deduct:1',
  bookingId: 'bkg_1',
  memberId: 'CC1234567',
  kind: 'deduction',
  amount: 35_000,
  currency: 'stars',
} as const
const executionId = '00000000-0000-4000-8000-000000000001'
const opened: MemberEvent = { type: 'MovementOpened', data: { ...movement, executionId, at } }
const read: MemberEvent = {
  type: 'BalanceRecorded',
  data: { movementId: movement.movementId, balance: 100_000, readAt: at, at },
}
const fold = (...events: MemberEvent[]) => events.reduce(evolveAccount, emptyAccount())

describe('a member’s account', () => {
  it('keeps the balance that was read before the movement', () => {
    expect(fold(opened, read).open).to.include({ movementId: 'bkg_1:deduct:1', balanceBefore: 100_000, unknown: false })
  })

  it('has no open movement after it was settled or given up', () => {
    const settled: MemberEvent = { type: 'MovementSettled', data: { ...movement, transactionId: 'txn_1', at } }
    const voided: MemberEvent = { type: 'MovementVoided', data: { movementId: movement.movementId, reason: 'x', at } }
    expect(fold(opened, settled).open).to.equal(null)
    expect(fold(opened, voided).open).to.equal(null)
  })

  it('keeps its open movement when an earlier one of another booking is settled', () => {
    const other = { ...movement, movementId: 'bkg_2:refund:1', bookingId: 'bkg_2', kind: 'refund' } as const
    const settled: MemberEvent = { type: 'MovementSettled', data: { ...other, transactionId: null, at } }
    expect(fold(opened, settled).open?.movementId).to.equal('bkg_1:deduct:1')
  })

  it('owes each booking its amount until that is settled', () => {
    const owed = { bookingId: 'bkg_1', memberId: 'CC1234567', amount: 35_000, currency: 'stars', at }
    const settled = { ...owed, by: 'stf_1', reason: 'voucher' }
    const before = fold(
      { type: 'RefundOwed', data: owed },
      { type: 'RefundOwed', data: { ...owed, bookingId: 'bkg_2' } },
    )
    expect(Object.keys(before.owed)).to.deep.equal(['bkg_1', 'bkg_2'])
    expect(Object.keys(evolveAccount(before, { type: 'OwedRefundSettled', data: settled }).owed)).to.deep.equal([
      'bkg_2',
    ])
  })
})

describe('a balance that is compared', () => {
  const open: OpenMovement = { ...movement, executionId, balanceBefore: 100_000, readAt: at, unknown: true }
  const cases: [string, Partial<OpenMovement>, number, number | undefined, boolean, string][] = [
    ['is lower by the deduction', {}, 65_000, undefined, false, 'happened'],
    ['is higher by the refund', { kind: 'refund' }, 135_000, undefined, false, 'happened'],
    ['is unchanged while the call may still be carried out', {}, 100_000, undefined, false, 'early'],
    ['is unchanged after that', {}, 100_000, undefined, true, 'did-not-happen'],
    ['is off by one', {}, 65_001, undefined, true, 'inconclusive'],
    ['moved the wrong way', {}, 135_000, undefined, true, 'inconclusive'],
    ['is what the partner resets to, although unchanged', {}, 100_000, 100_000, true, 'inconclusive'],
    ['is what the partner resets to, although it fits', {}, 65_000, 65_000, false, 'inconclusive'],
    ['is unchanged, but also what a reset and then the deduction leave', {}, 100_000, 135_000, true, 'inconclusive'],
    ['is lower by the deduction from what the partner resets to', {}, 65_000, 100_000, true, 'happened'],
    ['was never read before, so nothing was called', { balanceBefore: null }, 1, undefined, false, 'did-not-happen'],
  ]
  for (const [title, change, balance, resetBalance, isSettled, verdict] of cases) {
    it(`says ${verdict} when it ${title}`, () => {
      expect(judgeBalance({ ...open, ...change }, balance, resetBalance, isSettled)).to.equal(verdict)
    })
  }
})

describe('a snapshot of a member’s account', () => {
  const { snapshots } = memberAccountStreamType
  const throughJson = (account: MemberAccount) => snapshots?.read(JSON.parse(JSON.stringify(account))) ?? null

  it('and the events behind it give what all events give, at every cut through random histories', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const events = randomHistory(seed, 60)
      const account = events.reduce(evolveAccount, emptyAccount())
      for (let cut = 0; cut <= events.length; cut += 1) {
        const kept = throughJson(events.slice(0, cut).reduce(evolveAccount, emptyAccount()))
        if (!kept) throw new Error(`seed ${seed}: the snapshot at ${cut} does not fit`)
        expect(events.slice(cut).reduce(evolveAccount, kept), `seed ${seed}, cut ${cut}`).to.deep.equal(account)
      }
    }
  })

  it('is not taken when its shape is another', () => {
    const fits = JSON.parse(JSON.stringify(emptyAccount()))
    expect(snapshots?.read(fits)).to.deep.equal(emptyAccount())
    for (const other of [null, [], {}, { ...fits, more: 1 }, { ...fits, owed: undefined }, { ...fits, open: {} }])
      expect(snapshots?.read(other), JSON.stringify(other)).to.equal(null)
  })
})

/** Events of every type in any order, by golden samples, of three bookings. */
function randomHistory(seed: number, length: number): MemberEvent[] {
  const random = randomFrom(seed)
  const types = Object.keys(memberEvents) as MemberEvent['type'][]
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  return Array.from({ length }, () => {
    const type = pick(types)
    const bookingId = pick(['bkg_1', 'bkg_2', 'bkg_3'])
    const named = { bookingId, movementId: `${bookingId}:deduct:1`, amount: pick([100, 200, 300]) }
    const sample = sampleData(topics.members, type)
    const fitting = Object.fromEntries(Object.entries(named).filter(([key]) => key in sample))
    return { type, data: { ...sample, ...fitting } } as MemberEvent
  })
}
