/**
 * Compares the rows of two versions of a projection, table by table, by primary key. Both go on consuming, each at its
 * own pace, so under traffic a row differs while its event has reached one version only. A look that finds both at the
 * same positions is exact; otherwise only rows count that differ at every look.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Row } from './table.ts'

export interface TableComparison extends Row {
  table: string
  equal: number
  different: number
  /** In one version only. */
  only_here: number
  only_there: number
  /** At different stream versions (balances: numbers of lines): an event that one of them never applied. */
  on_the_way: number
}

type Kind = 'different' | 'only_here' | 'only_there' | 'on_the_way'

interface Look {
  /** Whether both versions had applied the same positions. */
  isExact: boolean
  /** `differences`: kind by primary key, of the first rows in the order of their keys. */
  tables: { table: string; equal: number; differences: Partial<Record<string, Kind>> }[]
}

/** Enough for a person to see that something is wrong, and little enough for memory. */
const differencesMax = 10_000

/**
 * One row per table of the projection, with the differences that stayed over `looks` looks, at most 10000 of a table.
 * `here` and `there` are versions.
 */
export async function compareVersions(
  read: pg.Client,
  { name, here, there }: { name: string; here: number; there: number },
  { looks, everyMs }: { looks: number; everyMs: number },
): Promise<TableComparison[]> {
  let stayed: Look | undefined
  for (let look = 1; ; look += 1) {
    const seen = await inSnapshot(read, () => lookAt(read, name, here, there))
    stayed = seen.isExact || !stayed ? seen : intersect(stayed, seen)
    const isEqualNow = stayed.tables.every(({ differences }) => Object.keys(differences).length === 0)
    if (seen.isExact || isEqualNow || look >= looks) return stayed.tables.map(countKinds)
    await sleep(everyMs)
  }
}

/** Whether nothing differs. */
export const isEqual = ({ different, only_here, only_there, on_the_way }: TableComparison): boolean =>
  different + only_here + only_there + on_the_way === 0

/** What the newer look shows of the rows that differed in both. */
function intersect(older: Look, newer: Look): Look {
  const tables = newer.tables.map(({ table, equal, differences }) => {
    const before = older.tables.find((known) => known.table === table)?.differences ?? {}
    const both = Object.entries(differences).filter(([key]) => before[key] !== undefined)
    return { table, equal, differences: Object.fromEntries(both) }
  })
  return { isExact: newer.isExact, tables }
}

function countKinds({ table, equal, differences }: Look['tables'][number]): TableComparison {
  const counts = { different: 0, only_here: 0, only_there: 0, on_the_way: 0 }
  for (const kind of Object.values(differences)) if (kind) counts[kind] += 1
  return { table, equal, ...counts }
}

async function inSnapshot<T>(read: pg.Client, work: () => Promise<T>): Promise<T> {
  await read.query('begin transaction isolation level repeatable read read only')
  try {
    return await work()
  } finally {
    await read.query('rollback')
  }
}

async function lookAt(read: pg.Client, name: string, here: number, there: number): Promise<Look> {
  const { rows: apart } = await read.query(
    `select from (select topic, generation, partition, position from projection_checkpoints where projection = $1 and version = $2 and position > 0) a
     full join (select topic, generation, partition, position from projection_checkpoints where projection = $1 and version = $3 and position > 0) b
       using (topic, generation, partition)
     where a.position is distinct from b.position limit 1`,
    [name, here, there],
  )
  const { rows: tables } = await read.query<{ table_name: string; key: string[]; columns: string[] }>(
    `select c.relname as table_name,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum = any(i.indkey)) as key,
       (select array_agg(a.attname::text) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     join pg_index i on i.indrelid = c.oid and i.indisprimary
     where n.nspname = $1 and c.relkind = 'r' order by c.relname`,
    [`${name}_${here}`],
  )
  const look: Look = { isExact: apart.length === 0, tables: [] }
  for (const { table_name, key, columns } of tables) {
    const version = ['stream_version', 'line_count'].find((column) => columns.includes(column) && !key.includes(column))
    const [first] = key
    const { rows } = await read.query<{ equal: number; differences: Partial<Record<string, Kind>> | null }>(
      `with compared as (
         select jsonb_build_array(${key.join(', ')})::text as key,
           case when b.${first} is null then 'only_here'
                when a.${first} is null then 'only_there'
                ${version ? `when a.${version} <> b.${version} then 'on_the_way'` : ''}
                when to_jsonb(a) <> to_jsonb(b) then 'different' end as kind
         from ${tableOf(name, here, table_name)} a full join ${tableOf(name, there, table_name)} b using (${key.join(', ')})
       )
       select (select count(*) from compared where kind is null) as equal,
         (select jsonb_object_agg(key, kind) from
           (select key, kind from compared where kind is not null order by key limit ${differencesMax}) as first_ones) as differences`,
    )
    const [row] = rows
    if (row) look.tables.push({ table: table_name, equal: row.equal, differences: row.differences ?? {} })
  }
  return look
}

function tableOf(name: string, version: number, table: string): string {
  return `${pg.escapeIdentifier(`${name}_${version}`)}.${pg.escapeIdentifier(table)}`
}
