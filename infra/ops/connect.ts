/**
 * Where the operator's commands look: both databases as their administrator, Kafka, and command-api for what only it may
 * change. Addresses come from the environment; what it does not name is found as `npm start` finds it.
 */
import { createServiceClient, type ServiceClient } from '@portolan/infra/http/client.ts'
import { createKafka, type KafkaPort } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
import pg from 'pg'
import { ensureBackingServices, releaseBackingServices, topicPrefixOf } from '../launch/backing-services.ts'
import { READ_DATABASE, urlOf, WRITE_DATABASE } from '../launch/databases.ts'
import { Obstacle } from '../launch/say.ts'
import { loadSecrets } from '../launch/secrets.ts'
import { type AsOperator, createAsOperator } from './operator-client.ts'

export interface Connections {
  /** Read only: the log belongs to command-api. */
  write: pg.Client
  read: pg.Client
  kafka: KafkaPort
  topicPrefix: string
  commandApi: ServiceClient
  asOperator: AsOperator
  close(): Promise<void>
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent }
const statementTimeoutMs = 60_000

/** Connects. Rejects with an Obstacle when a database cannot be reached. */
export async function connect(env: NodeJS.ProcessEnv): Promise<Connections> {
  await using cleanup = new AsyncDisposableStack()
  const { writeUrl, readUrl, brokers, topicPrefix } = await addresses(env, cleanup)
  const write = await client(writeUrl, 'write')
  cleanup.defer(() => write.end())
  await write.query('set default_transaction_read_only = on')
  const read = await client(readUrl, 'read')
  cleanup.defer(() => read.end())
  const kafka = createKafka({ brokers: brokers.split(','), clientId: `${topicPrefix}ops` }, silent)
  cleanup.defer(() => kafka.disconnect())
  const baseUrl = env.COMMAND_API_URL ?? `http://127.0.0.1:${env.COMMAND_API_PORT || 3001}`
  const commandApi = createServiceClient({
    baseUrl,
    serviceToken: env.SERVICE_TOKEN ?? loadSecrets().SERVICE_TOKEN,
    timeoutMs: 10_000,
  })
  const asOperator = createAsOperator(baseUrl, env)
  const opened = cleanup.move()
  return { write, read, kafka, topicPrefix, commandApi, asOperator, close: () => opened.disposeAsync() }
}

async function addresses(env: NodeJS.ProcessEnv, cleanup: AsyncDisposableStack) {
  const { WRITE_DATABASE_URL: writeUrl, READ_DATABASE_URL: readUrl, KAFKA_BROKERS: brokers } = env
  if (writeUrl && readUrl && brokers) return { writeUrl, readUrl, brokers, topicPrefix: env.KAFKA_TOPIC_PREFIX ?? '' }
  const services = await ensureBackingServices(env)
  cleanup.defer(() => releaseBackingServices())
  return {
    writeUrl: writeUrl ?? urlOf(services.postgres.url, WRITE_DATABASE),
    readUrl: readUrl ?? urlOf(services.postgres.url, READ_DATABASE),
    brokers: services.kafka.url,
    topicPrefix: topicPrefixOf(services, env),
  }
}

async function client(url: string, which: 'read' | 'write'): Promise<pg.Client> {
  const connection = new pg.Client({
    connectionString: url,
    application_name: 'ops',
    statement_timeout: statementTimeoutMs,
    connectionTimeoutMillis: 5000,
    types: {
      // Counts and positions stay far below 2^53.
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === 20 && format !== 'binary'
          ? Number
          : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
    },
  })
  try {
    await connection.connect()
    return connection
  } catch (error) {
    throw new Obstacle(`The ${which} database cannot be reached (${(error as Error).message}): run \`npm start\` once.`)
  }
}
