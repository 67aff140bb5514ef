/**
 * The data of B3: a million properties, and as many reservations as asked for over 560 days, written set by set into the tables of the read
 * model. The first ten thousand properties have no free night in all that time. At a hundred million reservations seven of eight others are sold for
 * 70 % of it, one for 18 %: somebody is always free for a week.
 */
import { execFileSync } from 'node:child_process'
import type pg from 'pg'
import { say } from '../launch/say.ts'

export const PROPERTIES = 1_000_000
export const FULL_PROPERTIES = 10_000
export const FIRST_DAY = '2029-01-01'
export const DAYS = 560

/** As a block that has been split now and then. */
const BLOCK_FILL = 768
const FULL_STAY_NIGHTS = 5
const CHUNKS = 25

export interface Loaded {
  reservations: number
  seconds: number
  reservationsMB: number
  indexMB: number
  propertiesMB: number
  /** Share of the nights that are sold of the properties that are not full. */
  occupied: number
}

/** Property `n` by id: in the order of ids. */
export const propertyId = (n: number): string => `p${String(n).padStart(7, '0')}`

/** Of properties that are not full, `k` from 0 up to `perProperty`. nights and start as SQL, in one place for rows and bits. */
const stays = (perProperty: number) => {
  const step = Math.floor(DAYS / perProperty)
  const hash = `abs(hashint4(n * 131 + k))`
  const nights = `(array[2, 3, 3, 3, 4, 4, 4, 4, 4, 4])[1 + ${hash} % 10]`
  return `select n, k, start_day, nights from
    (select n, k, nights, k * ${step} + (${hash} / 10) % (${step} - nights + 1) as start_day
     from (select n, k, ${nights} as nights from numbers where ${perProperty < 4} or n % 8 <> 0 or (k + n / 8) % 4 = 0) as s) as s`
}

/** Fills empty tables. `reservations`: at least a million. Rejects when a statement fails. */
export async function loadSearchData(admin: pg.Client, reservations: number): Promise<Loaded> {
  const startedAt = performance.now()
  const perProperty = Math.max(1, Math.round((reservations / PROPERTIES) * (DAYS / 500)))
  await admin.query("set synchronous_commit = off; set work_mem = '1GB'; set maintenance_work_mem = '2GB'")
  await loadProperties(admin)
  say(`· ${PROPERTIES} properties after ${seconds(startedAt)} s`)
  await loadReservations(admin, perProperty)
  say(`· reservations after ${seconds(startedAt)} s`)
  await loadNights(admin, perProperty)
  say(`· nights after ${seconds(startedAt)} s`)
  await admin.query('vacuum (analyze) stays_1.stay_properties, stays_1.stay_reservations')
  await admin.query('vacuum (analyze) stays_1.index_blocks, stays_1.index_places, stays_1.index_nights')
  await admin.query('checkpoint')
  const loadedAfterS = (performance.now() - startedAt) / 1000
  await settle(admin)
  return { ...(await measureTables(admin)), seconds: loadedAfterS }
}

async function loadProperties(admin: pg.Client): Promise<void> {
  await admin.query(`
    insert into stays_1.stay_properties
    select 'stays', 'p' || lpad(n::text, 7, '0'),
      (array['Spacious', 'Quiet', 'Sunny', 'Old', 'Modern'])[1 + n % 5] || ' '
        || (array['villa', 'studio', 'condo', 'house', 'cabin', 'loft', 'barn'])[1 + n % 7]
        || case when n % 100000 = 77 then ' up in a treehouse' when n % 5000 = 78 then ' beside a lighthouse' else ' close to town' end || ', no. ' || n,
      1 + abs(hashint4(n)) % 12, abs(hashint4(n + 1)) % 100000, 'USD',
      -60 + abs(hashint4(n + 2)) % 12000 / 100.0, -180 + abs(hashint4(n + 3)) % 36000 / 100.0, false, 1
    from generate_series(0, ${PROPERTIES - 1}) as n`)
  await admin.query(`
    insert into stays_1.index_places
    select 'stays', 'p' || lpad(n::text, 7, '0'), 1 + n / ${BLOCK_FILL}, n % ${BLOCK_FILL} from generate_series(0, ${PROPERTIES - 1}) as n`)
  await admin.query(`
    insert into stays_1.index_blocks
    select tenant_id, case when block = 1 then '' else min(property_id) end, block, bits, bits from (
      select tenant_id, property_id, block, bit_or(set_bit(repeat('0', 1024)::bit(1024), slot, 1)) over (partition by block) as bits
      from stays_1.index_places) as p
    group by tenant_id, block, bits`)
}

