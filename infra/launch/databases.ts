/**
 * Our two databases on a Postgres server and the roles that our processes sign in with. Nothing else on the server is
 * touched. Doing it again changes nothing.
 */
import pg from 'pg'
import { migrate } from '../../migrations/migrate.ts'
import { longStep } from './say.ts'

export const WRITE_DATABASE = 'portolan_write'
export const READ_DATABASE = 'portolan_read'

/** Roles the migrations create without a login; neither owns a table nor bypasses row-level security. */
const ROLES = {
  portolan_command_api: WRITE_DATABASE,
  portolan_projections: READ_DATABASE,
  portolan_query_api: READ_DATABASE,
} as const

export type DatabaseUrls = { commandApi: string; projections: string; queryApi: string }

/**
 * Creates both databases where they are missing, migrates them and lets our roles sign in with `password`.
 * serverUrl: any database of the server, by a role that may create databases and roles.
 */
export async function prepareDatabases(serverUrl: string, password: string): Promise<DatabaseUrls> {
  await withClient(serverUrl, async (server) => {
    for (const name of [WRITE_DATABASE, READ_DATABASE]) {
      const { rowCount } = await server.query('select 1 from pg_database where datname = $1', [name])
      if (rowCount === 0) await server.query(`create database ${name}`)
    }
  })
  await longStep('bringing both databases to the newest schema', async () => {
    await migrate({ url: urlOf(serverUrl, WRITE_DATABASE), folder: 'write' })
    await migrate({ url: urlOf(serverUrl, READ_DATABASE), folder: 'read' })
  })
  for (const role of Object.keys(ROLES) as (keyof typeof ROLES)[]) await letSignIn(serverUrl, role, password)
  const roleUrl = (role: keyof typeof ROLES) => urlOf(serverUrl, ROLES[role], role, password)
  return {
    commandApi: roleUrl('portolan_command_api'),
    projections: roleUrl('portolan_projections'),
    queryApi: roleUrl('portolan_query_api'),
  }
}

/** Roles belong to the whole server: one that can sign in already is left as it is, since a process may be using it. */
async function letSignIn(serverUrl: string, role: keyof typeof ROLES, password: string): Promise<void> {
  const canSignIn = await withClient(urlOf(serverUrl, ROLES[role], role, password), async () => true).catch(() => false)
  if (canSignIn) return
  await withClient(serverUrl, (server) =>
    server.query(`alter role ${role} login password ${pg.escapeLiteral(password)}`),
  )
}

/** The same server, another database and possibly another role. */
export function urlOf(serverUrl: string, database: string, user?: string, password?: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  if (user !== undefined) url.username = user
  if (password !== undefined) url.password = password
  return url.href
}

/** Drops both databases. Returns the names of those that existed. Our roles stay: they belong to no database. */
export async function dropDatabases(serverUrl: string): Promise<string[]> {
  return withClient(serverUrl, async (server) => {
    const dropped: string[] = []
    for (const name of [WRITE_DATABASE, READ_DATABASE]) {
      const { rowCount } = await server.query('select 1 from pg_database where datname = $1', [name])
      await server.query(`drop database if exists ${name} with (force)`)
      if (rowCount) dropped.push(name)
    }
    return dropped
  })
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
