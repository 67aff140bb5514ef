/** The log after the store was restored to an earlier point: what is missing, and the next generation of topics (decision 0014). */
import { setTimeout as sleep } from 'node:timers/promises'
import { newestGeneration, ofGeneration, publishedGeneration } from '@portolan/infra/log-generation.ts'
import { republicationSchema } from '@portolan/schemas/ops/views.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { Obstacle, say } from '../launch/say.ts'
import type { Command, Outcome } from './command.ts'
import type { Connections } from './connect.ts'
import type { Row } from './table.ts'

const lookEveryMs = 500
/** How long nothing may move before we give up waiting. Nothing is undone by that: the command goes on where it was. */
const noProgressMs = 60_000

interface LogNow {
  generation: number
  /** Being prepared; null: none. */
  preparing: number | null
  /** The one that would be prepared next. */
  next: number
  lost: number
  lostStreams: number
  /** Bookings among them whose request cannot be read: whose they were nobody knows. */
  nobodys: number
  bookings: number
  /** Partitions that the relay has not compared with Kafka since the database started. */
  uncompared: number
  /** Whether claims are granted. */
  isVerified: boolean
}

const state: Command = {
  name: 'log',
  takes: [],
  help: 'the generation of the log, whether it agrees with Kafka, and how many events the store lacks',
  async run(connections) {
    const now = await readLog(connections)
    const existing = await connections.kafka.listTopics()
    const row: Row = {
      generation: now.generation,
      preparing: now.preparing,
      published: publishedGeneration(existing, connections.topicPrefix),
      newest_in_kafka: newestGeneration(existing, connections.topicPrefix, Object.values(topics)),
      relay: now.isVerified ? 'agrees with Kafka' : now.uncompared > 0 ? 'has not compared yet' : 'refuses',
      lost_events: now.lost,
    }
    const notes = now.lost > 0 ? ['`npm run ops -- log lost` lists what the store lacks'] : []
    return { rows: [row], notes, isGood: now.isVerified }
  },
}

const lost: Command = {
  name: 'log lost',
  takes: ['[stream]'],
  help: 'events that Kafka held and a restored store did not know, of all generations; --data adds what they hold',
  async run({ write }, { values: [stream], tenant, limit, data }) {
    const { rows } = await write.query<Row & { data: string | null }>(
      `select generation, tenant_id as tenant, stream, type, partition, position,
         to_char(recorded_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as recorded, (envelope -> 'data')::text as data
       from lost_events
       where ($1::text is null or tenant_id = $1) and ($2::text is null or stream = $2)
       order by generation desc, topic, partition, position limit $3`,
      [tenant, stream, limit],
    )
    const notes = rows.length === limit ? [`the first ${limit}; --limit shows more`] : []
    return { rows: data ? rows : rows.map(({ data: _, ...row }) => row), none: 'nothing is known to be lost', notes }
  },
}

const republish: Command = {
  name: 'log republish',
  takes: ['<reason>'],
  help: 'after a restore to an earlier point: doubts what may have been done, sends the log anew; says first what it will do',
  async run(connections, { values: [reason = ''], yes }) {
    const before = await untilCompared(connections)
    if (await isUnfinished(connections, before)) return finish(connections, before.generation, yes)
    const generation = before.preparing ?? before.next
    if (!yes) return { notes: [...statement(before, generation), 'Nothing was done: add --yes.'], isGood: false }
    const { lostEvents, marked } = await begin(connections, generation, reason, before.bookings)
    say(
      `· generation ${generation} has begun: ${marked} bookings are marked, ${lostEvents} events are known to be lost`,
    )
    await untilSent(connections, generation)
    await untilFollowed(connections, generation)
    const done = `the log is of generation ${generation}, and every read model follows it`
    const doubts = marked > 0 ? ['`npm run ops -- unknown` shows what waits for a look-up or an operator'] : []
    return { notes: [done, ...doubts], isGood: true }
  },
}

