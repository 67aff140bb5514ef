/**
 * Finds or brings up Postgres, Redis and Kafka. Each is looked for in this order: its address in the environment;
 * Docker Compose where an engine answers; what listens on the standard local port and passes a check; a server of our
 * own. What fails a check on a standard port is left alone and named; what the environment names must work.
 */
import { checkKafka } from './check-kafka.ts'
import { checkPostgres } from './check-postgres.ts'
import { checkRedis } from './check-redis.ts'
import { COMPOSE_URLS, type ComposeService, composeUp, hasDocker, releaseCompose, stopCompose } from './compose.ts'
import { OWN_KAFKA_DIR, startOwnKafka } from './own-kafka.ts'
import { ownPostgresDir, startOwnPostgres } from './own-postgres.ts'
import { OWN_REDIS_DIR, startOwnRedis } from './own-redis.ts'
import { type OwnServer, releaseOwnServer, type ServerUser, stopOwnServer } from './own-server.ts'
import { Obstacle, say } from './say.ts'
import { isListening } from './wait.ts'

export type BackingService = {
  url: string
  /** Where it was found. Only `own` and `compose` are ours to stop and to wipe. */
  source: 'environment' | 'compose' | 'local' | 'own'
}

export type BackingServices = Record<ComposeService, BackingService>

/** How one service is recognised, checked and started. */
export type Recipe = {
  title: string
  variable: string
  localUrl: string
  localPort: number
  check: (url: string, name: string) => Promise<unknown>
  startOwn: (user: ServerUser) => Promise<OwnServer>
}

const RECIPES: Record<ComposeService, Recipe> = {
  postgres: {
    title: 'Postgres',
    variable: 'DATABASE_URL',
    localUrl: `postgres://${process.env.PGUSER ?? 'postgres'}@127.0.0.1:5432/postgres`,
    localPort: 5432,
    check: checkPostgres,
    startOwn: (user) => startOwnPostgres({ user }),
  },
  redis: {
    title: 'Redis',
    variable: 'REDIS_URL',
    localUrl: 'redis://127.0.0.1:6379',
    localPort: 6379,
    check: checkRedis,
    startOwn: (user) => startOwnRedis({ user }),
  },
  kafka: {
    title: 'Kafka',
    variable: 'KAFKA_BROKERS',
    localUrl: '127.0.0.1:9092',
    localPort: 9092,
    check: checkKafka,
    startOwn: (user) => startOwnKafka({ user }),
  },
}

const NAMES = Object.keys(RECIPES) as ComposeService[]

/**
 * Finds or starts all three, at the same time where that is possible. `user` is the process they are needed by: what
 * we start for it lives until its last user releases it. Rejects with an Obstacle.
 */
export async function ensureBackingServices(
  env: NodeJS.ProcessEnv = process.env,
  user: ServerUser = process.pid,
): Promise<BackingServices> {
  const missing = NAMES.filter((name) => !env[RECIPES[name].variable])
  const inCompose = missing.length > 0 && (await hasDocker()) && (await composeUp(missing, user)) ? missing : []
  const find = (name: ComposeService) =>
    findService(RECIPES[name], { env, user, composeUrl: inCompose.includes(name) ? COMPOSE_URLS[name] : undefined })
  // allSettled: what is being started must have settled before we give up, or it would go on behind our back.
  const results = await Promise.allSettled(NAMES.map(find))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) {
    await releaseBackingServices(user)
    throw failed.reason
  }
  return Object.fromEntries(
    NAMES.map((name, i) => [name, (results[i] as PromiseFulfilledResult<BackingService>).value]),
  ) as BackingServices
}

export type Circumstances = {
  env: NodeJS.ProcessEnv
  user: ServerUser
  /** Where Docker Compose serves it, when it does. */
  composeUrl?: string
}

/** Finds or starts one service. What the environment names must pass its check; what merely listens is left alone if it does not. */
export async function findService(recipe: Recipe, { env, user, composeUrl }: Circumstances): Promise<BackingService> {
  const { title, variable, localUrl, localPort, check, startOwn } = recipe
  const given = env[variable]
  if (given) {
    await check(given, `The ${title} of ${variable} (${withoutPassword(given)})`)
    return { url: given, source: 'environment' }
  }
  if (composeUrl) {
    await check(composeUrl, `The ${title} of docker-compose.yml`)
    return { url: composeUrl, source: 'compose' }
  }
  if (await isListening('127.0.0.1', localPort)) {
    const complaint = await sentenceOf(check(localUrl, `The ${title} on port ${localPort}`))
    if (complaint === undefined) return { url: localUrl, source: 'local' }
    say(`· ${complaint} It is left alone; using one of our own.`)
  }
  return { url: (await startOwn(user)).url, source: 'own' }
}

/** The sentence a check ends with, or undefined when it passes. */
async function sentenceOf(check: Promise<unknown>): Promise<string | undefined> {
  try {
    await check
    return undefined
  } catch (error) {
    if (error instanceof Obstacle) return error.message
    throw error
  }
}

/** The address without its password, for sentences. */
export function withoutPassword(address: string): string {
  return address.replace(/(\/\/[^:/@]*):[^@]*@/, '$1@')
}

/** Lets go of whatever `ensureBackingServices` started for this user; the last user stops it. */
export async function releaseBackingServices(user: ServerUser = process.pid): Promise<void> {
  await Promise.all([releaseCompose(user), ...ownDirs().map((dir) => releaseOwnServer(dir, user))])
}

/** Stops what is ours and runs, whoever uses it. Their data stays. Returns whether any server of our own ran. */
export async function stopBackingServices(): Promise<boolean> {
  await stopCompose()
  const ran = await Promise.all(ownDirs().map(stopOwnServer))
  return ran.some(Boolean)
}

/** The environment under which our processes and tools find the services. */
export function serviceEnvironment({ postgres, redis, kafka }: BackingServices): Record<string, string> {
  return {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    KAFKA_BROKERS: kafka.url,
    ...(kafka.source === 'local' && { KAFKA_TOPIC_PREFIX: topicPrefixOf({ kafka }) }),
  }
}

/** What our topics and groups begin with there: on a Kafka of somebody else they carry our name. */
export function topicPrefixOf({ kafka }: Pick<BackingServices, 'kafka'>, env: NodeJS.ProcessEnv = process.env): string {
  return env.KAFKA_TOPIC_PREFIX ?? (kafka.source === 'local' ? 'portolan.' : '')
}

const ownDirs = () => [OWN_KAFKA_DIR, ownPostgresDir(), OWN_REDIS_DIR]
