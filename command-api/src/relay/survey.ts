/**
 * What the store lacks: every event that Kafka holds and the store does not know at its position, kept in `lost_events` for
 * operators; forgets among it are applied again. Partitions agree up to some position and nowhere behind it, so the search goes
 * back from the end, in growing steps, until it meets an event that both know. That event may belong to a stale batch of a paused leader,
 * sent behind what was lost: one more step, longer than two such batches, must then find nothing but what both know.
 *
 * Every generation from the store's own on is searched: a later one may have been begun and never completed, so that only the
 * older one holds what was lost.
 */
import type { KafkaPort, KafkaRecord } from '@portolan/infra/kafka.ts'
import { type LogTopicNames, topicsSince } from '@portolan/infra/log-generation.ts'
import type pg from 'pg'
import { type OffsetRange, placeOf, readRanges, TAIL_RECORDS } from './kafka-tail.ts'

interface Partition {
  /** Without the environment's prefix. */
  topic: string
  partition: number
}

/** One partition while it is searched. */
interface Search extends Partition {
  range: OffsetRange
  low: number
  /** Highest position that both hold. */
  agreed: number
  /** Of the range: whether its first record was known, and whether another one was not. */
  isFirstKnown: boolean
  hasUnknown: boolean
}

/** How much further back each step looks. */
const STEP_GROWTH = 8

/** Kafka holds more of what the store does not know than is recorded: it is hardly the same log. */
export class TooMuchLost extends Error {}

export interface SurveyOptions extends LogTopicNames {
  /** Of which Kafka holds anything; what is missing is recorded under it, wherever it was found. */
  newest: number
  /** Most events that are recorded under one generation, by all shards; exceeded by one fetch at most. */
  lostEventsMax: number
}

/**
 * Compares partitions with their topics, records what is missing and that it was looked for (`log_surveys`).
 * client: the connection that holds the shard's lock. generation: the store's.
 * Returns how many events the store lacks and no survey had recorded. Rejects when Kafka cannot be read, or `signal` ends it; with
 * TooMuchLost, of which no more is recorded.
 */
export async function surveyLostEvents(
  client: pg.ClientBase,
  kafka: KafkaPort,
  partitions: readonly Partition[],
  { topicPrefix, generation, newest, lostEventsMax }: SurveyOptions,
  signal: AbortSignal,
): Promise<number> {
  const { rows } = await client.query<{ kept: number }>(
    'select count(*)::int as kept from lost_events where generation = $1',
    [newest],
  )
  const before = rows[0]?.kept ?? 0
  const searches = await beginSearches(kafka, partitions, { topicPrefix, generation })
  let lost = 0
  for (let open = searches; open.length > 0; open = open.filter(stepBack)) {
    const byName = new Map(open.map((search) => [`${search.range.topic}/${search.range.partition}`, search]))
    await readRanges(
      { kafka, groupPrefix: topicPrefix, signal },
      [...byName.values()].map(({ range }) => range),
      async (records) => {
        const search = byName.get(`${records[0]?.topic}/${records[0]?.partition}`)
        if (search) lost += await keepUnknown(client, search, records, newest)
        if (before + lost > lostEventsMax) throw new TooMuchLost(tooMuchLost(lostEventsMax))
      },
    )
  }
  // Before the survey counts: a key that was forgotten must not open anything again.
  await client.query('select reapply_lost_forgets()')
  const agreed = ({ topic, partition }: Partition) =>
    Math.max(
      0,
      ...searches.filter((one) => one.topic === topic && one.partition === partition).map((one) => one.agreed),
    )
  await client.query(
    `insert into log_surveys (topic, partition, generation, incarnation, agreed_position)
     select topic, partition, $4, log_incarnation(), position from unnest($1::text[], $2::integer[], $3::bigint[]) p(topic, partition, position)
     on conflict (topic, partition) do update set
       generation = excluded.generation, incarnation = excluded.incarnation, agreed_position = excluded.agreed_position, surveyed_at = now()`,
    [
      partitions.map(({ topic }) => topic),
      partitions.map(({ partition }) => partition),
      partitions.map(agreed),
      newest,
    ],
  )
  return lost
}

/** A search at the end of every partition that holds anything; a topic that is missing holds nothing. */
async function beginSearches(
  kafka: KafkaPort,
  partitions: readonly Partition[],
  since: LogTopicNames,
): Promise<Search[]> {
  const existing = await kafka.listTopics()
  const searches: Search[] = []
  for (const topic of new Set(partitions.map((one) => one.topic))) {
    for (const name of topicsSince(existing, since, topic)) {
      for (const { partition, low, high } of await kafka.topicOffsets(name)) {
        if (high === low || !partitions.some((one) => one.topic === topic && one.partition === partition)) continue
        const range = { topic: name, partition, from: Math.max(low, high - TAIL_RECORDS), to: high }
        searches.push({ topic, partition, range, low, agreed: 0, isFirstKnown: false, hasUnknown: false })
      }
    }
  }
  return searches
}

/** Moves a search in front of what it has read. False: there is nothing more to find. */
function stepBack(search: Search): boolean {
  const { range, low, isFirstKnown, hasUnknown } = search
  if (!hasUnknown || range.from === low) return false
  const size = isFirstKnown ? TAIL_RECORDS : (range.to - range.from) * STEP_GROWTH
  const from = Math.max(low, range.from - size)
  Object.assign(search, { range: { ...range, from, to: range.from }, isFirstKnown: false, hasUnknown: false })
  return true
}

async function keepUnknown(
  client: pg.ClientBase,
  search: Search,
  records: readonly KafkaRecord[],
  newest: number,
): Promise<number> {
  const places = records.map(placeOf)
  const { rows } = await client.query<{ at_position: number; id: string }>(
    'select at_position, id from event_ids($1, $2, $3)',
    [search.topic, search.partition, places.map(({ position }) => position)],
  )
  const known = new Map(rows.map(({ at_position, id }) => [Number(at_position), id]))
  const isKnown = ({ position, eventId }: { position: number; eventId: string }) => known.get(position) === eventId
  search.agreed = Math.max(search.agreed, ...places.filter(isKnown).map(({ position }) => position))
  if (records[0]?.offset === search.range.from) search.isFirstKnown = places[0] !== undefined && isKnown(places[0])
  search.hasUnknown ||= !places.every(isKnown)
  const lost = records.filter((record) => !isKnown(placeOf(record)))
  if (lost.length === 0) return 0
  const { rowCount } = await client.query(
    `insert into lost_events (generation, topic, partition, position, event_id, tenant_id, stream, type, recorded_at, envelope)
     select $1, $2, $3, * from unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::jsonb[])
     on conflict do nothing`,
    [
      newest,
      search.topic,
      search.partition,
      lost.map((record) => placeOf(record).position),
      lost.map(({ headers }) => headers['event-id']),
      lost.map(({ headers }) => headers.tenant ?? ''),
      lost.map(({ headers }) => headers.stream ?? ''),
      lost.map(({ headers }) => headers.type ?? ''),
      lost.map((record) => readable(record)?.recordedAt ?? null),
      lost.map((record) => readable(record) && JSON.stringify(readable(record))),
    ],
  )
  return rowCount ?? 0
}

const tooMuchLost = (max: number) =>
  `Kafka holds more than ${max} events that the store does not know: is it the right database? If it is, raise RELAY_LOST_EVENTS_MAX`

function readable({ value }: KafkaRecord): { recordedAt?: string } | null {
  try {
    return JSON.parse(value?.toString() ?? 'null')
  } catch {
    return null
  }
}