function statement(
  { lost: events, lostStreams, nobodys, bookings, generation: now }: LogNow,
  generation: number,
): string[] {
  const known =
    events > 0
      ? `The store lacks ${events} events of ${lostStreams} streams that Kafka holds: \`npm run ops -- log lost\` lists them.`
      : 'Kafka holds no event that the store does not know; what was lost without ever reaching Kafka nobody can tell.'
  return [
    known,
    'Use this after the store was restored to an earlier point. What it lacks stays lost; this makes sure that nothing is done twice:',
    `- no call to suppliers and partners until generation ${generation} of the log has begun (it is ${now} now);`,
    `- of ${bookings} bookings those that have not ended are marked: what may have been done already becomes an unknown outcome.`,
    '  Orders are looked up at the supplier, every deduction and refund in doubt waits for an operator;',
    '- members with lost events: an operator decides about their next deduction;',
    ...(nobodys > 0
      ? [
          `  whose ${nobodys} bookings were whose request cannot be read nobody knows: a repetition of one is not noticed;`,
        ]
      : []),
    '- the log is sent to new topics, and every read model is built anew from them beside the live one, which answers meanwhile;',
    '- the old topics stay: nobody reads them any more, delete them when you like.',
  ]
}

/** Whether the store is whole and its generation has begun, but is not read everywhere yet: the next one would change nothing. */
async function isUnfinished(connections: Connections, { generation, preparing, isVerified }: LogNow): Promise<boolean> {
  if (generation === 1 || preparing !== null || !isVerified) return false
  const published = publishedGeneration(await connections.kafka.listTopics(), connections.topicPrefix)
  return published < generation || !(await isFollowed(connections, generation))
}

/** Waits for what an earlier command began and gave up waiting for. */
async function finish(connections: Connections, generation: number, yes: boolean): Promise<Outcome> {
  const begun = `generation ${generation} has begun already, and not every read model follows it yet`
  if (!yes)
    return { notes: [begun, 'Nothing was done: --yes waits for it, and marks and sends nothing anew.'], isGood: false }
  say(`· ${begun}: nothing is marked anew`)
  await untilSent(connections, generation)
  await untilFollowed(connections, generation)
  const done = `the log is of generation ${generation}, and every read model follows it`
  return { notes: [done, 'If the store was restored once more since it began, repeat the command.'], isGood: true }
}

/** Has the generation prepared and begun, and says how far that is. */
async function begin({ asOperator }: Connections, generation: number, reason: string, bookings: number) {
  for (let lookedAt = -1; ; ) {
    const piece = republicationSchema.parse(await asOperator('/ops/log/republish', { generation, reason }))
    if (piece.phase === 'begun') return piece
    if (piece.lookedAt > lookedAt)
      say(`· marking: ${percentOf(piece.lookedAt, bookings)} of ${bookings} bookings looked at`)
    lookedAt = piece.lookedAt
  }
}

/** Until the relay has sent everything that the log held when the generation began. */
async function untilSent({ write, kafka, topicPrefix }: Connections, generation: number): Promise<void> {
  const { rows } = await write.query<{ topic: string; total: number }>(
    'select topic, sum(position)::bigint as total from log_generation_starts where generation = $1 group by topic having sum(position) > 0',
    [generation],
  )
  const total = rows.reduce((sum, row) => sum + row.total, 0)
  await untilDone('sent', total, async () => {
    const existing = await kafka.listTopics()
    let sent = 0
    for (const { topic } of rows) {
      const name = ofGeneration({ topicPrefix, generation }, topic)
      if (!existing.includes(name)) continue
      for (const { low, high } of await kafka.topicOffsets(name)) sent += high - low
    }
    return { done: sent, isOver: publishedGeneration(existing, topicPrefix) >= generation }
  })
}

/** Whether every read model that answers is built from this generation. */
async function isFollowed({ read }: Connections, generation: number): Promise<boolean> {
  const { rowCount } = await read.query(
    "select from projection_versions where status = 'live' and generation < $1 limit 1",
    [generation],
  )
  return rowCount === 0
}

