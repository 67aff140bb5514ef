/** The statements of a comparison: which tables a version has, the next rows in the order of their key, and rows by their keys. */
import pg from 'pg'

export interface ComparedTable {
  name: string
  /** As SQL names them: schema and table of both versions. */
  here: string
  there: string
  /** The primary key in its index's order, with types to cast to. */
  key: readonly { column: string; type: string }[]
  /** Column that says which state of its stream a row reflects; null where rows never change. */
  version: string | null
}

export interface Difference {
  /** The primary key as a JSON array of texts. */
  key: string
  kind: 'different' | 'only_here' | 'only_there' | 'on_the_way'
  /** Stream version of the row in each version; 0 where there is no row, 1 where rows have no version. */
  here: number
  there: number
  /** One side lacks what the other had, although it has passed its position. */
  isMissing?: boolean
}

interface Versions {
  name: string
  here: number
  there: number
}

/** The tables of the version `here`, by name; without those that depend on which stream's events came first, whose names begin with `index_`. */
export async function tablesOf(read: pg.Client, { name, here, there }: Versions): Promise<ComparedTable[]> {
  const { rows } = await read.query<{ table_name: string; key: string[]; types: string[]; columns: string[] }>(
    `select c.relname as table_name,
       array_agg(a.attname::text order by k.place) as key,
       array_agg(format_type(a.atttypid, a.atttypmod) order by k.place) as types,
       (select array_agg(attname::text) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns
     from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     join pg_index i on i.indrelid = c.oid and i.indisprimary
     cross join unnest(i.indkey) with ordinality as k (attnum, place)
     join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
     where n.nspname = $1 and c.relkind = 'r' and not starts_with(c.relname, 'index_')
     group by c.oid, c.relname
     order by c.relname`,
    [`${name}_${here}`],
  )
  return rows.map(({ table_name, key, types, columns }) => ({
    name: table_name,
    here: `${pg.escapeIdentifier(`${name}_${here}`)}.${pg.escapeIdentifier(table_name)}`,
    there: `${pg.escapeIdentifier(`${name}_${there}`)}.${pg.escapeIdentifier(table_name)}`,
    key: key.map((column, i) => ({ column: pg.escapeIdentifier(column), type: types[i] ?? 'text' })),
    version: ['stream_version', 'line_count'].find((name) => columns.includes(name) && !key.includes(name)) ?? null,
  }))
}

/**
 * Compares the next `size` keys behind `after` (null: from the beginning) of both tables together. `last` is where to go on;
 * null behind the last key. The first `size` keys of the union are among the first `size` of each table, so both are read by
 * index and no further.
 */
export async function compareNext(
  read: pg.Client,
  table: ComparedTable,
  after: string | null,
  size: number,
): Promise<{ equal: number; differences: Difference[]; last: string | null }> {
  const columns = table.key.map(({ column }) => column).join(', ')
  const behind = after === null ? '' : `where (${columns}) > (${keyOfJson(table, '$2::jsonb')})`
  const page = (from: string) => `(select * from ${from} ${behind} order by ${columns} limit $1)`
  const { rows } = await read.query<{
    equal: number
    differences: Difference[] | null
    last: string | null
    all: number
  }>(
    `with compared as (
       ${comparison(table, page(table.here), page(table.there))}
       order by ${columns}
       limit $1
     )
     select count(*) filter (where kind is null) as equal, count(*) as all,
       jsonb_agg(jsonb_build_object('key', key, 'kind', kind, 'here', here, 'there', there)) filter (where kind is not null) as differences,
       (array_agg(key order by ${columns}))[count(*)] as last
     from compared`,
    after === null ? [size] : [size, after],
  )
  const [row] = rows
  if (!row) throw new Error('an aggregate has one row')
  return { equal: row.equal, differences: row.differences ?? [], last: row.all < size ? null : row.last }
}

/** What differs of the rows with these keys; one that is in neither table any more is not among them. */
export async function compareKeys(
  read: pg.Client,
  table: ComparedTable,
  keys: readonly string[],
): Promise<Difference[]> {
  const columns = table.key.map(({ column }) => column).join(', ')
  const wanted = `(select ${keyOfJson(table, 'wanted::jsonb')} from unnest($1::text[]) as wanted)`
  const rowsOf = (from: string) => `(select * from ${from} where (${columns}) in ${wanted})`
  const { rows } = await read.query<Difference>(
    `select key, kind, here, there from (${comparison(table, rowsOf(table.here), rowsOf(table.there))}) as compared
     where kind is not null`,
    [keys],
  )
  return rows
}

/** Key, kind of difference (null: equal) and versions of every row of both sides. */
function comparison({ key, version }: ComparedTable, here: string, there: string): string {
  const columns = key.map(({ column }) => column).join(', ')
  const [first] = key
  const of = (side: string) =>
    `coalesce(${version ? `${side}.${version}` : `(${side}.${first?.column} is not null)::int`}, 0)`
  return `select ${columns}, jsonb_build_array(${key.map(({ column }) => `${column}::text`).join(', ')})::text as key,
      ${of('a')} as here, ${of('b')} as there,
      case when b.${first?.column} is null then 'only_here'
           when a.${first?.column} is null then 'only_there'
           ${version ? `when a.${version} <> b.${version} then 'on_the_way'` : ''}
           when to_jsonb(a) <> to_jsonb(b) then 'different' end as kind
    from ${here} a full join ${there} b using (${columns})`
}

/** The columns of a key that is given as a JSON array of texts. */
const keyOfJson = ({ key }: ComparedTable, json: string): string =>
  key.map(({ type }, i) => `(${json} ->> ${i})::${type}`).join(', ')
