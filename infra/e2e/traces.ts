/** Where a test looks for personal data: rows, keys, files; and what it says when it finds some. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import pg from 'pg'

/** Fails with the text that holds one of the traces, whatever its case. */
export function expectNone(traces: readonly string[], texts: readonly string[], place: string): void {
  for (const trace of traces) {
    const found = texts.find((text) => text.toLowerCase().includes(trace.toLowerCase()))
    expect(found, `${trace} in ${place}`).to.equal(undefined)
  }
}

/** Every file below a folder, bytes as characters, so that texts of plain letters are found in it. except: by file name. */
export function allFiles(folder: string, except = /^$/): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !except.test(entry.name))
    .flatMap(({ parentPath, name }) => readIfThere(`${parentPath}/${name}`))
}

/** A running server removes files meanwhile. */
function readIfThere(path: string): string[] {
  try {
    return [readFileSync(path, 'latin1')]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Every row of every table, as text. */

export async function allRows(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname not in ('pg_catalog', 'information_schema')`,
    )
    const texts: string[] = []
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ text: string }>(`select t::text as text from ${name} t`)
      texts.push(...rows.map(({ text }) => text))
    }
    return texts
  } finally {
    await client.end()
  }
}

/** Every key of the prefix with its value, read by type and dumped. */
export async function allOfRedis(prefix: string): Promise<string[]> {
  const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379')
  const texts: string[] = []
  try {
    for await (const keys of redis.scanStream({ match: `*${prefix}*`, count: 1000 })) {
      for (const key of keys as string[]) {
        const dumped = await redis.dumpBuffer(key)
        texts.push(key, await readable(redis, key), dumped?.toString('latin1') ?? '')
      }
    }
  } finally {
    redis.disconnect()
  }
  return texts
}

/** DUMP may compress long strings, so values are read by type as well. */
async function readable(redis: Redis, key: string): Promise<string> {
  switch (await redis.type(key)) {
    case 'string':
      return (await redis.get(key)) ?? ''
    case 'hash':
      return JSON.stringify(await redis.hgetall(key))
    case 'list':
      return JSON.stringify(await redis.lrange(key, 0, -1))
    case 'zset':
      return JSON.stringify(await redis.zrange(key, '0', '-1'))
    case 'set':
      return JSON.stringify(await redis.smembers(key))
    case 'stream':
      return JSON.stringify(await redis.xrange(key, '-', '+'))
    default:
      return ''
  }
}
