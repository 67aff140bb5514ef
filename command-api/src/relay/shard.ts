/**
 * One shard of the relay: whole partitions, sent to Kafka in position order, at least once, by one leader at a time.
 *
 *   standby ──lock──► taking over ──► leading ──► standby     connection lost, Kafka failed, stop
 *                         │              │
 *                         └─► refused ◄──┘                    store and Kafka contradict each other; what the store lacks is
 *                                                             recorded, and it is tried again later
 *
 * Leadership is an advisory lock, and events are read only through the connection that holds it. A leader that is paused loses
 * the connection (idle_session_timeout) and with it the lock; when it wakes it can send at most the one batch it had read.
 * Progress is kept nowhere: it is what Kafka holds. So duplicates and steps back are possible, first-seen gaps are not.
 * A term ends when the log is republished: the next one sends everything to the topics of the new generation.
 */

import type { KafkaPort, KafkaProducer } from '@portolan/infra/kafka.ts'
import { reach } from '@portolan/infra/kill-points.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { newestGeneration, ofGeneration } from '@portolan/infra/log-generation.ts'
import type pg from 'pg'
import { COMMIT_CHANNEL } from '../event-store/commit-signal.ts'
import { type EventRow, toEnvelope } from '../event-store/read.ts'
import { announceGeneration } from './announce-generation.ts'
import { BATCH_BYTES_MAX, BATCH_EVENTS_MAX, cutBatch, toMessage } from './messages.ts'
import type { RelayMetrics } from './metrics.ts'
import { surveyLostEvents, TooMuchLost } from './survey.ts'
import {
  letTopicsBeMade,
  type PartitionPosition,
  Refusal,
  StoreBehind,
  type TakeOverOptions,
  takeOver,
} from './take-over.ts'

export type ShardPhase = 'standby' | 'taking over' | 'leading' | 'failed' | 'refused'

export interface ShardDeps {
  /** One connection, pipelined. */
  pool: pg.Pool
  /** A port for one term of leadership: kafkajs never forgets a topic it was asked about, and fails once that is deleted. */
  openKafka: () => KafkaPort
  logger: Logger
  metrics: RelayMetrics
}

export interface ShardOptions extends Omit<TakeOverOptions, 'generation'> {
  shard: number
  shards: number
  pollMs: number
  /** How long the leader's connection may be silent. */
  leaseMs: number
  /** See `SurveyOptions`. */
  lostEventsMax: number
}

/** What is fixed for one term of leadership. */
type Term = ShardOptions & TakeOverOptions

export interface Shard {
  phase(): ShardPhase
  /** Ends after the batch at hand. */
  stop(): Promise<void>
}

const LOCK_CLASS = 0x72656c61
const RETRY_MS = 500
const REFUSED_RETRY_MS = 10_000
/** How often Kafka is asked whether it still holds what was sent: it may have been wiped while nothing happened. */
const COMPARE_EVERY_MS = 1000
/** Partitions sent together; bounds what is in memory. */
const PARTITIONS_PER_ROUND = 16