async function untilFollowed(connections: Connections, generation: number): Promise<void> {
  const { read, write } = connections
  const { rows: heads } = await write.query<{ topic: string; position: number }>(
    'select topic, sum(position)::bigint as position from log_heads group by topic',
  )
  const of = new Map(heads.map(({ topic, position }) => [topic, position]))
  const { rows: used } = await read.query<{ projection: string; topic: string }>(
    'select distinct projection, topic from projection_checkpoints',
  )
  const total = used.reduce((sum, { topic }) => sum + (of.get(topic) ?? 0), 0)
  await untilDone('built', total, async () => {
    const { rows: applied } = await read.query<{ done: number }>(
      'select coalesce(sum(position), 0)::bigint as done from projection_checkpoints where generation = $1',
      [generation],
    )
    return { done: applied[0]?.done ?? 0, isOver: await isFollowed(connections, generation) }
  })
}

/** Says how far it is and how fast it moves until it is over. */
async function untilDone(
  what: string,
  total: number,
  look: () => Promise<{ done: number; isOver: boolean }>,
): Promise<void> {
  const startedAt = performance.now()
  let last = -1
  let movedAt = startedAt
  for (;;) {
    // New topics have no leader for a moment, and Kafka may be away: what is not known now has not moved.
    const { done, isOver } = await look().catch(() => ({ done: last, isOver: false }))
    if (done !== last || isOver) {
      const perSecond = Math.round((1000 * done) / Math.max(1, performance.now() - startedAt))
      say(`· ${what}: ${percentOf(done, total)} of ${total} events, ${perSecond} events/s`)
      last = done
      movedAt = performance.now()
    } else if (performance.now() - movedAt > noProgressMs) {
      throw new Obstacle(
        `Nothing was ${what} for a minute: are relay and projections running? It goes on when they are; repeat the command to wait for it.`,
      )
    }
    if (isOver) return
    await sleep(lookEveryMs)
  }
}

async function untilCompared(connections: Connections): Promise<LogNow> {
  const deadline = performance.now() + noProgressMs
  for (;;) {
    const now = await readLog(connections)
    if (now.uncompared === 0) return now
    if (performance.now() > deadline) {
      const wanted = 'The relay has not compared the log with Kafka since the database started'
      throw new Obstacle(`${wanted}: are the relay and Kafka running? Its log says what is in the way.`)
    }
    await sleep(lookEveryMs)
  }
}

async function readLog({ write }: Connections): Promise<LogNow> {
  const { rows } = await write.query<LogNow>(
    `select s.generation, r.generation as preparing, next_log_generation() as next, lost.events as lost, lost.streams as "lostStreams", lost.nobodys,
       (select count(*) from streams where topic = $1) as bookings,
       (select count(*) from log_heads h
        left join log_verifications v on v.topic = h.topic and v.partition = h.partition and v.incarnation = log_incarnation()
        left join log_surveys u on u.topic = h.topic and u.partition = h.partition and u.incarnation = log_incarnation()
        where v.topic is null and u.topic is null) as uncompared,
       r.generation is null and not exists (
         select from log_heads h
         left join log_verifications v on v.topic = h.topic and v.partition = h.partition and v.incarnation = log_incarnation()
         where v.topic is null) as "isVerified"
     from log_state s
     left join log_republications r on r.raised_at is null
     cross join lateral (
       select count(*) as events, count(distinct (tenant_id, stream)) as streams,
         count(*) filter (where type = 'BookingRequested' and envelope #>> '{data,memberId}' is null) as nobodys
       from lost_events where generation = coalesce(r.generation, next_log_generation()) - 1
     ) lost`,
    [topics.bookings],
  )
  if (!rows[0]) throw new Error('the log has no state')
  return rows[0]
}

const percentOf = (done: number, total: number): string =>
  `${Math.min(100, Math.floor((100 * done) / Math.max(1, total)))} %`

// Longer names first: `log` alone would take the others' place.
export const republishCommands: readonly Command[] = [lost, republish, state]
