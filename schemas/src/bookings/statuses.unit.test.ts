import { expect } from 'chai'
import { statusesListed, wireStatus } from './statuses.ts'

describe('the status a client reads', () => {
  it('is pending while machines or operators work, with the reason beside it', () => {
    for (const status of ['awaiting_supplier', 'outcome_unknown', 'cancelling', 'compensating'] as const)
      expect(wireStatus(status)).to.deep.equal({ status: 'pending', status_detail: status })
    expect(wireStatus('processing')).to.deep.equal({ status: 'pending' })
  })

  it('is the status itself otherwise', () => {
    for (const status of ['pending_approval', 'confirmed', 'failed', 'rejected', 'expired', 'cancelled'] as const)
      expect(wireStatus(status)).to.deep.equal({ status })
  })

  it('as filter: pending means every pending state', () => {
    expect(statusesListed('pending')).to.have.members([
      'processing',
      'pending_approval',
      'awaiting_supplier',
      'outcome_unknown',
      'cancelling',
      'compensating',
    ])
    expect(statusesListed('pending_approval')).to.deep.equal(['pending_approval'])
    expect(statusesListed('failed')).to.deep.equal(['failed'])
  })

  it('as filter: without one, failed, rejected and expired are left out', () => {
    const listed = statusesListed(undefined)
    expect(listed).to.include.members(['processing', 'pending_approval', 'confirmed', 'cancelled'])
    expect(listed).to.not.include.oneOf(['failed', 'rejected', 'expired'])
  })
})
