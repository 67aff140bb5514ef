/** Whether every 200 is one event and one bit, and nothing else is: a figure counts only then. */
import type pg from 'pg'
import { Obstacle } from '../launch/say.ts'
import type { ReserveLoadResult } from './reserve-load.ts'
import type { ReserveSystem } from './reserve-system.ts'

/** What was found, each of them a count. */
export interface Verified {
  answered: number
  events: number
  nights: number
  keys: number
}

/**
 * Compares what was answered with the log, the nights and the idempotency records, one by one. Throws an Obstacle that names the first
 * difference. withKeys: every request had one.
 */
export async function verifyReservations(
  { admin, acceptedFiles }: ReserveSystem,
  { withKeys }: { withKeys: boolean },
): Promise<Verified> {
  await admin.query('create temp table answered (id text, property text, day date)')
  for (const file of acceptedFiles) await admin.query(`copy answered from '${file}'`)
  await admin.query('create index on answered (id); analyze answered')
  const verified = {
    answered: await count(admin, 'select count(distinct id) from answered'),
    events: await count(admin, `select count(*) from events where tenant_id = 'stays'`),
    nights: await count(
      admin,
      `select coalesce(sum(bit_count(taken::bit(32))), 0) from stay_months where tenant_id = 'stays'`,
    ),
    keys: await count(
      admin,
      `select count(distinct reference) from idempotency_keys where tenant_id = 'stays' and rejection is null`,
    ),
  }
  for (const [what, differences] of Object.entries(differing)) {
    const found = await count(admin, differences)
    if (found > 0) throw new Obstacle(`${found} ${what}: this run has no figures.`)
  }
  const { answered, events, nights, keys } = verified
  if (new Set([answered, events, nights, ...(withKeys ? [keys] : [])]).size > 1)
    throw new Obstacle(`Answers, events, nights and keys differ (${JSON.stringify(verified)}): no figures.`)
  return verified
}

/** Throws an Obstacle when there was another answer than 200 and not_available. */
export function requireExpected({ unexpected }: ReserveLoadResult): void {
  if (Object.keys(unexpected).length > 0)
    throw new Obstacle(`Unexpected answers (${JSON.stringify(unexpected)}): this run has no figures.`)
}

const sold = `
  select data ->> 'reservationId' as id, data ->> 'propertyId' as property, (data ->> 'startDate')::date as day
  from events where tenant_id = 'stays' and type = 'StayReserved'`

/** Each counts what must not be there. */
const differing: Readonly<Record<string, string>> = {
  'answers and events do not belong to each other': `
    select count(*) from answered a full join (${sold}) e on e.id = a.id and e.property = a.property and e.day = a.day
    where a.id is null or e.id is null`,
  'nights were sold twice': `select count(*) - count(distinct (property, day)) from (${sold}) e`,
  'months hold other nights than were sold': `
    select count(*) from (select property_id, month, taken from stay_months where tenant_id = 'stays') m
    full join (
      select property, (extract(year from day) * 12 + extract(month from day) - 1)::integer as month,
        bit_or(1 << (extract(day from day)::integer - 1)) as taken
      from (${sold}) e group by 1, 2
    ) e on e.property = m.property_id and e.month = m.month and e.taken = m.taken
    where m.month is null or e.month is null`,
  'partitions of the log have holes': `
    select count(*) from log_heads h
    where h.position <> (select count(*) from events e where e.topic = h.topic and e.partition = h.partition)`,
}

async function count(client: pg.Client, text: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`select (${text}) as count`)
  return Number(rows[0]?.count)
}
