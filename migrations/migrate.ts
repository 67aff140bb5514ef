/**
 * Brings a database to the newest schema: `node migrations/migrate.ts write|read [url]`.
 *
 * Knex numbers and records the migrations of `migrations/<folder>`; the SQL stands inside them. An advisory lock held by a
 * connection of its own keeps two instances apart and, unlike Knex's lock row, ends with a killed process.
 */
import knex from 'knex'
import pg from 'pg'

export type MigrationFolder = 'write' | 'read'

const LOCK_ID = 0x706f72746f
const LOCK_POLL_MS = 100
const LOCK_WAIT_MS = 600_000

/**
 * Applies what is missing, in order, each migration in a transaction of its own (unless its file exports `config.transaction = false`).
 * url: of the database itself, by a role that may create tables and roles. Returns the names of the files applied now, [] when nothing was missing.
 * Rejects when a migration fails (those before it stay applied) or when another instance migrates for longer than ten minutes.
 */
export async function migrate({
  url,
  folder,
}: {
  url: string
  folder: MigrationFolder
}): Promise<{ applied: string[] }> {
  const lock = new pg.Client({ connectionString: url })
  await lock.connect()
  try {
    await takeLock(lock)
    return { applied: await applyMissing(url, folder) }
  } finally {
    await lock.end()
  }
}

/** Polls instead of waiting in the server: a waiting statement holds a snapshot, which a concurrent index build would wait for in turn. */
async function takeLock(client: pg.Client): Promise<void> {
  const giveUpAt = Date.now() + LOCK_WAIT_MS
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [LOCK_ID])
    if (rows[0]?.taken) return
    if (Date.now() > giveUpAt) throw new Error('another instance has been migrating this database for ten minutes')
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
  }
}

async function applyMissing(url: string, folder: MigrationFolder): Promise<string[]> {
  const database = knex({
    client: 'pg',
    connection: url,
    pool: { min: 0, max: 2 },
    migrations: {
      directory: `${import.meta.dirname}/${folder}`,
      extension: 'ts',
      loadExtensions: ['.ts'],
      tableName: 'migrations',
    },
  })
  try {
    // Whoever holds the advisory lock is alone: a lock row found here was left by a killed process.
    await database.migrate.forceFreeMigrationsLock()
    const [, applied] = (await database.migrate.latest()) as [number, string[]]
    return applied.map((path) => path.slice(path.lastIndexOf('/') + 1))
  } finally {
    await database.destroy()
  }
}

if (import.meta.main) {
  const [folder, url] = process.argv.slice(2)
  const target = url ?? (folder === 'write' ? process.env.WRITE_DATABASE_URL : process.env.READ_DATABASE_URL)
  if ((folder !== 'write' && folder !== 'read') || !target) {
    console.error(
      'usage: node migrations/migrate.ts write|read [url]; without a url WRITE_DATABASE_URL or READ_DATABASE_URL counts',
    )
    process.exit(2)
  }
  const { applied } = await migrate({ url: target, folder }).catch((error: Error) => {
    console.error(`${folder}: ${error.message}`)
    process.exit(1)
  })
  console.log(applied.length === 0 ? `${folder}: nothing to apply` : `${folder}: applied ${applied.join(', ')}`)
}
