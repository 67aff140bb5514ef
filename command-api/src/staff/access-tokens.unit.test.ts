// Sabotage seen to fail: leaving out the audience, the issuer, or the algorithms of the verification.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import jwt from 'jsonwebtoken'
import { parseKeyRing } from '../personal-data/key-ring.ts'
import { signAccessToken, verifyAccessToken } from './access-tokens.ts'

const listed = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const [old, current] = [listed('old'), listed('new')]
const ringOf = (...entries: string[]) => parseKeyRing('STAFF_JWT_KEYS', entries.join(','))
const ring = ringOf(current, old)
const claims = { accountId: 'account-1', sessionId: 'session-1' }
const forged = (options: jwt.SignOptions, key: Buffer | string = ring.current.key, payload: object = { sid: 's' }) =>
  jwt.sign(payload, key, {
    algorithm: 'HS256',
    keyid: 'new',
    issuer: 'portolan',
    audience: 'portolan-staff',
    subject: 'account-1',
    expiresIn: 60,
    ...options,
  })

describe('an access token', () => {
  it('names account and session, for a quarter of an hour', () => {
    const token = signAccessToken(ring, claims)
    expect(verifyAccessToken(ring, token)).to.deep.equal(claims)
    const payload = jwt.decode(token) as { exp: number; iat: number }
    expect(payload.exp - payload.iat).to.equal(900)
    expect(jwt.decode(token, { complete: true })?.header).to.include({ alg: 'HS256', kid: 'new' })
  })

  it('is verified by any listed key, and by none that is no longer listed', () => {
    const token = signAccessToken(ringOf(old), claims)
    expect(verifyAccessToken(ring, token)).to.deep.equal(claims)
    expect(verifyAccessToken(ringOf(current), token)).to.equal(null)
  })

  it('that the forger would make is what ours is like, were it right', () => {
    expect(verifyAccessToken(ring, forged({}))).to.deep.equal({ accountId: 'account-1', sessionId: 's' })
  })

  const wrong: [string, () => string][] = [
    ['that expired', () => forged({ expiresIn: -10 })],
    ['of another issuer', () => forged({ issuer: 'other' })],
    ['for another audience', () => forged({ audience: 'portolan-members' })],
    ['of another algorithm', () => forged({ algorithm: 'HS512' })],
    ['with a key id that is not listed', () => forged({ keyid: 'none' })],
    ["with another key's id", () => forged({ keyid: 'old' })],
    ['of a key that is not ours', () => forged({}, randomBytes(32))],
    ['without a session', () => forged({}, ring.current.key, {})],
    ['that is not signed', () => forged({ algorithm: 'none' }, '')],
    [
      'of an asymmetric key',
      () => {
        const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
        return forged({ algorithm: 'RS256' }, privateKey.export({ type: 'pkcs1', format: 'pem' }) as string)
      },
    ],
    [
      'that was altered',
      () => {
        const [header, , signature] = forged({}).split('.')
        const payload = Buffer.from(JSON.stringify({ sid: 's', sub: 'admin', exp: 9e9 })).toString('base64url')
        return [header, payload, signature].join('.')
      },
    ],
    ['that is no token', () => 'a.b.c'],
    ['that is empty', () => ''],
  ]
  for (const [title, make] of wrong) {
    it(`${title} is worth nothing`, () => {
      expect(verifyAccessToken(ring, make())).to.equal(null)
    })
  }
})
