/**
 * Compares the rows of two versions of a projection, table by table, by primary key. Rows are compared where both reflect
 * the same version of their stream (for balances: the same number of lines); where they do not, an event is on its way.
 */
import pg from 'pg'
import type { Row } from './table.ts'

export interface TableComparison extends Row {
  table: string
  equal: number
  different: number
  /** In one version only. */
  only_here: number
  only_there: number
  /** At different stream versions: not comparable at this moment. */
  on_the_way: number
}

/** One row per table of the projection, from one snapshot. `here` and `there` are versions. */
export async function compareVersions(
  read: pg.Client,
  name: string,
  here: number,
  there: number,
): Promise<TableComparison[]> {
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
  const compared: TableComparison[] = []
  for (const { table_name, key, columns } of tables) {
    const version = ['stream_version', 'line_count'].find((column) => columns.includes(column) && !key.includes(column))
    const isSame = version ? `a.${version} = b.${version}` : 'true'
    const [first] = key
    const { rows } = await read.query<Omit<TableComparison, 'table'>>(
      `select count(*) filter (where a.${first} is not null and b.${first} is not null and ${isSame} and to_jsonb(a) = to_jsonb(b)) as equal,
         count(*) filter (where a.${first} is not null and b.${first} is not null and ${isSame} and to_jsonb(a) <> to_jsonb(b)) as different,
         count(*) filter (where b.${first} is null) as only_here,
         count(*) filter (where a.${first} is null) as only_there,
         count(*) filter (where a.${first} is not null and b.${first} is not null and not (${isSame})) as on_the_way
       from ${tableOf(name, here, table_name)} a full join ${tableOf(name, there, table_name)} b using (${key.join(', ')})`,
    )
    const [counts] = rows
    if (counts) compared.push({ table: table_name, ...counts } as TableComparison)
  }
  return compared
}

/** Whether nothing differs; `on_the_way` is no difference, only a question to ask again. */
export const isEqual = ({ different, only_here, only_there }: TableComparison): boolean =>
  different + only_here + only_there === 0

function tableOf(name: string, version: number, table: string): string {
  return `${pg.escapeIdentifier(`${name}_${version}`)}.${pg.escapeIdentifier(table)}`
}
