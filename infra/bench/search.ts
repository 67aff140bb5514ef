/**
 * B3: searching for free properties, over one million of them.
 *
 *   npm run bench -- B3 [reservations, default 1000000; several with commas] [seconds per load, default 10]
 *
 * Each size has a database of its own on a Postgres of the benchmark's own; query-api runs on it with its default settings, row-level security included.
 * 16 clients search in a closed loop for pages of 50. Yardstick: the plain NOT EXISTS query on the same rows, and the first size. Before it is
 * measured, what is found is compared with what that query finds. 100 million reservations need 25 GB of disk, which are given back.
 */
import { chmodSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { dropDatabases, prepareDatabases, READ_DATABASE, urlOf } from '../launch/databases.ts'
import { startOwnPostgres } from '../launch/own-postgres.ts'
import { startOwnRedis } from '../launch/own-redis.ts'
import { Obstacle, runEntry, say } from '../launch/say.ts'
import { loadSecrets } from '../launch/secrets.ts'
import { startBenchProcess } from './bench-process.ts'
import { startLoad } from './load-process.ts'
import { freePort } from './ports.ts'
import { publish } from './report.ts'
import { FIRST_DAY, FULL_PROPERTIES, type Loaded, loadSearchData, PROPERTIES, propertyId } from './search-data.ts'
import type { SearchLoad, SearchLoadResult } from './search-load.ts'
import { withinProcess } from './within-process.ts'

const SETTINGS = {
  max_connections: '100',
  shared_buffers: '4GB',
  max_wal_size: '16GB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  checkpoint_timeout: '30min',
}
const CLIENTS = 16

type Kind = Pick<SearchLoad, 'how' | 'page' | 'filter'> & { name: string; clients?: number }
const KINDS: readonly Kind[] = [
  { name: 'a page somewhere', how: 'http', page: 'middle', filter: '' },
  { name: `the first page, behind ${FULL_PROPERTIES} full properties`, how: 'http', page: 'first', filter: '' },
  { name: 'text that 200 properties have', how: 'http', page: 'first', filter: '&text=lighthouse' },
  { name: 'text that 10 properties have', how: 'http', page: 'first', filter: '&text=treehouse' },
  {
    name: 'a price that 1 in 1000 has',
    how: 'http',
    page: 'first',
    filter: '&currency=USD&price_min=5000&price_max=5100',
  },
  { name: 'a box that 1 in 10000 lies in', how: 'http', page: 'first', filter: '&bounds=10,10,11,13' },
  { name: 'four guests, which most have', how: 'http', page: 'middle', filter: '&guests=4' },
  {
    name: 'twelve guests, which 1 in 12 has, behind the full ones',
    how: 'http',
    page: 'first',
    filter: '&guests=12',
  },
  { name: 'one client alone: a page somewhere', how: 'http', page: 'middle', filter: '', clients: 1 },
  { name: 'without HTTP: a page somewhere', how: 'function', page: 'middle', filter: '' },
  { name: 'yardstick, NOT EXISTS: a page somewhere', how: 'not exists', page: 'middle', filter: '' },
  { name: 'yardstick, NOT EXISTS: the first page', how: 'not exists', page: 'first', filter: '' },
]

interface Size {
  loaded: Loaded
  results: SearchLoadResult[]
}

async function measure(stack: AsyncDisposableStack): Promise<void> {
  const [sizesText = '1000000', secondsText = '10'] = process.argv.slice(2)
  const sizes = sizesText.split(',').map(Number)
  const seconds = Number(secondsText)
  if (!(seconds > 0) || !sizes.every((size) => size >= 1_000_000 && size <= 100_000_000))
    throw new Obstacle('Say it like `npm run bench -- B3 1000000,10000000 10`: a million to a hundred million.')
  const dir = mkdtempSync(`${tmpdir()}/portolan-bench-`)
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  chmodSync(dir, 0o755) // the postgres user has to enter
  const postgres = await startOwnPostgres({ dir: `${dir}/postgres`, port: await freePort(25_950), settings: SETTINGS })
  stack.defer(() => postgres.release())
  const redis = await startOwnRedis({ dir: `${dir}/redis`, port: await freePort(26_950) })
  stack.defer(() => redis.release())
  const measured: Size[] = []
  for (const reservations of sizes) {
    say(`· ${reservations} reservations`)
    await using own = new AsyncDisposableStack()
    const { queryApi } = await prepareDatabases(postgres.url, 'bench')
    own.defer(() => dropDatabases(postgres.url).then(() => undefined))
    const admin = new pg.Client(urlOf(postgres.url, READ_DATABASE))
    await admin.connect()
    own.defer(() => admin.end())
    const loaded = await loadSearchData(admin, reservations)
    say(
      `· ${loaded.reservations} reservations in ${Math.round(loaded.seconds)} s; ${Math.round(loaded.reservationsMB + loaded.indexMB + loaded.propertiesMB)} MB on disk, of which the index ${Math.round(loaded.indexMB)} MB; ${Math.round(loaded.occupied * 100)} % of the nights sold`,
    )
    await compareWithPlainQuery(admin)
    const { url } = await startBenchProcess(own, {
      entry: 'query-api/src/main.ts',
      portVariable: 'QUERY_API_PORT',
      env: { ...loadSecrets(`${dir}/secrets.json`), READ_DATABASE_URL: queryApi, REDIS_URL: redis.url },
      log: openSync(`${dir}/query-api.log`, 'a'),
    })
    const results: SearchLoadResult[] = []
    for (const { name: _, ...kind } of KINDS) {
      const options: SearchLoad = { clients: CLIENTS, seconds, ...kind, url: kind.how === 'http' ? url : queryApi }
      const result = await startLoad<SearchLoadResult>(own, 'search-load.ts', options).result
      if (Object.keys(result.unexpected).length > 0)
        throw new Obstacle(
          `Answers that nobody expected: ${JSON.stringify(result.unexpected)}; this run has no figures.`,
        )
      results.push(result)
      say(
        `·   ${KINDS[results.length - 1]?.name}: p50 ${result.p50Ms.toFixed(1)}, p99 ${result.p99Ms.toFixed(1)} ms, ${result.perSecond.toFixed(0)}/s`,
      )
    }
    measured.push({ loaded, results })
  }
  report(measured, seconds)
}

/** A search that is fast and wrong has no figure. */
async function compareWithPlainQuery(admin: pg.Client): Promise<void> {
  await admin.query("set portolan.tenant = 'stays'")
  let found = 0
  for (let nth = 0; nth < 20; nth += 1) {
    const from = nth * 17
    const after = nth % 2 ? propertyId(nth * 47_000) : ''
    const { rows } = await admin.query<{ found: string[]; expected: string[] }>(
      `select array(select property_id from search_stays('stays', date '${FIRST_DAY}' + $1::int, date '${FIRST_DAY}' + $1::int + $2::int, $3, 50,
          null, null, null, null, null, null, null, null, null)) as found,
        array(select p.property_id::text from stays_1.stay_properties p where p.property_id > $3 collate "C" and not exists (
          select from stays_1.stay_reservations r where r.tenant_id = 'stays' and r.property_id = p.property_id and r.status = 'reserved'
            and r.start_date < date '${FIRST_DAY}' + $1::int + $2::int and r.start_date + r.nights > date '${FIRST_DAY}' + $1::int)
          order by p.property_id limit 50) as expected`,
      [from, 1 + (nth % 7), after],
    )
    const [row] = rows
    found += row?.found.length ?? 0
    if (JSON.stringify(row?.found) !== JSON.stringify(row?.expected))
      throw new Obstacle(`The search and the plain query disagree: ${JSON.stringify(row)}`)
  }
  if (found === 0) throw new Obstacle('Nothing was free in any of the searches: they show nothing.')
}

function report(sizes: readonly Size[], seconds: number): void {
  const [first] = sizes
  const last = sizes.at(-1)
  const heads = sizes.map(({ loaded }) => `${(loaded.reservations / 1e6).toFixed(0)} M: p50 / p99 ms, per s`)
  const rows = KINDS.map(({ name }, nth) => {
    const cells = sizes.map(({ results }) => {
      const result = results[nth]
      return result ? `${result.p50Ms.toFixed(1)} / ${result.p99Ms.toFixed(1)}, ${result.perSecond.toFixed(0)}` : ''
    })
    return `| ${name} | ${cells.join(' | ')} |`
  })
  const p99 = (size: Size | undefined) => size?.results[0]?.p99Ms ?? Number.NaN
  const growth = p99(last) / p99(first)
  publish({
    bench: 'B3',
    conditions: [
      `${PROPERTIES} properties; ${CLIENTS} clients in a closed loop, pages of 50, stays of 1 to 7 nights; ${seconds} s each after 2 s of warm-up`,
      ...sizes.map(
        ({ loaded }) =>
          `${loaded.reservations} reservations, loaded in ${Math.round(loaded.seconds)} s: reservations ${Math.round(loaded.reservationsMB)} MB, index ${Math.round(loaded.indexMB)} MB, properties ${Math.round(loaded.propertiesMB)} MB with their indexes; ${(loaded.occupied * 100).toFixed(1)} % of the nights sold, ${FULL_PROPERTIES} properties full`,
      ),
      'Postgres and Redis of its own on this machine, query-api with its default settings; the load runs beside them on the same processors',
      'what searches read is in memory before the first of them (pg_prewarm), what was loaded is on the disk',
      'verified before each size: 20 pages are those of the plain query',
    ],
    figures: [],
    table: [
      `| | ${heads.join(' | ')} |`,
      `| --- |${' ---: |'.repeat(sizes.length)}`,
      ...rows,
      '',
      `p99 of a page somewhere at the last size: ${p99(last).toFixed(1)} ms (≤ 20: ${p99(last) <= 20 ? 'met' : 'missed'}); of the first size's: ${growth.toFixed(2)} (≤ 2: ${growth <= 2 ? 'met' : 'missed'})`,
    ].join('\n'),
    details: { sizes, kinds: KINDS },
  })
}

await runEntry(() => withinProcess(measure))
