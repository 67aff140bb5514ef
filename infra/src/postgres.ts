/**
 * Postgres connections. Pools heal by themselves after a server restart; bigint columns arrive as numbers
 * (log positions and counts stay far below 2^53), numeric still as text.
 */
import pg from 'pg'
import type { Logger } from './log.ts'

const INT8 = 20

export interface PoolOptions {
  url: string
  /** Most connections of this pool. */
  max: number
  /** `application_name`: who holds a connection, as seen in pg_stat_activity. */
  name: string
  /** Queries issued together on one client are sent together (one round trip). */
  pipeline?: boolean
  statementTimeoutMs?: number
  /** A query unanswered for so long rejects and its connection is destroyed, also when the server is silent. Not with `pipeline`. */
  queryTimeoutMs?: number
  idleInTransactionTimeoutMs?: number
  connectTimeoutMs?: number
}

/**
 * Creates a pool. A connection that breaks while idle is logged and replaced; a query on a broken one rejects.
 * Timeouts are the server's (57014, 25P03); 0 or absent leaves the server's own setting.
 */
export function createPool(options: PoolOptions, logger: Logger): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    application_name: options.name,
    pipeline: options.pipeline ?? false,
    statement_timeout: options.statementTimeoutMs || undefined,
    query_timeout: options.queryTimeoutMs || undefined,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs || undefined,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    keepAlive: true,
    types: { getTypeParser },
  })
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) => logger.warn('idle database connection lost', { pool: options.name, error }))
  // The pool does not listen while a connection is checked out; lost between two queries it would end the process too.
  pool.on('connect', (client) => {
    client.on('error', (error) => logger.debug('database connection lost', { pool: options.name, error }))
  })
  return pool
}

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === INT8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format as 'text')

/**
 * Runs queries as one tenant: begin, set the tenant for this transaction, the queries, commit.
 * On a pool or client with `pipeline` everything travels in one round trip, otherwise one after the other.
 * Returns the results in the order of `queries`. The first failing query's error is thrown; nothing is committed then.
 * A client must be idle, outside a transaction.
 */
export async function withTenant(
  source: pg.Pool | pg.ClientBase,
  tenantId: string,
  queries: readonly pg.QueryConfig[],
): Promise<pg.QueryResult[]> {
  const all: pg.QueryConfig[] = [
    { text: 'begin' },
    { name: 'set-tenant', text: "select set_config('portolan.tenant', $1, true)", values: [tenantId] },
    ...queries,
    { text: 'commit' },
  ]
  if (!(source instanceof pg.Pool)) return (await runAll(source, all)).slice(2, -1)
  const client = await source.connect()
  let fault: Error | undefined
  try {
    return (await runAll(client, all)).slice(2, -1)
  } catch (error) {
    fault = isServerAnswer(error) ? undefined : (error as Error)
    throw error
  } finally {
    // A connection that failed below SQL is in no known state: destroyed, not reused.
    client.release(fault)
  }
}

/**
 * Runs `work` in a transaction on one connection: commit when it returns, rollback when it throws.
 * Never for work that waits on anything but the database.
 */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let fault: Error | undefined
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    // Rolling back may itself fail on a broken connection; the first error is the one that matters.
    await client.query('rollback').catch((rollbackError) => {
      fault = rollbackError
    })
    throw error
  } finally {
    client.release(fault)
  }
}

async function runAll(client: pg.ClientBase, queries: readonly pg.QueryConfig[]): Promise<pg.QueryResult[]> {
  // Only pg.Client's type knows the property; a pool's clients are pg.Clients.
  if (!(client as pg.Client).pipeline) {
    const results: pg.QueryResult[] = []
    try {
      for (const query of queries) results.push(await client.query(query))
    } catch (error) {
      await client.query('rollback').catch(() => undefined) // a broken connection has rolled back already
      throw error
    }
    return results
  }
  // After an error Postgres refuses the later statements and turns the commit into a rollback, so waiting for all
  // leaves the client usable.
  const { stream } = (client as pg.Client).connection
  stream.cork() // one write to the socket instead of one for each
  const sent = queries.map((query) => client.query(query))
  stream.uncork()
  const settled = await Promise.allSettled(sent)
  const failed = settled.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return settled.map((result) => (result as PromiseFulfilledResult<pg.QueryResult>).value)
}

function isServerAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !error.code?.startsWith('57P')
}