/** Starts standing by for a shard, for ever, until `stop`. */
export function startShard(deps: ShardDeps, options: ShardOptions): Shard {
  const { pool, metrics } = deps
  const logger = deps.logger.child({ shard: options.shard })
  const stopping = new AbortController()
  let phase: ShardPhase = 'standby'
  let wake = () => {}

  function enter(next: ShardPhase): void {
    phase = next
    metrics.setPhase(options.shard, next)
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await serve()
      } catch (error) {
        if (stopping.signal.aborted) return
        enter('failed')
        logger.warn('relay lost its leadership', { error })
        await pause(RETRY_MS)
      }
    }
  }

  /** One connection's life: waits for the lock, then leads until something fails. */
  async function serve(): Promise<void> {
    const client = await pool.connect()
    const lost = Promise.withResolvers<never>()
    lost.promise.catch(() => undefined) // awaited only while leading
    client.on('error', lost.reject)
    client.on('notification', () => wake())
    let heartbeat: NodeJS.Timeout | undefined
    let leading: Promise<void> = Promise.resolve()
    try {
      await prepareSession(client, options.leaseMs)
      if (phase !== 'refused') enter('standby')
      while (!(await takeLock(client, options.shard))) {
        await pause(options.pollMs)
        if (stopping.signal.aborted) return
      }
      const incarnation = await readIncarnation(client)
      // Keeps the connection alive through a slow Kafka; a paused process cannot send it.
      heartbeat = setInterval(() => {
        readIncarnation(client).then((now) => {
          if (now !== incarnation) lost.reject(new Error('the store was replaced'))
        }, lost.reject)
      }, options.leaseMs / 3)
      leading = lead(client)
      await Promise.race([leading, lost.promise])
    } finally {
      clearInterval(heartbeat)
      client.removeAllListeners('notification')
      // Never reused: with the connection the lock goes.
      client.release(true)
      // A batch that is under way ends before this process may lead again.
      await leading.catch(() => undefined)
    }
  }

  /** One term: ends when the log is republished, or some time after a refusal. */
  async function lead(client: pg.PoolClient): Promise<void> {
    const kafka = deps.openKafka()
    let producer: KafkaProducer | undefined
    const { generation, isRepublishing } = await readLog(client, options)
    const term: Term = { ...options, generation }
    try {
      if (isRepublishing) return await standAside(client, kafka, await newestIn(client, kafka))
      producer = await kafka.createProducer()
      let isOver = false
      while (!isOver && !stopping.signal.aborted) {
        if (phase !== 'refused') enter('taking over')
        const { heads } = await readLog(client, options)
        const sent = await takeOver(client, kafka, heads, term, stopping.signal)
        reach('after-take-over')
        enter('leading')
        logger.info('relay leads', { partitions: sent.length, generation })
        const positions = new Map(sent.map((one) => [keyOf(one), one.position]))
        isOver = await sendUntilChanged(client, kafka, producer, term, positions)
        await letTopicsBeMade(client, sent, term)
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      enter('refused')
      logger.error('relay refuses to send', { reason: error.message })
      await standAside(client, kafka, error instanceof StoreBehind ? error.generation : null)
    } finally {
      await producer?.disconnect().catch(() => undefined) // it may have failed before
      await kafka.disconnect()
    }
  }

  /**
   * Sends nothing for a while, or until the log is of a new generation. ahead: the generation in Kafka that may hold what the
   * store lacks, which is then recorded; null: none does.
   */
  async function standAside(client: pg.PoolClient, kafka: KafkaPort, ahead: number | null): Promise<void> {
    const before = await readLog(client, options)
    if (ahead !== null) {
      await revokeVerification(client, before.heads)
      await survey(client, kafka, before, ahead)
    }
    const endsAt = performance.now() + REFUSED_RETRY_MS
    while (!stopping.signal.aborted && performance.now() < endsAt) {
      await pause(options.pollMs)
      if ((await readLog(client, options)).generation !== before.generation) return
    }
  }

  /** The newest generation of which Kafka holds anything: it may be newer than a store that was restored. */
  async function newestIn(client: pg.PoolClient, kafka: KafkaPort): Promise<number> {
    const { heads, generation } = await readLog(client, options)
    const topics = [...new Set(heads.map(({ topic }) => topic))]
    return Math.max(generation, newestGeneration(await kafka.listTopics(), options.topicPrefix, topics))
  }

  async function survey(client: pg.PoolClient, kafka: KafkaPort, { heads, generation }: LogNow, newest: number) {
    try {
      const { topicPrefix, lostEventsMax } = options
      const wanted = { topicPrefix, generation, newest, lostEventsMax }
      const lost = await surveyLostEvents(client, kafka, heads, wanted, stopping.signal)
      if (lost > 0) logger.error('the store lacks events that Kafka holds', { lost, generation: newest })
    } catch (error) {
      const level = error instanceof TooMuchLost ? 'error' : 'warn'
      logger[level]('what the store lacks was not found out', { error })
    }
  }

  /** Returns when there is reason to take over anew: topics were added, or Kafka lost what it had. True: the log is republished. */
  async function sendUntilChanged(
    client: pg.PoolClient,
    kafka: KafkaPort,
    producer: KafkaProducer,
    term: Term,
    sent: Map<string, number>,
  ): Promise<boolean> {
    let isAnnounced = false
    let comparedAt = performance.now()
    while (!stopping.signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const { heads, generation, isRepublishing } = await readLog(client, options)
      if (generation !== term.generation || isRepublishing) return true
      if (heads.some((head) => !sent.has(keyOf(head)))) return false
      if (performance.now() - comparedAt > COMPARE_EVERY_MS) {
        if (await hasLostRecords(kafka, term, heads, sent)) return false
        if (!isAnnounced) isAnnounced = await announceGeneration(client, kafka, term, stopping.signal)
        comparedAt = performance.now()
      }
      const behind = heads.filter((head) => isBehind(head, sent.get(keyOf(head)) ?? 0, generation))
      metrics.setLag(
        options.shard,
        heads.map((head) => ({ ...head, lag: head.position - (sent.get(keyOf(head)) ?? 0) })),
      )
      if (behind.length > 0 && !(await sendRound(client, producer, term, behind, sent))) return false
      // What was committed since the heads were read has woken us, or will.
      if (heads.every((head) => head.position <= (sent.get(keyOf(head)) ?? 0))) {
        metrics.setAge(options.shard, 0)
        await Promise.race([woken, pause(options.pollMs)])
      }
    }
    return true
  }

  /**
   * At most one record batch per partition, and the next only after all were acknowledged. False: a batch came to stand before
   * what was sent already, so its topic is no longer the one that was taken over.
   */
  async function sendRound(
    client: pg.PoolClient,
    producer: KafkaProducer,
    term: Term,
    behind: readonly PartitionPosition[],
    sent: Map<string, number>,
  ): Promise<boolean> {
    const lagOf = (head: PartitionPosition) => head.position - (sent.get(keyOf(head)) ?? 0)
    const chosen = behind.toSorted((a, b) => lagOf(b) - lagOf(a)).slice(0, PARTITIONS_PER_ROUND)
    const { rows } = await client.query<EventRow>({
      name: 'read-log',
      text: 'select * from read_log($1, $2, $3, $4, $5)',
      values: [
        chosen.map(({ topic }) => topic),
        chosen.map(({ partition }) => partition),
        chosen.map((head) => sent.get(keyOf(head)) ?? 0),
        BATCH_EVENTS_MAX,
        BATCH_BYTES_MAX,
      ],
    })
    requireDense(chosen, rows, sent)
    const oldest = Math.min(...rows.map((row) => row.recorded_at.getTime()))
    metrics.setAge(options.shard, Math.max(0, Date.now() - oldest) / 1000)
    const batches = [...Map.groupBy(rows, keyOf)].map(([key, events]) => {
      const messages = cutBatch(events.map((row) => toMessage(term, toEnvelope(row))))
      return { key, messages, topic: events[0]?.topic ?? '' }
    })
    reach('before-produce')
    const acknowledged = await producer.send(batches.flatMap(({ messages }) => messages))
    reach('after-produce')
    const sentBefore = new Map(
      chosen.map((head) => [keyOf({ ...head, topic: ofGeneration(term, head.topic) }), sent.get(keyOf(head)) ?? 0]),
    )
    if (acknowledged.some((batch) => batch.offset < (sentBefore.get(keyOf(batch)) ?? 0))) return false
    for (const { key, messages, topic } of batches) {
      sent.set(key, (sent.get(key) ?? 0) + messages.length)
      metrics.sent(topic, messages.length)
    }
    return true
  }

  function pause(milliseconds: number): Promise<void> {
    if (stopping.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        stopping.signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, milliseconds)
      stopping.signal.addEventListener('abort', done)
    })
  }

  const running = run()
  return {
    phase: () => phase,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** The server ends the session of a leader that was paused or cut off, and with it the lock. */
async function prepareSession(client: pg.PoolClient, leaseMs: number): Promise<void> {
  await client.query(`set idle_session_timeout = ${Math.round(leaseMs)}`)
  await client.query('set tcp_keepalives_idle = 5')
  await client.query('set tcp_keepalives_interval = 2')
  await client.query('set tcp_keepalives_count = 3')
  await client.query("set statement_timeout = '30s'")
  await client.query(`listen ${COMMIT_CHANNEL}`)
}

async function takeLock(client: pg.PoolClient, shard: number): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [
    LOCK_CLASS,
    shard,
  ])
  return rows[0]?.taken ?? false
}

