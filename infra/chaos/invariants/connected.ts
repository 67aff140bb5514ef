/** One database, looked at in one snapshot that can change nothing. */
import pg from 'pg'

const int8 = 20
const timestamptz = 1184
const types = {
  // Counts and positions stay far below 2^53; instants are compared as text.
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === int8) return Number
    if (oid === timestamptz) return (text: string) => new Date(text).toISOString()
    return pg.types.getTypeParser(oid, format as 'text')
  }) as typeof pg.types.getTypeParser,
}

export type Query = <Row>(text: string, values?: unknown[]) => Promise<Row[]>

/** Runs `work` over a connection of its own. url: as administrator, who sees every tenant. */
export async function connectedTo<T>(url: string, work: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'judge', types })
  client.on('error', () => {}) // a query that is under way rejects by itself
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    return await work(async (text, values) => (await client.query(text, values)).rows)
  } finally {
    await client.end()
  }
}
