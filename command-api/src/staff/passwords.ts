/** Staff passwords: argon2id in the PHC string format, so that its cost can be raised later without losing old hashes. */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)

// OWASP's password storage recommendation: 19 MiB, two passes, one lane. About 30 ms.
const COST = { memory: 19_456, passes: 2, parallelism: 1 }
const TAG_BYTES = 32
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Hashes a password with a fresh salt. */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(16)
  const tag = await derive('argon2id', { ...COST, message: password, nonce, tagLength: TAG_BYTES })
  const { memory, passes, parallelism } = COST
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(nonce)}$${unpadded(tag)}`
}

/** Whether a password fits a hash; with null (no such account) false after the same work, so that time tells nothing. */
export async function passwordFits(password: string, hash: string | null): Promise<boolean> {
  const [, memory, passes, parallelism, salt, expected] = PHC.exec(hash ?? NOBODY) ?? []
  if (!salt || !expected) throw new Error('a stored password hash is not in the PHC format of argon2id')
  const expectedTag = Buffer.from(expected, 'base64')
  const tag = await derive('argon2id', {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    message: password,
    nonce: Buffer.from(salt, 'base64'),
    tagLength: expectedTag.length,
  })
  return timingSafeEqual(tag, expectedTag) && hash !== null
}

const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')

const NOBODY = `$argon2id$v=19$m=${COST.memory},t=${COST.passes},p=${COST.parallelism}$${'A'.repeat(22)}$${'A'.repeat(43)}`
