/** The load of B3, a process of its own: clients in a closed loop who search for random dates, over HTTP or by SQL alone. */
import { randomUUID } from 'node:crypto'
import { withTenant } from '@portolan/infra/postgres.ts'
import { dayNumber, dayText } from '@portolan/schemas/stays/periods.ts'
import pg from 'pg'
import { openWire } from './http-wire.ts'
import { quantile } from './quantile.ts'
import { DAYS, FIRST_DAY, FULL_PROPERTIES, PROPERTIES, propertyId } from './search-data.ts'

export interface SearchLoad {
  /** http: query-api; function: its SQL alone; 'not exists': the query that nothing was built for, as yardstick. */
  how: 'http' | 'function' | 'not exists'
  /** Of query-api, or of the read database as its role. */
  url: string
  clients: number
  seconds: number
  /** first: from the first property on, behind the full ones. middle: from a random one on. */
  page: 'first' | 'middle'
  /** Further parameters of the request. */
  filter: string
}

export interface SearchLoadResult {
  perSecond: number
  p50Ms: number
  p99Ms: number
  searches: number
  /** Properties a page, on the average. */
  found: number
  /** Anything but 200 and 404. */
  unexpected: Record<string, number>
}

const LIMIT = 50
const NIGHTS_MAX = 7
const WARM_UP_SECONDS = 2
const notExistsSql = `
  select p.property_id, p.description from read_models.stay_properties p
  where p.tenant_id = $1 and not p.is_retired and p.property_id > $4 and not exists (
    select from read_models.stay_reservations r
    where r.tenant_id = $1 and r.property_id = p.property_id and r.status = 'reserved'
      and r.start_date > $2::date - 366 and r.start_date < $3::date and r.start_date + r.nights > $2::date)
  order by p.property_id limit $5`

const load = JSON.parse(process.argv[2] ?? '{}') as SearchLoad
const durations: number[] = []
const unexpected: Record<string, number> = {}
let found = 0
const measuresFrom = performance.now() + WARM_UP_SECONDS * 1000
const endsAt = measuresFrom + load.seconds * 1000
const random = (until: number) => Math.floor(Math.random() * until)

/** Within the first year, so that the whole stay lies where reservations are. */
function wanted(): { startDate: string; nights: number; after: string } {
  const nights = 1 + random(NIGHTS_MAX)
  const startDate = dayText(dayNumber(FIRST_DAY) + 30 + random(DAYS - 135))
  const after = load.page === 'first' ? '' : propertyId(FULL_PROPERTIES + random(PROPERTIES - 2 * FULL_PROPERTIES))
  return { startDate, nights, after }
}

type Search = (asked: ReturnType<typeof wanted>) => Promise<{ status: number; found: number }>

async function openHttp(): Promise<Search> {
  const wire = await openWire(load.url)
  const head = `Authorization: Bearer ${randomUUID()}\r\n`
  return async ({ startDate, nights, after }) => {
    const cursor = after ? `&cursor=${Buffer.from(JSON.stringify([after])).toString('base64url')}` : ''
    const path = `/api/v1/properties/available?start_date=${startDate}&nights=${nights}&limit=${LIMIT}${load.filter}${cursor}`
    const { status, body } = await wire.get(path, head)
    return { status, found: body.split('"property_id"').length - 1 }
  }
}

async function openSql(): Promise<Search> {
  const client = new pg.Client({ connectionString: load.url, pipeline: true })
  await client.connect()
  const text =
    load.how === 'function'
      ? `select property_id from search_stays($1, $2::date, $3::date, $4, $5, null, null, null, null, null, null, null, null, null)`
      : notExistsSql
  return async ({ startDate, nights, after }) => {
    const until = dayText(dayNumber(startDate) + nights)
    const [page] = await withTenant(client, 'stays', [
      { name: 'search', text, values: ['stays', startDate, until, after, LIMIT] },
    ])
    return { status: 200, found: page?.rowCount ?? 0 }
  }
}

async function client(): Promise<void> {
  const search = await (load.how === 'http' ? openHttp() : openSql())
  while (performance.now() < endsAt) {
    const asked = wanted()
    const sentAt = performance.now()
    const answer = await search(asked)
    const now = performance.now()
    if (answer.status !== 200 && answer.status !== 404) unexpected[answer.status] = (unexpected[answer.status] ?? 0) + 1
    if (sentAt < measuresFrom || now > endsAt) continue
    durations.push(now - sentAt)
    found += answer.found
  }
}

await Promise.all(Array.from({ length: load.clients }, client))
const result: SearchLoadResult = {
  perSecond: durations.length / load.seconds,
  p50Ms: quantile(durations, 0.5),
  p99Ms: quantile(durations, 0.99),
  searches: durations.length,
  found: found / durations.length,
  unexpected,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(0)
