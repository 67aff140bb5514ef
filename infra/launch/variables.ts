/**
 * The variables that no configuration schema declares, because the launcher and the stand-ins read them: everything
 * else in `.env.example` comes from the processes themselves (environment.ts).
 */
import { neededPorts } from './processes.ts'

export type LaunchVariable = {
  env: string
  /** Needed where no process of ours declares the variable as well; theirs wins. */
  description?: string
  default?: string
  secret?: boolean
  /** What `npm start` does while it is unset. */
  unset?: string
}

const FOUND = 'found on this machine or brought up'
const STAND_IN = 'its stand-in is started'
const KEPT = 'made at the first start and kept in .data/secrets.json'
const BY_START = '`npm start` always sets it itself'

/** What `npm start` and its sisters read, or set for the processes. */
export const launchVariables: readonly LaunchVariable[] = [
  {
    env: 'DATABASE_URL',
    description: 'Postgres server on which both databases are made, as a role that may make databases and roles',
    secret: true,
    unset: FOUND,
  },
  { env: 'REDIS_URL', unset: FOUND },
  { env: 'KAFKA_BROKERS', unset: FOUND },
  { env: 'KAFKA_TOPIC_PREFIX', unset: '`portolan.` on a Kafka that was found, else empty' },
  { env: 'PGUSER', description: 'role that is tried on a Postgres found on this machine', default: 'postgres' },
  { env: 'KAFKA_HEAP_MB', description: 'heap of a Kafka that is brought up without Docker, in MB', default: '384' },
  {
    env: 'PORTOLAN_DATA_DIR',
    description: 'folder of everything made at run time; set it in the shell, .env is read too late for it',
    unset: '.data',
  },
  { env: 'TEST_MODE', unset: 'true, unless NODE_ENV is production' },
  { env: 'SEED_STAYS', unset: 'true, unless NODE_ENV is production' },
  { env: 'DUFFEL_ACCESS_TOKEN', unset: STAND_IN },
  { env: 'DUFFEL_API_URL', unset: 'the stand-in, or Duffel where a token is set' },
  { env: 'DUFFEL_WEBHOOK_SECRET', unset: 'made for the stand-in; none towards Duffel' },
  { env: 'COFFEECHAIN_API_URL', unset: STAND_IN },
  { env: 'SERVICE_TOKEN', unset: KEPT },
  { env: 'PERSONAL_DATA_KEYS', unset: KEPT },
  { env: 'STAFF_JWT_KEYS', unset: KEPT },
  { env: 'EDGE_HOST', description: 'address the edge listens on', default: '127.0.0.1' },
  ...neededPorts({}).map(({ variable, port, purpose }) => ({
    env: variable,
    description: `port of ${purpose}`,
    default: String(port),
  })),
  ...['WRITE_DATABASE_URL', 'READ_DATABASE_URL', 'COMMAND_API_URL', 'WORKERS_URL'].map((env) => ({
    env,
    unset: BY_START,
  })),
]

/** What the stand-ins read besides their ports; infra/sandbox/README.md says more. */
export const standInVariables: readonly LaunchVariable[] = [
  { env: 'SANDBOX_HOST', description: 'address the stand-ins listen on', default: '127.0.0.1' },
  { env: 'SANDBOX_SEED', description: 'Duffel: timetables, prices and ids follow from it', default: 'portolan' },
  { env: 'SANDBOX_OFFER_TTL_SECONDS', description: 'Duffel: life of an offer, in s', default: '1800' },
  {
    env: 'SANDBOX_SHORT_OFFER_TTL_SECONDS',
    description: 'Duffel: life of an offer from LGW to LCY, in s',
    default: '5',
  },
  { env: 'SANDBOX_HOLD_TTL_SECONDS', description: 'Duffel: how long unpaid space is held, in s', default: '259200' },
  {
    env: 'SANDBOX_ASYNC_DELAY_SECONDS',
    description: 'Duffel: when an order answered with 200 or 202 happens, in s',
    default: '5',
  },
  { env: 'SANDBOX_SLOW_SECONDS', description: 'Duffel: duration of the slow route, in s', default: '5' },
  { env: 'SANDBOX_HANG_SECONDS', description: 'longest silence before the socket is closed, in s', default: '60' },
  {
    env: 'SANDBOX_API_TIMEOUT_SECONDS',
    description: 'CoffeeChain: how long `X-Mock-Error: api-timeout` blocks it, in s',
    default: '35',
  },
  { env: 'SANDBOX_WEBHOOK_URL', description: 'Duffel: where its webhooks go', unset: BY_START },
  { env: 'SANDBOX_WEBHOOK_SECRET', description: 'Duffel: signs its webhooks', secret: true, unset: BY_START },
]

/** Names of the loyalty contract that nothing reads, because their programmes are not built. */
export const namesNotReadYet: readonly string[] = [
  'TELCOCORP_API_URL',
  'TELCOCORP_CLIENT_ID',
  'TELCOCORP_CLIENT_SECRET',
  'FINTECHAPP_API_URL',
  'FINTECHAPP_JWT_SECRET',
]
