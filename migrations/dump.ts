/**
 * Writes `migrations/<folder>/schema.sql`, what the migrations amount to: `node migrations/dump.ts [--check]`.
 *
 * Each folder is migrated into a scratch database on the server of DATABASE_URL and dumped with pg_dump. `--check` writes
 * nothing and fails when a committed dump differs. Lines that depend on the moment or on the server's version are left out.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import pg from 'pg'
import { type MigrationFolder, migrate } from './migrate.ts'

const run = promisify(execFile)
const DEBIAN_POSTGRES = '/usr/lib/postgresql'
/** The newest pg_dumps set this one and older servers do not know it. */
const versionBound = [/^\\(un)?restrict /, /^-- Dumped (from|by) /, /^SET transaction_timeout /]

/**
 * Returns the schema that the migrations of `folder` produce, as SQL. serverUrl: any database of a server where databases may be created.
 * Rejects when a migration fails, or when pg_dump is missing or older than the server.
 */
export async function dumpSchema(serverUrl: string, folder: MigrationFolder): Promise<string> {
  const name = `portolan_dump_${folder}_${process.pid}`
  const server = new pg.Client({ connectionString: serverUrl })
  await server.connect()
  try {
    await server.query(`create database ${name}`)
    const url = new URL(serverUrl)
    url.pathname = `/${name}`
    await migrate({ url: url.href, folder })
    const { stdout } = await run(
      pgDump(),
      ['--schema-only', '--no-owner', '--exclude-table=public.migrations*', '--dbname', url.href],
      { maxBuffer: 64 << 20 },
    )
    return withoutVersions(stdout)
  } finally {
    await server.query(`drop database if exists ${name} with (force)`)
    await server.end()
  }
}

/** pg_dump of the PATH, else the newest one that Debian installed beside a server. */
function pgDump(): string {
  const onPath = (process.env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/pg_dump`))
  if (onPath || !existsSync(DEBIAN_POSTGRES)) return 'pg_dump'
  const versions = readdirSync(DEBIAN_POSTGRES).sort((a, b) => Number(b) - Number(a))
  return `${DEBIAN_POSTGRES}/${versions[0]}/bin/pg_dump`
}

function withoutVersions(dump: string): string {
  const kept = dump.split('\n').filter((line) => !versionBound.some((pattern) => pattern.test(line)))
  return `${kept
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`
}

/** Writes or checks the dumps of both folders. Returns one sentence per folder that differs; [] when all agree. */
async function dumpAll(serverUrl: string, isCheck: boolean): Promise<string[]> {
  const differing: string[] = []
  for (const folder of ['write', 'read'] as const) {
    if (!existsSync(`${import.meta.dirname}/${folder}`)) continue
    const path = `${import.meta.dirname}/${folder}/schema.sql`
    const dump = await dumpSchema(serverUrl, folder)
    if (!isCheck) writeFileSync(path, dump)
    else if (!existsSync(path) || readFileSync(path, 'utf8') !== dump) {
      differing.push(`migrations/${folder}/schema.sql is not what the migrations produce: run node migrations/dump.ts`)
    }
  }
  return differing
}

if (import.meta.main) {
  const differing = await dumpAll(
    process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres',
    process.argv.includes('--check'),
  )
  for (const sentence of differing) console.error(sentence)
  process.exitCode = differing.length === 0 ? 0 : 1
}
