import { createReadStream, existsSync, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import type { Evidence, Invariant, Violation } from '../evidence.ts'
import { connectedTo } from './connected.ts'
import { readRecords } from './read-kafka.ts'

/** P15: everything personal is sealed from the first event on, and nobody writes it into a log. */
export const noPersonalData: Invariant = {
  name: 'no-personal-data',
  promises: ['P15'],
  says: 'no name, e-mail, phone or birth date that was sent stands in clear in a log, a database, Redis or Kafka',
  check: async ({ evidence, store }) => {
    const { personalData, logFolder, writeUrl, readUrl, redis, kafka } = evidence
    const search = createSearch(personalData)
    const violations = [
      ...(await inLogs(logFolder, search)),
      ...(await inDatabase('write database', writeUrl, search)),
      ...(await inDatabase('read database', readUrl, search)),
      ...(await inRedis(redis, search)),
      ...(await inKafka(kafka, store.generation, search)),
    ]
    const notes = personalData.length === 0 ? ['no personal data was sent, so nothing was looked for'] : []
    return { violations: violations.slice(0, violationsMax), notes }
  },
}

const violationsMax = 50
const serverFolders = ['postgres', 'redis', 'kafka']

export type Search = (place: string, text: string) => Violation[]

const asJson = (text: string) => JSON.stringify(text).slice(1, -1)

/** Looks for any of these values, as they were sent, as JSON writes them and as JSON within JSON does, whatever the case. */
export function createSearch(values: readonly string[]): Search {
  const spellings = values.flatMap((value) => [value, asJson(value), asJson(asJson(value))])
  if (spellings.length === 0) return () => []
  const pattern = new RegExp(
    spellings
      .map((value) => RegExp.escape(value))
      .sort((a, b) => b.length - a.length)
      .join('|'),
    'i',
  )
  return (place, text) => {
    const found = pattern.exec(text)
    return found ? [{ what: `${place} shows ${found[0]}`, details: text.slice(0, 300) }] : []
  }
}

/** Every line of every process, and of every server whose log lies in a folder of its own beside. */
export async function inLogs(folder: string, search: Search): Promise<Violation[]> {
  const violations: Violation[] = []
  const servers = serverFolders.filter((name) => existsSync(`${folder}/../${name}`))
  const folders = [folder, ...servers.map((name) => `${folder}/../${name}`)]
  const files = folders.flatMap((one) => readdirSync(one).map((name) => `${one}/${name}`))
  for (const path of files.filter((name) => /\.log(\.\d+)?$/.test(name))) {
    const file = path.slice(path.lastIndexOf('/') + 1)
    let number = 0
    for await (const line of createInterface({ input: createReadStream(path) })) {
      number += 1
      violations.push(...search(`${file}:${number}`, line))
    }
  }
  return violations
}

/** Every row of every table, the versions of read models included. */
function inDatabase(place: string, url: string, search: Search): Promise<Violation[]> {
  return connectedTo(url, async (query) => {
    const tables = await query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')`,
    )
    const violations: Violation[] = []
    for (const { name } of tables) {
      for (const { row } of await query<{ row: string }>(`select to_jsonb(t)::text as row from ${name} t`))
        violations.push(...search(`${place} ${name}`, row))
    }
    return violations
  })
}

/** The topics of every generation: a republished log leaves the older ones behind. */
async function inKafka(kafka: Evidence['kafka'], newest: number, search: Search): Promise<Violation[]> {
  const violations: Violation[] = []
  for (let generation = 1; generation <= newest; generation++) {
    for (const { topic, partition, offset, text } of await readRecords(kafka, generation))
      violations.push(...search(`Kafka ${topic}/${partition} of generation ${generation}, offset ${offset}`, text))
  }
  return violations
}

async function inRedis({ url, keyPrefix }: Evidence['redis'], search: Search): Promise<Violation[]> {
  const redis = new Redis(url)
  const violations: Violation[] = []
  try {
    for await (const keys of redis.scanStream({ match: `*${keyPrefix}*`, count: 1000 })) {
      for (const key of keys as string[])
        violations.push(...search(`Redis ${key}`, `${key} ${await storedAt(redis, key)}`))
    }
  } finally {
    redis.disconnect()
  }
  return violations
}

async function storedAt(redis: Redis, key: string): Promise<string> {
  switch (await redis.type(key)) {
    case 'string':
      return (await redis.get(key)) ?? ''
    case 'hash':
      return JSON.stringify(await redis.hgetall(key))
    case 'list':
      return JSON.stringify(await redis.lrange(key, 0, -1))
    case 'set':
      return JSON.stringify(await redis.smembers(key))
    case 'zset':
      return JSON.stringify(await redis.zrange(key, '0', '-1'))
    case 'stream':
      return JSON.stringify(await redis.xrange(key, '-', '+'))
    default:
      return ''
  }
}
