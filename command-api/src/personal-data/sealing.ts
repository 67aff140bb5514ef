/**
 * Encryption at rest, AES-256-GCM throughout.
 *
 *   environment key (kek) ──wraps──► personal key ──seals──► one JSON value in an event
 *
 * Every ciphertext is bound by associated data to what it belongs to: a value to its tenant, person and key, a wrapped
 * key to its tenant and person. Moved elsewhere it does not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyRing } from './key-ring.ts'

export interface PersonalKey {
  tenantId: string
  personId: string
  keyId: string
  /** 32 bytes; never logged, stored only wrapped. */
  key: Buffer
}

export interface WrappedKey {
  tenantId: string
  personId: string
  keyId: string
  wrapped: Buffer
  kekId: string
}

const ALGORITHM = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16
const VERSION = 'v1'

/** Makes a key for a person who has none. */
export function newPersonalKey(tenantId: string, personId: string): PersonalKey {
  return { tenantId, personId, keyId: randomBytes(9).toString('base64url'), key: randomBytes(32) }
}

/** Seals one JSON value as `v1.<key id>.<iv>.<tag>.<ciphertext>`, base64url. */
export function seal(key: PersonalKey, value: unknown): string {
  const { iv, tag, ciphertext } = encrypt(key.key, valueContext(key), Buffer.from(JSON.stringify(value)))
  const parts = [iv, tag, ciphertext].map((part) => part.toString('base64url'))
  return [VERSION, key.keyId, ...parts].join('.')
}

/** The id of the key a sealed value needs; null for something that is no sealed value. */
export function keyIdOf(sealed: string): string | null {
  const parts = sealed.split('.')
  return parts.length === 5 && parts[0] === VERSION ? (parts[1] ?? null) : null
}

/** Opens what `seal` made. Throws when the value was altered, or belongs to another tenant, person or key. */
export function unseal(key: PersonalKey, sealed: string): unknown {
  const [, keyId, ...rest] = sealed.split('.')
  const [iv, tag, ciphertext] = rest.map((part) => Buffer.from(part, 'base64url'))
  if (keyIdOf(sealed) !== key.keyId || keyId !== key.keyId || !iv || !tag || !ciphertext) {
    throw new Error('a sealed value does not belong to this key')
  }
  return JSON.parse(decrypt(key.key, valueContext(key), { iv, tag, ciphertext }).toString())
}

/** Wraps a personal key with the ring's current key. */
export function wrapKey(ring: KeyRing, key: PersonalKey): WrappedKey {
  const { iv, tag, ciphertext } = encrypt(ring.current.key, keyContext(key, ring.current.id), key.key)
  const { tenantId, personId, keyId } = key
  return { tenantId, personId, keyId, wrapped: Buffer.concat([iv, tag, ciphertext]), kekId: ring.current.id }
}

/** Unwraps a personal key. Throws when its environment key is not listed, or when the row was altered or moved. */
export function unwrapKey(ring: KeyRing, row: WrappedKey): PersonalKey {
  const kek = ring.find(row.kekId)
  if (!kek) throw new Error(`PERSONAL_DATA_KEYS lacks key ${row.kekId}, which still wraps personal keys`)
  const { tenantId, personId, keyId } = row
  return { tenantId, personId, keyId, key: decrypt(kek.key, keyContext(row, kek.id), split(row.wrapped)) }
}

/** Seals a secret of ours (not of a person) directly with the ring's current key: `v1.<kek id>.<base64url>`. */
export function sealSecret(ring: KeyRing, purpose: string, secret: string): string {
  const { iv, tag, ciphertext } = encrypt(ring.current.key, secretContext(purpose), Buffer.from(secret))
  return `${VERSION}.${ring.current.id}.${Buffer.concat([iv, tag, ciphertext]).toString('base64url')}`
}

/** The ring does not hold the key that sealed something. */
export class OtherKeys extends Error {}

/** Opens what `sealSecret` made for the same purpose. Throws OtherKeys when its key is not listed, or when altered or moved. */
export function unsealSecret(ring: KeyRing, purpose: string, sealed: string): string {
  const [version, kekId = '', encoded = ''] = sealed.split('.')
  const kek = ring.find(kekId)
  if (version !== VERSION || !kek)
    throw new OtherKeys(`PERSONAL_DATA_KEYS lacks key ${kekId}, which still seals a secret`)
  try {
    return decrypt(kek.key, secretContext(purpose), split(Buffer.from(encoded, 'base64url'))).toString()
  } catch (cause) {
    throw new OtherKeys(`Key ${kekId} of PERSONAL_DATA_KEYS does not open a secret that names it`, { cause })
  }
}

/** The id of the environment's key that `sealSecret` used. */
export const keyIdOfSecret = (sealed: string): string => sealed.split('.')[1] ?? ''

interface Encrypted {
  iv: Buffer
  tag: Buffer
  ciphertext: Buffer
}

function encrypt(key: Buffer, context: string, plain: Buffer): Encrypted {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context))
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
  return { iv, tag: cipher.getAuthTag(), ciphertext }
}

function decrypt(key: Buffer, context: string, { iv, tag, ciphertext }: Encrypted): Buffer {
  const decipher = createDecipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context)).setAuthTag(tag)
  return Buffer.concat([decipher.update(ciphertext), decipher.final()])
}

function split(joined: Buffer): Encrypted {
  return {
    iv: joined.subarray(0, IV_BYTES),
    tag: joined.subarray(IV_BYTES, IV_BYTES + TAG_BYTES),
    ciphertext: joined.subarray(IV_BYTES + TAG_BYTES),
  }
}

// JSON arrays, so that no two contexts can be spelled alike.
const valueContext = ({ tenantId, personId, keyId }: PersonalKey) =>
  JSON.stringify(['portolan value', tenantId, personId, keyId])
const keyContext = ({ tenantId, personId, keyId }: Omit<PersonalKey, 'key'>, kekId: string) =>
  JSON.stringify(['portolan personal key', tenantId, personId, keyId, kekId])
const secretContext = (purpose: string) => JSON.stringify(['portolan secret', purpose])
