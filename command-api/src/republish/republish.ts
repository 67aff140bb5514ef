/**
 * Republishing the log after the store was restored to an earlier point (decision 0014).
 *
 *   start ──► mark bookings, a page at a time ──► mark members, likewise ──► the generation begins
 *
 * From its start on no claim is granted, so a booking that is marked cannot have a call granted behind the mark. Every piece may be
 * repeated, by any process: what is done is kept in `log_republications` and in the streams themselves. When the generation has
 * begun the relay compares nothing any more and sends everything to new topics; claims are granted once it has taken them over.
 */
import type { Republication, RepublishRequest } from '@portolan/schemas/ops/views.ts'
import { LOG_STREAM, memberAccountStream, topics } from '@portolan/schemas/topics.ts'
import type pg from 'pg'
import type { EventStore } from '../event-store/event-store.ts'
import type { CommandContext } from '../event-store/handle-command.ts'
import { PLATFORM_TENANT } from '../platform-tenant.ts'
import { beginGeneration, logStreamType, startRepublication } from './log-stream.ts'

export interface LostHistory {
  /** The generation that is to begin. */
  generation: number
  /** Events that Kafka held and the store did not know; 0: none that anybody knows of. */
  lostEvents: number
}

export interface RepublishDeps {
  store: Pick<EventStore, 'handle'>
  pool: pg.Pool
  /** Marks what may have gone on in the lost time. Whether it was marked now: it may have ended, or be marked. */
  markBooking(context: CommandContext, stream: string, lost: LostHistory): Promise<boolean>
  markMember(context: CommandContext, memberId: string, lost: LostHistory): Promise<void>
}

type Context = Omit<CommandContext, 'tenantId'>

/** Streams or members that one call looks at, and how many of them are marked together. */
const PAGE = 500
const TOGETHER = 60

interface Progress {
  current: number
  preparing: number | null
  looked_at: number
  marked: number
  looked_at_tenant: string
  looked_at_stream: string
  looked_at_members_tenant: string
  looked_at_member: string
  marked_members: number
  lost: number
}

/**
 * Does the next piece. by: `staff:<account id>`.
 * Rejects: conflict when another generation is due; unavailable while the relay has not compared the whole log with Kafka.
 */
export async function republishPiece(
  deps: RepublishDeps,
  context: Context,
  by: string,
  { generation, reason }: RepublishRequest,
): Promise<Republication> {
  let progress = await readProgress(deps.pool, generation)
  if (progress.current >= generation) return answer(progress, generation, 'begun')
  if (progress.preparing !== generation) {
    await start(deps, context, { generation, by, reason })
    progress = await readProgress(deps.pool, generation)
  }
  const isMarking =
    (await markPage(deps, context, generation, progress)) || (await markMembers(deps, context, generation, progress))
  if (isMarking) return answer(await readProgress(deps.pool, generation), generation, 'marking')
  const { marked, marked_members: markedMembers, lost } = await readProgress(deps.pool, generation)
  await deps.store.handle({
    context: { ...context, tenantId: PLATFORM_TENANT },
    streams: { log: { type: logStreamType, stream: LOG_STREAM } },
    decide: ({ log }, now) => {
      const command = { generation, by, lostEvents: lost, markedBookings: marked, markedMembers }
      const events = beginGeneration(log, command, now)
      return {
        events: { log: events },
        effects: events.length > 0 ? [effectOf('raise_log_generation', { generation })] : [],
      }
    },
  })
  return answer(await readProgress(deps.pool, generation), generation, 'begun')
}

/** Commits by itself: it changes what others in its group look at. */
const effectOf = (name: string, args: Record<string, unknown>) => ({ name, args, alone: true })

async function start(
  { store }: RepublishDeps,
  context: Context,
  command: { generation: number; by: string; reason: string },
): Promise<void> {
  await store.handle({
    context: { ...context, tenantId: PLATFORM_TENANT },
    streams: { log: { type: logStreamType, stream: LOG_STREAM } },
    decide: ({ log }, now) => {
      const events = startRepublication(log, command, now)
      return { events: { log: events }, effects: events.length > 0 ? [effectOf('begin_republication', command)] : [] }
    },
  })
}

