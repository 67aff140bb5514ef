import { expect } from 'chai'
import { createFaultScript, type FaultRule, readFaultRules } from './faults.ts'

const rule = (more: Partial<FaultRule> = {}): FaultRule => ({
  operation: 'deduct',
  effect: 'skip',
  answer: 'hang',
  ...more,
})

describe('A fault script', () => {
  it('gives the first rule that matches, counted down', () => {
    const script = createFaultScript()
    script.add([rule({ times: 2, answer: 'reset' }), rule()])
    expect(script.take('deduct', {})?.answer).to.equal('reset')
    expect(script.take('refund', {})).to.equal(undefined)
    expect(script.list()[0]?.times).to.equal(1)
    expect(script.take('deduct', {})?.answer).to.equal('reset')
    expect(script.take('deduct', {})?.answer).to.equal('hang')
    expect(script.take('deduct', {})?.answer).to.equal('hang')
    script.clear()
    expect(script.take('deduct', {})).to.equal(undefined)
  })

  it('matches facts as subsets, nested ones too, and every operation by a star', () => {
    const script = createFaultScript()
    script.add([rule({ operation: '*', match: { metadata: { booking_id: 'b1' } } })])
    expect(script.take('orders.create', { metadata: { booking_id: 'b1', tenant: 't' }, type: 'hold' })).to.not.equal(
      undefined,
    )
    expect(script.take('orders.create', { metadata: { booking_id: 'b2' } })).to.equal(undefined)
    expect(script.take('orders.create', {})).to.equal(undefined)
  })

  it('is read strictly: what could never work is refused with its place', () => {
    const read = (entry: unknown) => readFaultRules([entry], ['deduct'])
    expect(readFaultRules({ rules: [rule()] }, ['deduct'])).to.be.an('array')
    expect(readFaultRules('x', ['deduct'])).to.contain('expected a list')
    expect(read({ ...rule(), operation: 'deposit' })).to.contain('rule 0: operation must be one of deduct')
    expect(read({ ...rule(), times: 0 })).to.contain('times')
    expect(read({ ...rule(), effect: 'maybe' })).to.contain('effect')
    expect(read({ ...rule(), answer: { status: 42 } })).to.contain('answer')
    expect(read({ ...rule(), delayMs: -1 })).to.contain('delays')
    expect(read({ ...rule(), delay: 1 })).to.contain('unknown member delay')
    expect(read({ operation: 'deduct', effect: 'skip' })).to.contain('needs an answer')
  })
})
