/**
 * Which mechanism sells a night once, measured on its own: `npm run bench -- nights [reservations, default 1000000] [mechanisms]`.
 *
 * The data: a hundred reservations of one to five nights per property over five hundred days, so that about 60 % of the nights of the
 * year that is searched are sold. Loads run through pgbench with prepared statements; the yardstick is an insert of the reservation alone, which stops nobody
 * from selling a night twice. PATH decides which Postgres where Debian has none; another one is put there.
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import pg from 'pg'
import { findPostgresBin, startOwnPostgres } from '../launch/own-postgres.ts'
import { longStep, Obstacle, runEntry, say } from '../launch/say.ts'
import { type Mechanism, mechanisms } from './nights-mechanisms.ts'
import { freePort } from './ports.ts'
import { publish } from './report.ts'
import { withinProcess } from './within-process.ts'

const run = promisify(execFile)
const PER_PROPERTY = 100
const DAYS_PER_RESERVATION = 5
const FIRST_DAY = '2029-01-01'
const SECONDS = Number(process.env.NIGHTS_SECONDS ?? 15)
const SETTINGS = { max_connections: '300', shared_buffers: '2GB', max_wal_size: '8GB', maintenance_work_mem: '1GB' }

interface Measured {
  name: string
  how: string
  fillS: number
  finishS: number
  heldMB: number
  dumpS: number
  restoreS: number
  dumpMB: number
  free: Load
  contended: Load
  hot: Load
  search: Load
}

interface Load {
  perSecond: number
  averageMs: number
  /** Reservations that took their nights. */
  acceptedPerSecond: number
}

const CLIENTS = 100
const SEARCHERS = 16

const [countText = '1000000', namesText] = process.argv.slice(2)
const reservations = Number(countText)
const properties = Math.floor(reservations / PER_PROPERTY)
const chosen = mechanisms.filter(({ name }) => !namesText || namesText.split(',').includes(name))

async function main(): Promise<number> {
  if (!(reservations >= 10_000) || chosen.length === 0)
    throw new Obstacle(`nights [at least 10000 reservations] [${mechanisms.map(({ name }) => name).join(',')}]`)
  return withinProcess(async (stack) => {
    const dir = mkdtempSync(`${tmpdir()}/portolan-nights-`)
    stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    chmodSync(dir, 0o755) // the postgres user has to enter
    const server = await startOwnPostgres({ dir, port: await freePort(25_700), settings: SETTINGS })
    stack.defer(() => server.release())
    await using bench = await openBench(server.url, dir)
    const { rows } = await bench.query('show server_version')
    await longStep(`making ${reservations} reservations`, () => bench.query(sourceSql))
    const yardstick = await measureYardstick(bench)
    const measured: Measured[] = []
    for (const mechanism of chosen) measured.push(await measure(bench, mechanism))
    report(rows[0].server_version, yardstick, measured)
  })
}

/** Property ids as UUIDv7 are: growing, so that the order of ids is the order of creation. */
const sourceSql = `
  create function property_id(n int) returns uuid language sql immutable as
    $$ select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
  create table property (id uuid primary key);
  insert into property select property_id(n) from generate_series(1, ${properties}) n;
  create unlogged table reservations (id uuid, property uuid, start date, nights int);
  insert into reservations
  select gen_random_uuid(), property_id(1 + r % ${properties}),
    date '${FIRST_DAY}' + (r / ${properties}) * ${DAYS_PER_RESERVATION},
    1 + (hashint4(r) & 2147483647) % ${DAYS_PER_RESERVATION}
  from generate_series(0, ${reservations - 1}) r;
  analyze`

interface Bench extends AsyncDisposable {
  query(text: string): Promise<pg.QueryResult>
  /** Clients that do nothing else until the time is over. */
  load(script: string, clients: number): Promise<Load>
  /** `held` into a file and back into another database. */
  dumpAndRestore(): Promise<Pick<Measured, 'dumpS' | 'restoreS' | 'dumpMB'>>
}

async function openBench(url: string, dir: string): Promise<Bench> {
  const bin = await findPostgresBin()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { hostname, port } = new URL(url)
  const options = { env: { ...process.env, PGHOST: hostname, PGPORT: port, PGUSER: 'postgres' } }
  const query = (text: string) => client.query(text)
  return {
    query,
    load: async (script, clients) => {
      await query('checkpoint')
      await query(`select setval('accepted', 1, false)`)
      writeFileSync(`${dir}/load.sql`, script)
      const args = ['-n', '-M', 'prepared', '-c', `${clients}`, '-j', '2', '-T', `${SECONDS}`, '-f', `${dir}/load.sql`]
      const { stdout } = await run(`${bin}/pgbench`, [...args, 'postgres'], options)
      const figure = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1])
      const { rows } = await query(`select nextval('accepted') - 1 as accepted`)
      return {
        perSecond: figure(/tps = ([\d.]+)/),
        averageMs: figure(/latency average = ([\d.]+)/),
        acceptedPerSecond: Number(rows[0].accepted) / SECONDS,
      }
    },
    dumpAndRestore: async () => {
      const file = `${dir}/held.dump`
      const dumpS = await seconds(() =>
        run(`${bin}/pg_dump`, ['-Fc', '-Z1', '-t', 'held', '-f', file, 'postgres'], options),
      )
      await query('create database restored')
      await run(`${bin}/psql`, ['-q', '-c', 'create extension if not exists btree_gist', 'restored'], options)
      const restoreS = await seconds(() => run(`${bin}/pg_restore`, ['-j', '2', '-d', 'restored', file], options))
      await query('drop database restored')
      const dumpMB = statSync(file).size / 2 ** 20
      rmSync(file)
      return { dumpS, restoreS, dumpMB }
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const from = performance.now()
  await work()
  return (performance.now() - from) / 1000
}

