/** Which errors say nothing about the event at hand: they are retried, and nothing is ever parked for them. */
import { storable } from './record.ts'

/** Postgres' classes of conditions: 08 connection, 53 resources, 57 operator intervention and timeouts, 58 system, XX internal. */
const transientClasses = new Set(['08', '53', '57', '58', 'XX'])
const transientStates = new Set([
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // lock not available
  '25006', // read-only transaction: a standby during failover
  '25P03', // idle in transaction too long: this process was paused
  // The schema or a right is missing for every event, so parking would park the world one stream at a time.
  '3F000',
  '42501',
  '42703',
  '42883',
  '42P01',
])
const transientCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_SOCKET',
])
const transientMessages =
  /connection terminated|connection ended|timeout exceeded when trying to connect|connection is closed|command timed out|query read timeout|stream isn't writeable|max retries per request|client has encountered a connection error/i

/** Whether trying the same thing again later may succeed: connection, deadlock, timeout, missing schema. Looks at causes too. */
export function isTransient(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth += 1) {
    const { code } = current as { code?: unknown }
    if (typeof code === 'string') {
      if (transientCodes.has(code) || transientStates.has(code)) return true
      if (code.length === 5 && transientClasses.has(code.slice(0, 2))) return true
    }
    if (current.name === 'TimeoutError' || current.name === 'AbortError') return true
    if (transientMessages.test(current.message)) return true
  }
  return false
}

const reasonCharactersMax = 500

/** Why an event could not be applied. Throws the error itself when it says nothing about the event. */
export function reasonOf(error: unknown): string {
  if (isTransient(error)) throw error
  return storable((error instanceof Error ? error.message : String(error)).slice(0, reasonCharactersMax))
}
