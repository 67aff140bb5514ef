/**
 * Secrets of a development system: made once, kept in .data/secrets.json (readable by its owner only), so that a
 * second start can open what the first one sealed. Whatever the environment sets wins and is not written down.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DATA } from './paths.ts'
import { Obstacle } from './say.ts'

export const SECRETS_FILE = `${DATA}/secrets.json`

export type DevelopmentSecrets = {
  /** Shared by our processes for calls among themselves. */
  SERVICE_TOKEN: string
  /** `id:base64`, 32 bytes: wraps the keys of personal data. */
  PERSONAL_DATA_KEYS: string
  /** `id:base64`, 32 bytes: signs the staff's tokens. */
  STAFF_JWT_KEYS: string
  /** Signs the webhooks of Duffel's stand-in. */
  DUFFEL_WEBHOOK_SECRET: string
  /** Of all our database roles. */
  databasePassword: string
}

/** Reads the secrets, making those that are missing. Rejects with an Obstacle when the file is damaged. */
export function loadSecrets(path = SECRETS_FILE): DevelopmentSecrets {
  const known = existsSync(path) ? parse(path) : {}
  // An id of its own, so that what another key sealed names a key that is missing instead of failing to open.
  const newKey = () => `dev-${randomBytes(6).toString('hex')}:${randomBytes(32).toString('base64')}`
  const secrets: DevelopmentSecrets = {
    SERVICE_TOKEN: known.SERVICE_TOKEN ?? randomBytes(32).toString('base64url'),
    PERSONAL_DATA_KEYS: known.PERSONAL_DATA_KEYS ?? newKey(),
    STAFF_JWT_KEYS: known.STAFF_JWT_KEYS ?? newKey(),
    DUFFEL_WEBHOOK_SECRET: known.DUFFEL_WEBHOOK_SECRET ?? randomBytes(32).toString('base64url'),
    databasePassword: known.databasePassword ?? randomBytes(24).toString('base64url'),
  }
  if (JSON.stringify(known) !== JSON.stringify(secrets)) write(path, secrets)
  return secrets
}

function parse(path: string): Partial<DevelopmentSecrets> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Partial<DevelopmentSecrets>
  } catch {
    throw new Obstacle(
      `${path} cannot be read: restore it, or delete it and run \`npm run reset\`, since what it sealed is lost with it.`,
    )
  }
}

function write(path: string, secrets: DevelopmentSecrets): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  chmodSync(`${path}.new`, 0o600)
  renameSync(`${path}.new`, path)
}
