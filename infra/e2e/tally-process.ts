/**
 * A process that only projects, for the test of P5: it writes down the order in which it saw each stream's events, refuses
 * poisoned ones until the table `repaired` holds a row, and tries parked streams again when asked. Stopped by killing it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig, sharedFields } from '@portolan/infra/config.ts'
import { consume } from '@portolan/infra/consumer/consume.ts'
import { retryParked } from '@portolan/infra/consumer/parking.ts'
import { createPostgresSink } from '@portolan/infra/consumer/project.ts'
import type { Projection, ReadEvent } from '@portolan/infra/consumer/projection.ts'
import { createKafka } from '@portolan/infra/kafka.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { topics } from '@portolan/schemas/topics.ts'
import { z } from 'zod'

const { kafkaBrokers, kafkaTopicPrefix, readDatabaseUrl } = sharedFields
const configSchema = z.object({ kafkaBrokers, kafkaTopicPrefix, readDatabaseUrl })
const readEvent: ReadEvent = (_topic, { type, data }) => ({ type, data })

const tally: Projection = {
  name: 'tally',
  version: 1,
  handles: { [topics.bookings]: ['Counted'] },
  async apply(events, tx) {
    if (events.some(({ data }) => (data as { isPoison: boolean }).isPoison)) {
      const repaired = await tx.query({ text: `select from ${tx.schema}.repaired` })
      if (repaired.rowCount === 0) throw new Error('this event is poisoned')
    }
    // One statement per event: an order that a batch's statement would hide stays visible.
    for (const { tenantId, stream, streamVersion } of events)
      await tx.query({
        text: `insert into ${tx.schema}.tally as t (tenant_id, stream, seen) values ($1, $2, array[$3::bigint])
               on conflict (tenant_id, stream) do update set seen = t.seen || excluded.seen`,
        values: [tenantId, stream, streamVersion],
      })
  },
}

async function start(): Promise<RunningProcess> {
  const config = loadConfig(configSchema)
  const logger = createLogger({ process: 'tally', level: process.env.LOG_LEVEL ?? 'none' })
  const pool = createPool({ url: config.readDatabaseUrl, max: 4, name: 'tally' }, logger)
  const kafka = createKafka({ brokers: config.kafkaBrokers, clientId: 'tally' }, logger)
  const target = { projection: tally, version: 1, generation: 1 }
  const consumer = consume(
    { kafka, logger, metrics: createMetrics('tally') },
    {
      name: 'tally',
      groupId: `${config.kafkaTopicPrefix}tally`,
      topics: [topics.bookings],
      topicPrefix: config.kafkaTopicPrefix,
      sink: createPostgresSink({ pool, readEvent }, target),
      batchSizeMax: 10,
      waitDelaysMs: [100],
      freshnessMs: 200,
    },
  )
  // Ready first: a process that ends itself at its first commit must have been seen alive.
  void consumer.joined.then(retryRegularly)
  return { url: '', stop: async () => process.exit(0) }

  async function retryRegularly(): Promise<never> {
    for (;;) {
      // A database that is away is the next round's business.
      await retryParked({ pool, readEvent }, target).catch(() => undefined)
      await sleep(20)
    }
  }
}

await runProcess('tally', start)
