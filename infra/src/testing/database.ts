/**
 * A database of its own for each test file, cloned in a fraction of a second from a template that is migrated once.
 * The template's name carries a hash of the migrations, so a changed migration means a new template; templates stay for
 * the next run, clones are dropped by their file, and clones of killed runs by the next run on this machine.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'

export type DatabaseFolder = 'write' | 'read'

export interface TestDatabase {
  name: string
  /** As the role of the process that owns the folder's data, so that row-level security is real. */
  url: string
  /** As the server's administrator: to look behind row-level security and to arrange what no process may do. */
  adminUrl: string
  /** As any other role. */
  urlAs(role: string): string
  /** Drops it, cutting connections that are still open. */
  drop(): Promise<void>
}

const PROCESS_ROLE: Readonly<Record<DatabaseFolder, string>> = {
  write: 'portolan_command_api',
  read: 'portolan_query_api',
}
const MIGRATIONS = fileURLToPath(new URL('../../../migrations', import.meta.url))
const LOCK_ID = 0x7465737464
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 6)
const CLONE = new RegExp(`^portolan_test_${HOST}_(\\d+)_`)

/**
 * Creates an empty, migrated database. serverUrl: a superuser's; default DATABASE_URL, or the local server as postgres.
 * Call `drop` in the file's `after`.
 */
export async function testDatabase(
  folder: DatabaseFolder,
  serverUrl = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres',
): Promise<TestDatabase> {
  const server = new pg.Client({ connectionString: serverUrl })
  await server.connect()
  try {
    // Exclusive: two files must not build one template, nor one clone what the other is about to drop.
    await server.query('select pg_advisory_lock($1)', [LOCK_ID])
    await dropClonesOfTheDead(server)
    const template = await findOrBuildTemplate(server, serverUrl, folder)
    const name = `portolan_test_${HOST}_${process.pid}_${randomBytes(4).toString('hex')}`
    await server.query(`create database ${name} template ${template}`)
    await copySettings(server, template, name)
    const urlAs = (role: string) => {
      const url = new URL(databaseUrl(serverUrl, name))
      url.searchParams.set('options', `-c role=${role}`)
      // pg decodes percent signs only: a plus would reach the server as a plus.
      return url.href.replaceAll('+', '%20')
    }
    return {
      name,
      url: urlAs(PROCESS_ROLE[folder]),
      adminUrl: databaseUrl(serverUrl, name),
      urlAs,
      drop: () => dropDatabase(serverUrl, name),
    }
  } finally {
    await server.end()
  }
}

async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  const server = new pg.Client({ connectionString: serverUrl })
  await server.connect()
  try {
    await server.query(`drop database if exists ${name} with (force)`)
  } finally {
    await server.end()
  }
}

/** Migrates into a name nobody clones and renames it when done, so that a killed build leaves no half-made template. */
async function findOrBuildTemplate(server: pg.Client, serverUrl: string, folder: DatabaseFolder): Promise<string> {
  const template = `portolan_template_${folder}_${hashOfMigrations(folder)}`
  const { rows } = await server.query<{ datname: string }>('select datname from pg_database where datname like $1', [
    `portolan_template_${folder}_%`,
  ])
  if (rows.some(({ datname }) => datname === template)) return template
  for (const { datname } of rows) await server.query(`drop database if exists ${datname} with (force)`)
  const building = `portolan_template_${folder}_building`
  await server.query(`create database ${building}`)
  await promisify(execFile)(process.execPath, [
    `${MIGRATIONS}/migrate.ts`,
    folder,
    databaseUrl(serverUrl, building),
  ]).catch((error: { stderr?: string }) => {
    throw new Error(`the ${folder} migrations failed: ${error.stderr}`, { cause: error })
  })
  await server.query(`alter database ${building} rename to ${template}`)
  return template
}

function hashOfMigrations(folder: DatabaseFolder): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(`${MIGRATIONS}/${folder}`).sort()) {
    if (file.endsWith('.ts')) hash.update(file).update(readFileSync(`${MIGRATIONS}/${folder}/${file}`))
  }
  return hash.digest('hex').slice(0, 12)
}

/** `alter database … set` belongs to the database's name, which cloning leaves behind. */
async function copySettings(server: pg.Client, from: string, to: string): Promise<void> {
  const { rows } = await server.query<{ setting: string }>(
    `select unnest(s.setconfig) as setting
     from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
     where d.datname = $1 and s.setrole = 0`,
    [from],
  )
  for (const { setting } of rows) {
    const [name = '', value = ''] = setting.split(/=(.*)/s)
    await server.query(`alter database ${to} set ${pg.escapeIdentifier(name)} = ${pg.escapeLiteral(value)}`)
  }
}

async function dropClonesOfTheDead(server: pg.Client): Promise<void> {
  const { rows } = await server.query<{ datname: string }>(
    "select datname from pg_database where datname ~ '^portolan_test_'",
  )
  for (const { datname } of rows) {
    const pid = CLONE.exec(datname)?.[1]
    if (pid && !isAlive(Number(pid))) await server.query(`drop database if exists ${datname} with (force)`)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}
