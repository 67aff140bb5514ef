/**
 * The keys of persons in the write database: finding or making one for a command, opening sealed values, rotation.
 *
 * Neither sealing nor opening works before the relay has compared the members' topic with Kafka since the database started: a restored
 * backup holds keys that were forgotten later, and what Kafka knows beyond the store tells which (`reapply_forget`).
 */
import { withTenant } from '@portolan/infra/postgres.ts'
import { Rejection } from '@portolan/schemas/errors.ts'
import { topics } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { Effect } from '../event-store/append.ts'
import type { KeyRing } from './key-ring.ts'
import { keyIdOf, newPersonalKey, type PersonalKey, unseal, unwrapKey, type WrappedKey, wrapKey } from './sealing.ts'

const REWRAP_BATCH = 500

export interface KeyForCommand {
  key: PersonalKey
  /** To be handed to the command that seals with the key: it stores a new one, or holds an existing one against a forget. */
  effects: Effect[]
}

export interface SealedItem {
  personId: string
  sealed: string
}

/** gone: the key is deleted, and with it what was sealed. */
export type UnsealedItem = { value: unknown } | { gone: true }

export interface PersonalKeys {
  /**
   * The person's key, or a new one that becomes theirs when the command with `effects` commits. A person whose key is made or
   * forgotten by another command at the same time makes that command a version-conflict: see `withKey`. Rejects: unavailable.
   */
  forCommand(tenantId: string, personId: string): Promise<KeyForCommand>
  /** Runs a command that seals; runs it once more with the key that is the person's by then. */
  withKey<T>(tenantId: string, personId: string, command: (key: KeyForCommand) => Promise<T>): Promise<T>
  /**
   * Opens values of one tenant, in order. A value whose key is gone is `{ gone: true }`; throws when one was altered or
   * belongs to another person, because that is damage and not a forget. Rejects: unavailable.
   */
  unsealAll(tenantId: string, items: readonly SealedItem[]): Promise<UnsealedItem[]>
  /** The id of the person's key; null when they have none. */
  findKeyId(tenantId: string, personId: string): Promise<string | null>
  /** When the person was last forgotten, a UTC instant; null when they never were. */
  lastForgottenAt(tenantId: string, personId: string): Promise<string | null>
  /** Wraps up to 500 keys, of all tenants, with the ring's current key. Returns how many it moved: 0 when none is left. */
  rewrapBatch(): Promise<number>
}

/** pool: any pool of the write database, as the role of command-api. */
export function createPersonalKeys({ pool, ring }: { pool: pg.Pool; ring: KeyRing }): PersonalKeys {
  async function forCommand(tenantId: string, personId: string): Promise<KeyForCommand> {
    const [existing] = await loadKeys(pool, tenantId, [personId])
    if (existing) return { key: unwrapKey(ring, existing), effects: [useKeyEffect(existing)] }
    const key = newPersonalKey(tenantId, personId)
    return { key, effects: [createKeyEffect(wrapKey(ring, key))] }
  }
  return {
    forCommand,
    withKey: async (tenantId, personId, command) => {
      const key = await forCommand(tenantId, personId)
      try {
        return await command(key)
      } catch (error) {
        if (!(error instanceof Rejection) || error.code !== 'version-conflict') throw error
        const now = await forCommand(tenantId, personId)
        if (now.key.keyId === key.key.keyId) throw error
        return command(now)
      }
    },
    unsealAll: async (tenantId, items) => {
      const rows = await loadKeys(pool, tenantId, [...new Set(items.map(({ personId }) => personId))])
      const keys = new Map(rows.map((row) => [row.personId, unwrapKey(ring, row)]))
      return items.map(({ personId, sealed }) => {
        const key = keys.get(personId)
        return key && key.keyId === keyIdOf(sealed) ? { value: unseal(key, sealed) } : { gone: true }
      })
    },
    findKeyId: async (tenantId, personId) => {
      const text = 'select key_id from personal_keys where tenant_id = $1 and person_id = $2'
      const [found] = await withTenant(pool, tenantId, [{ text, values: [tenantId, personId] }])
      return found?.rows[0]?.key_id ?? null
    },
    lastForgottenAt: async (tenantId, personId) => {
      const text = 'select max(forgotten_at) as at from forgotten_keys where tenant_id = $1 and person_id = $2'
      const [found] = await withTenant(pool, tenantId, [{ text, values: [tenantId, personId] }])
      return (found?.rows[0]?.at as Date | null)?.toISOString() ?? null
    },
    rewrapBatch: () => rewrapBatch(pool, ring),
  }
}

async function loadKeys(pool: pg.Pool, tenantId: string, personIds: readonly string[]): Promise<WrappedKey[]> {
  const [result, verified] = await withTenant(pool, tenantId, [
    {
      name: 'load-personal-keys',
      text: `select tenant_id, person_id, key_id, wrapped_key, kek_id from personal_keys
             where tenant_id = $1 and person_id = any ($2)`,
      values: [tenantId, personIds],
    },
    {
      name: 'personal-keys-are-verified',
      text: 'select topic_is_verified($1) as is_verified',
      values: [topics.members],
    },
  ])
  if (!verified?.rows[0]?.is_verified) {
    throw new Rejection('unavailable', 'Personal data cannot be used until the log was compared with its copy', {
      retry_after: 1,
    })
  }
  return (result?.rows ?? []).map(toWrappedKey)
}

async function rewrapBatch(pool: pg.Pool, ring: KeyRing): Promise<number> {
  const { rows } = await pool.query('select * from personal_keys_to_rewrap($1, $2)', [ring.current.id, REWRAP_BATCH])
  for (const row of rows.map(toWrappedKey)) {
    const { tenantId, personId, keyId, wrapped, kekId } = wrapKey(ring, unwrapKey(ring, row))
    await pool.query('select rewrap_personal_key($1, $2, $3, $4, $5)', [tenantId, personId, keyId, wrapped, kekId])
  }
  return rows.length
}

const createKeyEffect = ({ personId, keyId, wrapped, kekId }: WrappedKey): Effect => ({
  name: 'create_personal_key',
  args: { personId, keyId, wrappedKey: wrapped.toString('base64'), kekId },
})

const useKeyEffect = ({ personId, keyId }: WrappedKey): Effect => ({
  name: 'use_personal_key',
  args: { personId, keyId },
})

function toWrappedKey(row: Record<string, unknown>): WrappedKey {
  return {
    tenantId: row.tenant_id as string,
    personId: row.person_id as string,
    keyId: row.key_id as string,
    wrapped: row.wrapped_key as Buffer,
    kekId: row.kek_id as string,
  }
}
