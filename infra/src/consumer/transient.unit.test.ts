import { expect } from 'chai'
import { isTransient, reasonOf } from './transient.ts'

const withCode = (code: string) => Object.assign(new Error('x'), { code })

describe('an error', () => {
  for (const code of ['08006', '57P01', '57014', '40P01', '40001', '53300', '42P01', 'ECONNREFUSED', 'ECONNRESET'])
    it(`${code} is transient`, () => expect(isTransient(withCode(code))).to.equal(true))
  for (const code of ['23505', '22P02', '23514', '42601'])
    it(`${code} is the event's own`, () => expect(isTransient(withCode(code))).to.equal(false))

  it('is transient when its cause is', () => {
    expect(isTransient(new Error('wrapped', { cause: withCode('40P01') }))).to.equal(true)
    expect(isTransient(new TypeError('cannot read properties of undefined'))).to.equal(false)
    expect(isTransient('text')).to.equal(false)
  })

  it('of a lost database or Redis connection is transient although it has no code', () => {
    expect(isTransient(new Error('Connection terminated unexpectedly'))).to.equal(true)
    expect(isTransient(new Error('Connection is closed.'))).to.equal(true)
    expect(isTransient(new Error('Command timed out'))).to.equal(true)
  })

  it('gives a reason that Postgres can keep', () => {
    expect(reasonOf(new Error('zero \0, half \uD83D'))).to.equal('zero \uFFFD, half \uFFFD')
  })
})