/** Two nights in ten years behind the data: almost every one is free. */
const freeScript = (statement: string) => `
\\set n random(1, ${properties})
\\set day random(0, 3649)
${statement.replace(':property', 'property_id(:n)').replace(':start', `date '2035-01-01' + :day::int`)};
`
/** The same nights of ten properties: after a moment almost every one is sold. */
const contendedScript = freeScript('select reserve(:property, :start, 2)').replace(/random\(1, \d+\)/, 'random(1, 10)')
/** One property's only night that anybody wants. */
const hotScript = `select reserve(property_id(1), date '2050-01-01', 1);`

const searchScript = ({ taken }: Mechanism) => `
\\set n random(1, ${properties})
\\set day random(0, 360)
with asked as materialized (select date '${FIRST_DAY}' + :day::int as start, 3 as nights)
select p.id from asked cross join property p
where p.id > property_id(:n) and not exists (${taken}) order by p.id limit 50;
`

async function measureYardstick(bench: Bench): Promise<Load> {
  await bench.query(
    `create sequence accepted; create table yardstick (id uuid primary key, property uuid, start date, nights int)`,
  )
  return longStep('measuring the insert of a reservation alone', () =>
    bench.load(freeScript('insert into yardstick values (gen_random_uuid(), :property, :start, 2)'), CLIENTS),
  )
}

async function measure(bench: Bench, mechanism: Mechanism): Promise<Measured> {
  const { name } = mechanism
  return longStep(`measuring ${name}`, async () => {
    await bench.query(mechanism.table)
    await bench.query(mechanism.reserve)
    const fillS = await seconds(() => bench.query(mechanism.fill))
    say(`  filled in ${fillS.toFixed(0)} s`)
    const finishS = await seconds(() => bench.query(mechanism.finish))
    await bench.query('vacuum analyze held')
    const { rows } = await bench.query(`select pg_total_relation_size('held') / 2.0 ^ 20 as size`)
    say(`  finished in ${finishS.toFixed(0)} s`)
    const search = await bench.load(searchScript(mechanism), SEARCHERS)
    const free = await bench.load(freeScript('select reserve(:property, :start, 2)'), CLIENTS)
    const contended = await bench.load(contendedScript, CLIENTS)
    const hot = await bench.load(hotScript, CLIENTS)
    const dumped = await bench.dumpAndRestore()
    await bench.query('drop table held; drop function reserve')
    return {
      name,
      how: mechanism.how,
      fillS,
      finishS,
      heldMB: Number(rows[0].size),
      ...dumped,
      free,
      contended,
      hot,
      search,
    }
  })
}

function report(version: string, yardstick: Load, measured: readonly Measured[]): void {
  const columns: [string, (one: Measured) => string][] = [
    ['fill and constrain, s', ({ fillS, finishS }) => `${fillS.toFixed(1)} + ${finishS.toFixed(1)}`],
    ['on disk, MB', ({ heldMB }) => heldMB.toFixed(0)],
    ['dump, restore, s', ({ dumpS, restoreS }) => `${dumpS.toFixed(1)}, ${restoreS.toFixed(1)}`],
    ['free: accepted/s', ({ free }) => free.acceptedPerSecond.toFixed(0)],
    ['of the yardstick', ({ free }) => (free.acceptedPerSecond / yardstick.perSecond).toFixed(2)],
    [
      'contended: accepted/s, rejected/s',
      ({ contended: c }) => `${c.acceptedPerSecond.toFixed(0)}, ${(c.perSecond - c.acceptedPerSecond).toFixed(0)}`,
    ],
    ['hot night: rejected/s', ({ hot }) => hot.perSecond.toFixed(0)],
    [
      'page of 50, 16 clients: /s, average ms',
      ({ search }) => `${search.perSecond.toFixed(0)}, ${search.averageMs.toFixed(1)}`,
    ],
  ]
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  publish({
    bench: `nights-${reservations}`,
    conditions: [
      `Postgres ${version}, ${Object.entries(SETTINGS)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')}, fsync on`,
      `${reservations} reservations of ${properties} properties; each load ${SECONDS} s, ${CLIENTS} clients`,
      `yardstick: ${yardstick.perSecond.toFixed(0)} inserts/s of (id, property, start, nights) with a primary key`,
      ...measured.map(({ name, how }) => `${name}: ${how}`),
    ],
    figures: [],
    table: [
      line(['', ...measured.map(({ name }) => name)]),
      line(['---', ...measured.map(() => '---:')]),
      ...columns.map(([title, cell]) => line([title, ...measured.map(cell)])),
    ].join('\n'),
    details: { yardstick, measured },
  })
}

await runEntry(main)
