/**
 * The relay: events from the write database to Kafka, in position order, at least once. Any number of these processes may
 * run; for each shard one leads and the others stand by.
 */
import { fieldsAreValid, loadConfig, sharedFields } from '@portolan/infra/config.ts'
import { createApp, listen } from '@portolan/infra/http/server.ts'
import { createKafka } from '@portolan/infra/kafka.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { z } from 'zod'
import { createRelayMetrics } from './relay/metrics.ts'
import { type Shard, startShard } from './relay/shard.ts'

const { logLevel, httpHost, writeDatabaseUrl, kafkaBrokers, kafkaTopicPrefix } = sharedFields

export const relayConfigSchema = z
  .object({
    logLevel,
    httpHost,
    writeDatabaseUrl,
    kafkaBrokers,
    kafkaTopicPrefix,
    port: sharedFields.port('RELAY_PORT', 3005, 'port of the relay: health and metrics'),
    shards: z.coerce.number().int().min(1).max(64).default(1).meta({
      env: 'RELAY_SHARDS',
      description: 'parts of the log that different relays may send; the same for all relays',
    }),
    pollMs: z.coerce
      .number()
      .int()
      .min(10)
      .max(10_000)
      .default(1000)
      .meta({ env: 'RELAY_POLL_MS', description: 'longest time until an event is seen without a signal, in ms' }),
    leaseMs: z.coerce
      .number()
      .int()
      .min(300)
      .max(60_000)
      .default(3000)
      .meta({ env: 'RELAY_LEASE_MS', description: 'silence after which a leader is replaced, in ms' }),
    replicationFactor: z.coerce.number().int().min(-1).max(10).default(-1).meta({
      env: 'KAFKA_REPLICATION_FACTOR',
      description: "copies of topics the relay creates; -1 is the broker's default",
    }),
    lostEventsMax: z.coerce.number().int().min(1).max(100_000_000).default(1_000_000).meta({
      env: 'RELAY_LOST_EVENTS_MAX',
      description: 'events of a restored store that are recorded as lost; with more it is taken for the wrong database',
    }),
  })
  .refine(({ pollMs, leaseMs }) => pollMs * 2 <= leaseMs, {
    path: ['leaseMs'],
    message: 'must be at least twice RELAY_POLL_MS, or a healthy stand-by would be cut off between two looks',
    when: fieldsAreValid('pollMs', 'leaseMs'),
  })
export type RelayConfig = z.infer<typeof relayConfigSchema>

/** Starts the relay and resolves while it stands by; whether it leads is in its health answer. */
export async function start(config: RelayConfig, overrides: { logger?: Logger } = {}): Promise<RunningProcess> {
  const logger = overrides.logger ?? createLogger({ process: 'relay', level: config.logLevel })
  const metrics = createMetrics('relay')
  const relayMetrics = createRelayMetrics(metrics)
  const shards: Shard[] = []
  const app = createApp({
    process: 'relay',
    logger,
    metrics,
    ready: async () => ({
      connections: shards.every((shard) => shard.phase() !== 'failed'),
      log: shards.every((shard) => shard.phase() !== 'refused'),
    }),
  })
  const server = await listen(app, config.port, config.httpHost)
  const openKafka = () =>
    createKafka({ brokers: config.kafkaBrokers, clientId: `${config.kafkaTopicPrefix}relay` }, logger)
  const pool = createPool({ url: config.writeDatabaseUrl, max: config.shards, name: 'relay', pipeline: true }, logger)
  for (let shard = 0; shard < config.shards; shard++) {
    shards.push(
      startShard(
        { pool, openKafka, logger, metrics: relayMetrics },
        {
          shard,
          shards: config.shards,
          pollMs: config.pollMs,
          leaseMs: config.leaseMs,
          topicPrefix: config.kafkaTopicPrefix,
          replicationFactor: config.replicationFactor,
          lostEventsMax: config.lostEventsMax,
        },
      ),
    )
  }
  return {
    url: server.url,
    async stop() {
      await Promise.all(shards.map((shard) => shard.stop()))
      await pool.end()
      await server.stop()
    },
  }
}

if (import.meta.main) {
  await runProcess('relay', () => start(loadConfig(relayConfigSchema)))
}
