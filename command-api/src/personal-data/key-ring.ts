/**
 * Keys from the environment (`id:base64,id:base64`): the first is used for everything new, every listed one still opens
 * what it closed. Rotation: add a new key at the end and restart every process, so that all can open what it closes; put it first
 * and restart again; drop the old one once no row of `personal_keys` or `tenant_secrets` names it (`key-rotation.ts`, `seed.ts`).
 */
export interface EnvironmentKey {
  id: string
  /** 32 bytes. */
  key: Buffer
}

export interface KeyRing {
  current: EnvironmentKey
  /** Undefined for an id that is not, or no longer, listed. */
  find(id: string): EnvironmentKey | undefined
}

const KEY_BYTES = 32

/**
 * Parses the value of PERSONAL_DATA_KEYS or STAFF_JWT_KEYS.
 * Throws a sentence without key material when an entry is malformed, an id repeats, or a key is not 32 bytes.
 */
export function parseKeyRing(variable: string, text: string): KeyRing {
  const keys = new Map<string, EnvironmentKey>()
  for (const entry of text.split(',').map((part) => part.trim())) {
    const [, id, encoded] = /^([A-Za-z0-9_-]{1,30}):([A-Za-z0-9+/_-]+={0,2})$/.exec(entry) ?? []
    if (!id || !encoded) throw new Error(`${variable} must be a comma-separated list of id:base64`)
    const key = Buffer.from(encoded, 'base64')
    if (key.length !== KEY_BYTES)
      throw new Error(`${variable}: key ${id} has ${key.length} bytes instead of ${KEY_BYTES}`)
    if (keys.has(id)) throw new Error(`${variable}: key id ${id} appears twice`)
    keys.set(id, { id, key })
  }
  const [current] = keys.values()
  if (!current) throw new Error(`${variable} holds no key`)
  return { current, find: (id) => keys.get(id) }
}
