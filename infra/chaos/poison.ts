/**
 * A read model that cannot apply one member's bookings, as under a faulty release, until that is repaired and an operator has their
 * streams retried. Whatever else is parked by then stays parked, for the invariants to find.
 */
import { waitUntil } from '../launch/wait.ts'
import type { Laboratory } from './laboratory.ts'

const PROJECTION = 'booking_details'
const CONSTRAINT = 'broken_release'
const LOOK_MS = 200
const TRIES = 10
const AGAIN_AFTER_MS = 1_000
/** Longer than a process is held still with a transaction open. */
const OLDER_END_WITHIN_MS = 60_000

interface Victim {
  tenant: string
  member: string
}

interface Course {
  forMs: number
  /** Resolves early when the run is given up. */
  last(ms: number): Promise<void>
  isOver(): boolean
}

/** Resolves once everything is repaired, with what was parked at its worst: nothing when the run was over before. */
export async function poison(
  lab: Laboratory,
  course: Course,
): Promise<{ victim: Victim | undefined; parked: string[] }> {
  const victim = await untilFound(course, () => newestBooker(lab))
  const model = await untilFound(course, () => liveDetails(lab))
  if (!victim || !model) return { victim, parked: [] }
  const parkedNow = () => parkedOf(lab, victim)
  try {
    const refused = `check (member_id <> '${victim.member}') not valid`
    const change = `drop constraint if exists ${CONSTRAINT}, add constraint ${CONSTRAINT} ${refused}`
    const isBroken = await untilFound(course, async () => {
      await onDetails(lab, model, change)
      return true
    })
    // Whoever follows the log may be rejoining its group.
    const isParked = isBroken && (await untilFound(course, async () => (await parkedNow()).length > 0 || undefined))
    if (!isParked) return { victim, parked: [] }
    await course.last(course.forMs)
    return { victim, parked: await again(parkedNow) }
  } finally {
    await again(() => onDetails(lab, model, `drop constraint if exists ${CONSTRAINT}`))
    await untilOlderEnd(lab)
    await retryAll(lab, model, victim)
  }
}

/** What it finds, however long that takes; a server may be away. Undefined when the run is over before. */
async function untilFound<T>({ last, isOver }: Course, find: () => Promise<T | undefined>): Promise<T | undefined> {
  while (!isOver()) {
    const found = await find().catch(() => undefined)
    if (found !== undefined) return found
    await last(LOOK_MS)
  }
  return undefined
}

/** Whoever booked last: more happens to that booking. */
async function newestBooker({ query, writeUrl }: Laboratory): Promise<Victim | undefined> {
  const [victim] = await query<Victim>(
    writeUrl,
    `select tenant_id as tenant, data ->> 'memberId' as member from events
     where type = 'BookingRequested' order by recorded_at desc limit 1`,
  )
  return victim
}

interface Model {
  schema: string
  version: number
}

/** The live version. */
async function liveDetails({ query, readUrl }: Laboratory): Promise<Model | undefined> {
  const [row] = await query<Model>(
    readUrl,
    `select name || '_' || version as schema, version from projection_versions where name = $1 and status = 'live'`,
    [PROJECTION],
  )
  return row
}

/** The table is in use, so this may fail. */
async function onDetails(lab: Laboratory, { schema }: Model, change: string): Promise<void> {
  await lab.query(lab.readUrl, `set lock_timeout = '2s'; alter table ${schema}.booking_details ${change}`)
}

/** Streams of the member that the read model has parked. */
async function parkedOf({ query, readUrl, writeUrl }: Laboratory, { tenant, member }: Victim): Promise<string[]> {
  const own = await query<{ stream: string }>(
    writeUrl,
    `select stream from events where type = 'BookingRequested' and tenant_id = $1 and data ->> 'memberId' = $2`,
    [tenant, member],
  )
  const parked = await query<{ stream: string }>(
    readUrl,
    'select stream from parked_streams where projection = $1 and tenant_id = $2 and stream = any($3) order by 1',
    [PROJECTION, tenant, own.map(({ stream }) => stream)],
  )
  return parked.map(({ stream }) => stream)
}

/**
 * A transaction that met the constraint holds no lock on the table any more once it has gone back to its savepoint, and parks after the
 * repair. It began before that.
 */
async function untilOlderEnd({ query, readUrl }: Laboratory): Promise<void> {
  const repaired = await again(() => query<{ at: string }>(readUrl, 'select clock_timestamp()::text as at'))
  const haveEnded = async () => {
    const older = await query(
      readUrl,
      `select pid from pg_stat_activity
       where datname = current_database() and backend_type = 'client backend' and xact_start < $1 and pid <> pg_backend_pid()`,
      [repaired[0]?.at],
    )
    return older.length === 0
  }
  const isAll = await waitUntil(haveEnded, { withinMs: OLDER_END_WITHIN_MS, everyMs: LOOK_MS })
  if (!isAll) throw new Error('transactions from before the repair do not end')
}

async function retryAll(lab: Laboratory, { version }: Model, victim: Victim): Promise<void> {
  await again(async () => {
    for (const stream of await parkedOf(lab, victim))
      await lab.runEntry(
        'infra/ops/main.ts',
        ['retry', `${PROJECTION}.v${version}`, stream, '--tenant', victim.tenant],
        lab.opsEnv,
      )
  })
}

/** Other faults go on meanwhile. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left === 1) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS))
    }
  }
}