/** Looks at the next page of bookings and marks those that have not ended, or that Kafka knew more of. False: there was none left. */
async function markPage(deps: RepublishDeps, context: Context, generation: number, from: Progress): Promise<boolean> {
  const { rows } = await deps.pool.query<{ tenant_id: string; stream: string; is_unended: boolean; lost: number }>(
    `select u.tenant_id, u.stream, u.is_unended,
       (select count(*)::int from lost_events l
        where l.tenant_id = u.tenant_id and l.stream = u.stream and l.generation = $4) as lost
     from unended_bookings($1, $2, $3) u
     order by u.tenant_id, u.stream`,
    [from.looked_at_tenant, from.looked_at_stream, PAGE, generation - 1],
  )
  const last = rows.at(-1)
  if (!last) return false
  const doubtful = rows.filter((row) => row.is_unended || row.lost > 0)
  let marked = 0
  for (let i = 0; i < doubtful.length; i += TOGETHER) {
    const done = await Promise.all(
      doubtful
        .slice(i, i + TOGETHER)
        .map(({ tenant_id: tenantId, stream, lost: lostEvents }) =>
          deps.markBooking({ ...context, tenantId }, stream, { generation, lostEvents }),
        ),
    )
    marked += done.filter(Boolean).length
  }
  await deps.pool.query(
    `update log_republications
     set looked_at_tenant = $2, looked_at_stream = $3, looked_at = looked_at + $4, marked = marked + $5
     where generation = $1 and (looked_at_tenant, looked_at_stream) < ($2, $3)`,
    [generation, last.tenant_id, last.stream, rows.length, marked],
  )
  return true
}

/**
 * Marks the next page of members of whom Kafka holds events that the store does not know: of their accounts, or bookings that they asked
 * for; whose a booking was that cannot be read, nobody knows (decision 0014). False: there was none left.
 */
async function markMembers(
  { pool, markMember }: RepublishDeps,
  context: Context,
  generation: number,
  from: Progress,
): Promise<boolean> {
  const { rows } = await pool.query<{ tenant_id: string; member: string; lost: number }>(
    `select tenant_id, member, count(*)::int as lost
     from (
       select tenant_id,
         case when topic = $2 then substr(stream, length($3) + 1) else envelope #>> '{data,memberId}' end as member
       from lost_events
       where generation = $1 and ((topic = $2 and starts_with(stream, $3)) or type = 'BookingRequested')
     ) of_members
     where member is not null and (tenant_id, member) > ($4, $5)
     group by tenant_id, member order by tenant_id, member limit $6`,
    [
      generation - 1,
      topics.members,
      memberAccountStream(''),
      from.looked_at_members_tenant,
      from.looked_at_member,
      PAGE,
    ],
  )
  const last = rows.at(-1)
  if (!last) return false
  for (let i = 0; i < rows.length; i += TOGETHER) {
    await Promise.all(
      rows
        .slice(i, i + TOGETHER)
        .map(({ tenant_id: tenantId, member, lost }) =>
          markMember({ ...context, tenantId }, member, { generation, lostEvents: lost }),
        ),
    )
  }
  await pool.query(
    `update log_republications
     set looked_at_members_tenant = $2, looked_at_member = $3, marked_members = marked_members + $4
     where generation = $1 and (looked_at_members_tenant, looked_at_member) < ($2, $3)`,
    [generation, last.tenant_id, last.member, rows.length],
  )
  return true
}

async function readProgress(pool: pg.Pool, generation: number): Promise<Progress> {
  const { rows } = await pool.query<Progress>(
    `select s.generation as current, open.generation as preparing, coalesce(r.looked_at, 0) as looked_at, coalesce(r.marked, 0) as marked,
       coalesce(r.looked_at_tenant, '') as looked_at_tenant, coalesce(r.looked_at_stream, '') as looked_at_stream,
       coalesce(r.looked_at_members_tenant, '') as looked_at_members_tenant, coalesce(r.looked_at_member, '') as looked_at_member,
       coalesce(r.marked_members, 0) as marked_members,
       (select count(*) from lost_events where generation = $1 - 1) as lost
     from log_state s
     left join log_republications open on open.raised_at is null
     left join log_republications r on r.generation = $1`,
    [generation],
  )
  if (!rows[0]) throw new Error('the log has no state')
  return rows[0]
}

function answer(progress: Progress, generation: number, phase: Republication['phase']): Republication {
  return { generation, phase, lookedAt: progress.looked_at, marked: progress.marked, lostEvents: progress.lost }
}
