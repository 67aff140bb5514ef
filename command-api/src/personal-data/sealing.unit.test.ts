// Promise P15 rests on this. Sabotage seen to fail: leaving out the associated data (a value opened for another person).
import { randomBytes } from 'node:crypto'
import { sealedSchema } from '@portolan/schemas/bookings/messages.ts'
import { expect } from 'chai'
import { type KeyRing, parseKeyRing } from './key-ring.ts'
import { keyIdOf, newPersonalKey, seal, sealSecret, unseal, unsealSecret, unwrapKey, wrapKey } from './sealing.ts'

const listed = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const ringOf = (...entries: string[]): KeyRing => parseKeyRing('PERSONAL_DATA_KEYS', entries.join(','))
const old = listed('old')
const current = listed('new')

/** The same text with one character of a part changed. */
function altered(sealed: string, part: number): string {
  const parts = sealed.split('.')
  const text = parts[part] ?? ''
  parts[part] = (text.startsWith('A') ? 'B' : 'A') + text.slice(1)
  return parts.join('.')
}

describe('a sealed value', () => {
  const key = newPersonalKey('coffeechain', 'CC1234567')
  const value = { firstName: 'Jörg', lines: [1, null] }

  it('opens with its key, has the form of the schema, and shows nothing', () => {
    const sealed = seal(key, value)
    expect(sealedSchema.safeParse(sealed).success).to.equal(true)
    expect(keyIdOf(sealed)).to.equal(key.keyId)
    expect(Buffer.from(sealed.split('.')[4] ?? '', 'base64url').toString()).to.not.include('firstName')
    expect(unseal(key, sealed)).to.deep.equal(value)
  })

  it('looks different each time', () => {
    expect(seal(key, value)).to.not.equal(seal(key, value))
  })

  for (const [part, name] of ['version', 'key id', 'iv', 'tag', 'ciphertext'].entries()) {
    it(`does not open after its ${name} was altered`, () => {
      expect(() => unseal(key, altered(seal(key, value), part))).to.throw()
    })
  }

  it('does not open when cut short', () => {
    const sealed = seal(key, value)
    expect(() => unseal(key, sealed.slice(0, -3))).to.throw()
    expect(() => unseal(key, sealed.split('.').slice(0, 4).join('.'))).to.throw()
    expect(() => unseal(key, '')).to.throw()
  })

  it('does not open with a shortened tag, which would be easier to forge', () => {
    const [version, id, iv, tag, text] = seal(key, value).split('.')
    const short = Buffer.from(tag ?? '', 'base64url')
      .subarray(0, 4)
      .toString('base64url')
    expect(() => unseal(key, [version, id, iv, short, text].join('.'))).to.throw()
  })

  it("does not open as another tenant's or another person's, even with the same key", () => {
    const sealed = seal(key, value)
    expect(() => unseal({ ...key, tenantId: 'teahouse' }, sealed)).to.throw()
    expect(() => unseal({ ...key, personId: 'CC2222222' }, sealed)).to.throw()
  })

  it('does not open with the key the person got after a forget', () => {
    expect(() => unseal(newPersonalKey(key.tenantId, key.personId), seal(key, value))).to.throw('does not belong')
  })
})

describe('a wrapped key', () => {
  const key = newPersonalKey('coffeechain', 'CC1234567')

  it('is unwrapped by any listed key and wrapped by the first', () => {
    const row = wrapKey(ringOf(old), key)
    expect(row.kekId).to.equal('old')
    const rotated = ringOf(current, old)
    expect(unwrapKey(rotated, row)).to.deep.equal(key)
    expect(wrapKey(rotated, key).kekId).to.equal('new')
    expect(unwrapKey(ringOf(current), wrapKey(rotated, key))).to.deep.equal(key)
  })

  it('says which key is missing', () => {
    expect(() => unwrapKey(ringOf(current), wrapKey(ringOf(old), key))).to.throw('PERSONAL_DATA_KEYS lacks key old')
  })

  it('does not open when its row was moved to another person or altered', () => {
    const row = wrapKey(ringOf(old), key)
    expect(() => unwrapKey(ringOf(old), { ...row, personId: 'CC2222222' })).to.throw()
    expect(() => unwrapKey(ringOf(old), { ...row, tenantId: 'teahouse' })).to.throw()
    expect(() => unwrapKey(ringOf(old), { ...row, keyId: 'other' })).to.throw()
    const wrapped = Buffer.from(row.wrapped)
    wrapped[20] = (wrapped[20] ?? 0) ^ 1
    expect(() => unwrapKey(ringOf(old), { ...row, wrapped })).to.throw()
  })
})

describe('a sealed secret', () => {
  it('opens for its purpose only, by any listed key', () => {
    const sealed = sealSecret(ringOf(old), 'tenant a', 'key-123')
    expect(sealed).to.not.include('key-123')
    expect(unsealSecret(ringOf(current, old), 'tenant a', sealed)).to.equal('key-123')
    expect(() => unsealSecret(ringOf(old), 'tenant b', sealed)).to.throw()
    expect(() => unsealSecret(ringOf(current), 'tenant a', sealed)).to.throw('lacks key old')
  })
})

describe('the keys of the environment', () => {
  it('are listed with the current one first', () => {
    const ring = ringOf(current, old)
    expect(ring.current.id).to.equal('new')
    expect(ring.find('old')?.key).to.have.length(32)
    expect(ring.find('none')).to.equal(undefined)
  })

  for (const [title, text, message] of [
    ['no list', 'nonsense', 'must be a comma-separated list of id:base64'],
    ['empty', '', 'must be a comma-separated list'],
    ['too short', `a:${randomBytes(16).toString('base64')}`, 'key a has 16 bytes instead of 32'],
    ['listed twice', `${old},${old}`, 'key id old appears twice'],
  ] as const) {
    it(`that are ${title} are refused without being quoted`, () => {
      expect(() => ringOf(text))
        .to.throw(message)
        .with.property('message')
        .that.does.not.include(old.slice(4))
    })
  }
})