async function readIncarnation(client: pg.PoolClient): Promise<string> {
  const { rows } = await client.query<{ incarnation: string }>('select log_incarnation() as incarnation')
  return rows[0]?.incarnation ?? ''
}

interface LogNow {
  heads: PartitionPosition[]
  generation: number
  /** Between an operator's command to republish and the raised generation: nothing is to be sent. */
  isRepublishing: boolean
}

/** In one statement: heads that belong to another generation must not be sent under this one. */
async function readLog(
  client: pg.PoolClient,
  { shard, shards }: Pick<ShardOptions, 'shard' | 'shards'>,
): Promise<LogNow> {
  const { rows } = await client.query<PartitionPosition & { generation: number; is_republishing: boolean }>({
    name: 'read-log-now',
    text: `select h.topic, h.partition, h.position, s.generation, r.generation is not null as is_republishing
           from log_state s
           left join log_republications r on r.raised_at is null
           left join log_heads h on h.partition % $1 = $2
           order by h.topic, h.partition`,
    values: [shards, shard],
  })
  return {
    heads: rows.flatMap(({ topic, partition, position }) => (topic ? [{ topic, partition, position }] : [])),
    generation: rows[0]?.generation ?? 1,
    isRepublishing: rows[0]?.is_republishing ?? false,
  }
}

