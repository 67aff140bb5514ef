/** Composition root of projections: events from Kafka to the rows of the read database. */

import { loadConfig } from '@portolan/infra/config.ts'
import type { Projection } from '@portolan/infra/consumer/projection.ts'
import { problemHandler } from '@portolan/infra/http/problem.ts'
import { createApp, listen } from '@portolan/infra/http/server.ts'
import { createKafka } from '@portolan/infra/kafka.ts'
import { type RunningProcess, runProcess } from '@portolan/infra/lifecycle.ts'
import { createLogger, type Logger } from '@portolan/infra/log.ts'
import { createPool } from '@portolan/infra/postgres.ts'
import { createMetrics } from '@portolan/infra/telemetry.ts'
import { readEvent } from '@portolan/schemas/catalogue.ts'
import { bookingDetails } from './bookings/booking-details.ts'
import { bookingList } from './bookings/booking-list.ts'
import { type ProjectionsConfig, projectionsConfigSchema } from './config.ts'
import { ledger } from './ledger/ledger.ts'
import { watchLedger } from './ledger/watch-ledger.ts'
import { runVersions } from './run-versions.ts'
import { stays } from './stays/stays.ts'
import { tenants } from './tenants/tenants.ts'

/** Every projection; one line each. */
const projections: readonly Projection[] = [bookingDetails, bookingList, ledger, stays, tenants]

/** A statement that takes longer is given up and retried: read-side transactions end within a second, this is their net. */
const statementTimeoutMs = 5000

/**
 * Starts consuming and serves /health and /metrics. Resolves when the port listens; database and broker may come later.
 * The package's tests call it with port 0 and prefixes of their own.
 */
export async function start(
  config: ProjectionsConfig,
  overrides: { logger?: Logger; projections?: readonly Projection[] } = {},
): Promise<RunningProcess> {
  await using cleanup = new AsyncDisposableStack()
  const logger = overrides.logger ?? createLogger({ process: 'projections', level: config.logLevel })
  const metrics = createMetrics('projections')
  const pool = createPool(
    { url: config.readDatabaseUrl, max: config.databaseConnectionsMax, name: 'projections', statementTimeoutMs },
    logger,
  )
  cleanup.defer(() => pool.end())
  const clientId = `${config.kafkaTopicPrefix}projections`
  const versions = runVersions({
    pool,
    openKafka: () => createKafka({ brokers: config.kafkaBrokers, clientId }, logger),
    logger,
    metrics,
    readEvent,
    projections: overrides.projections ?? projections,
    topicPrefix: config.kafkaTopicPrefix,
    pollMs: config.versionsPollMs,
  })
  cleanup.defer(() => versions.stop())
  cleanup.defer(watchLedger({ pool, logger, metrics }, config.ledgerCheckMs))
  const app = createApp({ process: 'projections', logger, metrics, ready: async () => versions.parts() })
  app.use(...problemHandler({ logger }))
  const server = await listen(app, config.port, config.httpHost)
  cleanup.defer(() => server.stop())
  const started = cleanup.move()
  return { url: server.url, stop: () => started.disposeAsync() }
}

if (import.meta.main) {
  await runProcess('projections', () => start(loadConfig(projectionsConfigSchema)))
}
