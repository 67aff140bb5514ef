import { OLDEST_POSTGRES } from './own-postgres.ts'
import { Obstacle } from './say.ts'

type ServerFacts = { version: string; mayCreate: boolean; synchronousCommit: string }

/**
 * Looks whether the Postgres at `url` can carry both databases: version, the right to create databases and roles,
 * durable commits. Resolves with its version; rejects with an Obstacle whose sentence begins with `name` and ends with
 * the remedy. It changes nothing there.
 */
export async function checkPostgres(url: string, name: string): Promise<string> {
  const { version, mayCreate, synchronousCommit } = await readFacts(url, name)
  const major = Number.parseInt(version, 10)
  if (!(major >= OLDEST_POSTGRES)) {
    throw new Obstacle(
      `${name} is version ${version} and ${OLDEST_POSTGRES} is needed: upgrade it, or set DATABASE_URL to a newer one.`,
    )
  }
  if (!mayCreate) {
    throw new Obstacle(
      `${name} does not let its user "${new URL(url).username}" create databases and roles: grant it with "alter role … createdb createrole", or set DATABASE_URL to a user who may.`,
    )
  }
  // An acknowledged booking that a power cut takes back would be a broken promise.
  if (synchronousCommit === 'off') {
    throw new Obstacle(
      `${name} runs with synchronous_commit = off, which can lose acknowledged bookings: set it to on and reload.`,
    )
  }
  return version
}

async function readFacts(url: string, name: string): Promise<ServerFacts> {
  const { default: pg } = await import('pg') // loaded on demand: the launcher keeps what it imports in memory
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3000, query_timeout: 5000 })
  client.on('error', () => {}) // a connection cut later is reported by the query that meets it
  try {
    await client.connect()
    const { rows } = await client.query<ServerFacts>(`
      select current_setting('server_version') as version,
             rolsuper or (rolcreatedb and rolcreaterole) as "mayCreate",
             current_setting('synchronous_commit') as "synchronousCommit"
      from pg_roles
      where rolname = current_user`)
    if (!rows[0]) throw new Error('it does not answer as Postgres does')
    return rows[0]
  } catch (error) {
    throw new Obstacle(`${name} ${describeFault(error as Error & { code?: string }, url)}`)
  } finally {
    await client.end().catch(() => {})
  }
}

function describeFault(fault: Error & { code?: string }, url: string): string {
  const user = new URL(url).username
  if (fault.code === 'ECONNREFUSED') return 'refuses connections: start it, or set DATABASE_URL to one that runs.'
  if (fault.code === 'ENOTFOUND' || fault.code === 'EAI_AGAIN')
    return 'has an address that cannot be resolved: correct DATABASE_URL.'
  if (fault.code === '28P01' || fault.code === '28000' || /password|SASL/.test(fault.message)) {
    return `refuses the user "${user}" (${fault.message}): set DATABASE_URL with a user and password that may create databases.`
  }
  return `does not answer as Postgres does (${fault.message || fault.code}): see what listens there, or set DATABASE_URL to another one.`
}