/** No claim is granted from here on, although this start of the database was compared with Kafka before. */
async function revokeVerification(client: pg.PoolClient, heads: readonly PartitionPosition[]): Promise<void> {
  await client.query(
    `update log_verifications v set incarnation = 'refused'
     from unnest($1::text[], $2::integer[]) p(topic, partition) where v.topic = p.topic and v.partition = p.partition`,
    [heads.map(({ topic }) => topic), heads.map(({ partition }) => partition)],
  )
}

function isBehind(head: PartitionPosition, sent: number, generation: number): boolean {
  if (head.position >= sent) return head.position > sent
  const known = `${head.topic}/${head.partition} was sent up to position ${sent} and the store knows only ${head.position}`
  throw new StoreBehind(`${known}: was it restored to an earlier point?`, generation)
}

/** A partition holds at least as many records as its highest position says; with fewer it was emptied or cut. */
async function hasLostRecords(
  kafka: KafkaPort,
  term: Term,
  heads: readonly PartitionPosition[],
  sent: ReadonlyMap<string, number>,
): Promise<boolean> {
  for (const topic of new Set(heads.map((head) => head.topic))) {
    for (const { partition, low, high } of await kafka.topicOffsets(ofGeneration(term, topic))) {
      if (high - low < (sent.get(keyOf({ topic, partition })) ?? 0)) return true
    }
  }
  return false
}

function requireDense(
  chosen: readonly PartitionPosition[],
  rows: readonly EventRow[],
  sent: ReadonlyMap<string, number>,
): void {
  const last = new Map(sent)
  for (const row of rows) {
    const expected = (last.get(keyOf(row)) ?? 0) + 1
    if (row.position !== expected) {
      throw new Refusal(`${row.topic}/${row.partition} lacks position ${expected}: the next one is ${row.position}`)
    }
    last.set(keyOf(row), expected)
  }
  // The end of the log may be what is missing; without this the relay would ask for it for ever.
  for (const head of chosen) {
    const position = sent.get(keyOf(head)) ?? 0
    if ((last.get(keyOf(head)) ?? 0) === position) {
      throw new Refusal(`${head.topic}/${head.partition} lacks position ${position + 1}: its head is ${head.position}`)
    }
  }
}

const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
