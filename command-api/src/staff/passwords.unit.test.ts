import { expect } from 'chai'
import { hashPassword, passwordFits } from './passwords.ts'

describe('a staff password', () => {
  it('is hashed with argon2id and a salt of its own, and fits its hash', async () => {
    const [hash, again] = [await hashPassword('correct horse'), await hashPassword('correct horse')]
    expect(hash).to.match(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(hash).to.not.equal(again)
    expect(await passwordFits('correct horse', hash)).to.equal(true)
    expect(await passwordFits('correct horsf', hash)).to.equal(false)
    expect(await passwordFits('', hash)).to.equal(false)
  })

  it('fits a hash made at another cost', async () => {
    // Made with the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
    const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    expect(await passwordFits('password', hash)).to.equal(true)
  })

  it('of nobody is refused after the same work', async () => {
    expect(await passwordFits('', null)).to.equal(false)
    expect(await passwordFits('whatever', null)).to.equal(false)
  })

  it('whose stored hash is broken is a fault', async () => {
    const failure = await passwordFits('x', 'plaintext').catch((error) => error)
    expect(failure.message).to.include('PHC').and.not.include('plaintext')
  })
})
