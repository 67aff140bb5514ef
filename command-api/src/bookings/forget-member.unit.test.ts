import { Rejection } from '@portolan/schemas/errors.ts'
import { expect } from 'chai'
import { forgetMember } from './forget-member.ts'
import { emptyAccount } from './member-account.ts'

describe('a member who is to be forgotten', () => {
  const command = {
    personId: 'CC1234567',
    keyId: 'q1Zb3xK7VgHw',
    reason: 'requested-by-member',
    reference: null,
    by: 'staff:stf_1',
  } as const
  const now = '2026-11-21T12:00:00.000Z'

  it('is, with who, why and when', () => {
    const events = forgetMember(emptyAccount(), command, now)
    expect(events).to.deep.equal([{ type: 'PersonForgotten', data: { ...command, at: now } }])
  })

  for (const account of ['owed', 'recoverable'] as const) {
    it(`is not while an amount is ${account}`, () => {
      const open = { ...emptyAccount(), [account]: { bkg_1: { amount: 100, currency: 'stars' } } }
      expect(() => forgetMember(open, command, now))
        .to.throw(Rejection, 'not-forgettable')
        .with.deep.property('members', { bookingIds: ['bkg_1'] })
    })
  }
})
