/** Settings of the projections process. */
import { sharedFields } from '@portolan/infra/config.ts'
import { z } from 'zod'

const { nodeEnv, logLevel, httpHost, kafkaBrokers, kafkaTopicPrefix, readDatabaseUrl } = sharedFields

const milliseconds = (env: string, fallback: number, description: string) =>
  z.coerce
    .number()
    .int()
    .min(10)
    .max(3_600_000)
    .default(fallback)
    .meta({ env, description: `${description}, in ms` })

export const projectionsConfigSchema = z.object({
  nodeEnv,
  logLevel,
  httpHost,
  kafkaBrokers,
  kafkaTopicPrefix,
  readDatabaseUrl,
  port: sharedFields.port('PROJECTIONS_PORT', 3004, 'port of projections (health and metrics)'),
  databaseConnectionsMax: z.coerce.number().int().min(2).max(50).default(8).meta({
    env: 'PROJECTIONS_DATABASE_CONNECTIONS_MAX',
    description: 'connections shared by all projections of a process',
  }),
  versionsPollMs: milliseconds(
    'PROJECTIONS_VERSIONS_POLL_MS',
    1000,
    'how often new versions and asked-for retries are looked for',
  ),
  ledgerCheckMs: milliseconds('PROJECTIONS_LEDGER_CHECK_MS', 30_000, 'how often the ledger is added up'),
})
export type ProjectionsConfig = z.infer<typeof projectionsConfigSchema>