async function loadReservations(admin: pg.Client, perProperty: number): Promise<void> {
  await admin.query(`
    alter table stays_1.stay_reservations drop constraint stay_reservations_pkey;
    drop index stays_1.stay_reservations_by_property;
    alter table stays_1.stay_reservations set (autovacuum_enabled = off)`)
  const insert = (source: string) => `
    insert into stays_1.stay_reservations
    select 'stays', ('01900000-0000-7000-8000-' || lpad(to_hex(k::bigint * ${PROPERTIES} + n), 12, '0'))::uuid,
      'p' || lpad(n::text, 7, '0'), date '${FIRST_DAY}' + start_day, nights, 'reserved', 1
    from (${source}) as s`
  await admin.query(insert(fullStays(0, FULL_PROPERTIES - 1)))
  // The oldest first, as they were made.
  for (let k = 0; k < perProperty; k += 1) {
    const numbers = `select n, ${k} as k from generate_series(${FULL_PROPERTIES}, ${PROPERTIES - 1}) as n`
    await admin.query(insert(`with numbers as (${numbers}) ${stays(perProperty)}`))
    if ((k + 1) % 10 === 0) say(`·   ${k + 1} of ${perProperty} reservations of each property`)
  }
  await admin.query(`
    alter table stays_1.stay_reservations add constraint stay_reservations_pkey primary key (tenant_id, reservation_id);
    create index stay_reservations_by_property on stays_1.stay_reservations (tenant_id, property_id, start_date, reservation_id)
      include (nights) where status = 'reserved'`)
}

async function loadNights(admin: pg.Client, perProperty: number): Promise<void> {
  const blocks = Math.ceil(PROPERTIES / BLOCK_FILL)
  const blocksPerChunk = Math.ceil(blocks / CHUNKS)
  for (let first = 0; first < blocks; first += blocksPerChunk) {
    const [from, to] = [first * BLOCK_FILL, Math.min(PROPERTIES, (first + blocksPerChunk) * BLOCK_FILL) - 1]
    const numbers = `select n, k from generate_series(${Math.max(from, FULL_PROPERTIES)}, ${to}) as n, generate_series(0, ${perProperty - 1}) as k`
    await admin.query(`
      insert into stays_1.index_nights
      select 'stays', 1 + n / ${BLOCK_FILL}, date '${FIRST_DAY}' + start_day + nth,
        bit_or(set_bit(repeat('0', 1024)::bit(1024), n % ${BLOCK_FILL}, 1))
      from (
        (${fullStays(from, Math.min(to, FULL_PROPERTIES - 1))}) union all (with numbers as (${numbers}) ${stays(perProperty)})
      ) as s, generate_series(0, nights - 1) as nth
      group by 2, 3 order by 2, 3`)
  }
}

/** Night after night of the full properties among these. */
const fullStays = (from: number, to: number) =>
  `select n, k, k * ${FULL_STAY_NIGHTS} as start_day, ${FULL_STAY_NIGHTS} as nights
   from generate_series(${from}, ${to}) as n, generate_series(0, ${DAYS / FULL_STAY_NIGHTS - 1}) as k`

async function measureTables(admin: pg.Client): Promise<Omit<Loaded, 'seconds'>> {
  const { rows } = await admin.query<{ name: string; bytes: number; rows: number }>(
    `select relname as name, pg_total_relation_size(c.oid)::float8 as bytes, reltuples::float8 as rows
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = 'stays_1' and relkind = 'r'`,
  )
  const megabytes = (...names: string[]) =>
    rows.filter(({ name }) => names.includes(name)).reduce((sum, { bytes }) => sum + bytes / 2 ** 20, 0)
  const { rows: nights } = await admin.query<{ taken: number }>(
    `select sum(nights)::float8 as taken from stays_1.stay_reservations where property_id >= $1`,
    [propertyId(FULL_PROPERTIES)],
  )
  const { rows: counted } = await admin.query<{ count: number }>(
    'select count(*)::float8 as count from stays_1.stay_reservations',
  )
  return {
    reservations: counted[0]?.count ?? 0,
    reservationsMB: megabytes('stay_reservations'),
    indexMB: megabytes('index_nights', 'index_blocks', 'index_places'),
    propertiesMB: megabytes('stay_properties'),
    occupied: (nights[0]?.taken ?? 0) / ((PROPERTIES - FULL_PROPERTIES) * DAYS),
  }
}

/** As after a day of searches: what was loaded lies on the disk, and what searches read lies in memory. */
async function settle(admin: pg.Client): Promise<void> {
  execFileSync('sync')
  await admin.query('create extension if not exists pg_prewarm')
  await admin.query(
    `select pg_prewarm(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'stays_1' and c.relkind in ('r', 'i') and c.relname not like 'stay_reservations%'`,
  )
}

const seconds = (since: number) => Math.round((performance.now() - since) / 1000)
