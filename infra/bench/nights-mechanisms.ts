/**
 * Candidates for selling a night once, each as the SQL of one table and one function. Everything else about a reservation (its event, its
 * stream's row, positions) is the same for all of them and left out.
 */

export interface Mechanism {
  name: 'exclusion' | 'nights' | 'months' | 'years'
  /** For the reader of the table. */
  how: string
  /** Creates `held` without what makes it slow to fill. */
  table: string
  /** From `reservations(id, property, start, nights)`. */
  fill: string
  /** What is added once it is filled. */
  finish: string
  /** Creates `reserve(uuid, date, int)`, true when all nights were free and are taken now. */
  reserve: string
  /** Nights of [asked.start, asked.start + asked.nights) that property `p.id` has sold; a subquery for `not exists`. */
  taken: string
}

/** Within a savepoint, as each command of a group is; so the others have one too. */
const reserveBody = (declares: string, statements: string, violation: string) => `
  create function reserve(wanted uuid, start date, nights int) returns boolean language plpgsql as $$
  declare ${declares}
  begin
    ${statements}
    perform nextval('accepted');
    return true;
  exception when ${violation} then return false;
  end $$`

/** Month number since year 0, and a bit per night of it: day 1 is bit 0. */
const monthMasks = `
  create function asked_months(start date, nights int) returns table (month int, mask int) language sql immutable as $$
    select extract(year from first)::int * 12 + extract(month from first)::int - 1,
      (((1::bigint << (until - since)) - 1) << (since - first))::int
    from generate_series(date_trunc('month', start), start + nights - 1, interval '1 month') as t (at),
      lateral (select t.at::date as first) f,
      lateral (select greatest(start, first) as since, least(start + nights, (first + interval '1 month')::date) as until) s
    order by 1
  $$`

/** Year, and a bit per night of it: 1 January is the first. */
const yearMasks = `
  create function asked_years(start date, nights int) returns table (year int, mask bit(366)) language sql immutable as $$
    select extract(year from first)::int,
      ((~ repeat('0', 366)::bit(366)) << (366 - (until - since))) >> (since - first)
    from generate_series(date_trunc('year', start), start + nights - 1, interval '1 year') as t (at),
      lateral (select t.at::date as first) f,
      lateral (select greatest(start, first) as since, least(start + nights, (first + interval '1 year')::date) as until) s
    order by 1
  $$`

const takeBits = (span: 'month' | 'year', none: string) => `
  for asked in select * from asked_${span}s(start, nights) loop
    insert into held as h values (wanted, asked.${span}, asked.mask)
    on conflict (property, ${span}) do update set bits = h.bits | excluded.bits where h.bits & excluded.bits = ${none};
    if not found then raise exclusion_violation; end if;
  end loop;`

const noNight = `repeat('0', 366)::bit(366)`

export const mechanisms: readonly Mechanism[] = [
  {
    name: 'exclusion',
    how: 'exclusion constraint over property and date range (GiST, btree_gist)',
    table: `create extension if not exists btree_gist;
      create table held (reservation uuid not null, property uuid not null, period daterange not null)`,
    fill: 'insert into held select id, property, daterange(start, start + nights) from reservations',
    finish: 'alter table held add exclude using gist (property with =, period with &&)',
    reserve: reserveBody(
      'id constant uuid := gen_random_uuid();',
      'insert into held values (id, wanted, daterange(start, start + nights));',
      'exclusion_violation',
    ),
    taken: `select from held h where h.property = p.id and h.period && daterange(asked.start, asked.start + asked.nights)`,
  },
  {
    name: 'nights',
    how: 'one row per night, primary key (property, night)',
    table: 'create table held (property uuid not null, night date not null, reservation uuid not null)',
    fill: 'insert into held select property, start + n, id from reservations, generate_series(0, nights - 1) n',
    finish: 'alter table held add primary key (property, night)',
    reserve: reserveBody(
      'id constant uuid := gen_random_uuid();',
      'insert into held select wanted, start + n, id from generate_series(0, nights - 1) n;',
      'unique_violation',
    ),
    taken: `select from held h
      where h.property = p.id and h.night >= asked.start and h.night < asked.start + asked.nights`,
  },
  {
    name: 'months',
    how: 'one row per property and month with a bit per night, updated where none of the wanted is set',
    table: `${monthMasks}; create table held (property uuid not null, month int not null, bits int not null) with (fillfactor = 80)`,
    fill: `insert into held select property, month, bit_or(mask)
      from reservations, asked_months(start, nights) group by property, month`,
    finish: 'alter table held add primary key (property, month)',
    reserve: reserveBody('asked record;', takeBits('month', '0'), 'exclusion_violation'),
    taken: `select from asked_months(asked.start, asked.nights) a
      join held h on h.property = p.id and h.month = a.month where h.bits & a.mask <> 0`,
  },
  {
    name: 'years',
    how: 'one row per property and year with a bit per night, updated where none of the wanted is set',
    table: `${yearMasks}; create table held (property uuid not null, year int not null, bits bit(366) not null) with (fillfactor = 80)`,
    fill: `insert into held select property, year, bit_or(mask)
      from reservations, asked_years(start, nights) group by property, year`,
    finish: 'alter table held add primary key (property, year)',
    reserve: reserveBody('asked record;', takeBits('year', noNight), 'exclusion_violation'),
    taken: `select from asked_years(asked.start, asked.nights) a
      join held h on h.property = p.id and h.year = a.year where h.bits & a.mask <> ${noNight}`,
  },
]
