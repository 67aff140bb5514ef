/**
 * `npm run reset`: fresh data for the next start. It deletes what is Portolan's and nothing else: both databases, our
 * topics and consumer groups, the Redis keys with our prefix, the development secrets, the logs.
 */
import { rmSync } from 'node:fs'
import { createKafka } from '@portolan/infra/kafka.ts'
import type { Logger } from '@portolan/infra/log.ts'
import { Redis } from 'ioredis'
import { ensureBackingServices, releaseBackingServices, topicPrefixOf } from './backing-services.ts'
import { dropDatabases } from './databases.ts'
import { deleteKafkaData } from './kafka-data.ts'
import { lockOwner } from './lock.ts'
import { DATA, LOGS } from './paths.ts'
import { Obstacle, runEntry, say } from './say.ts'
import { SECRETS_FILE } from './secrets.ts'
import { loadSettings } from './settings.ts'

async function main(): Promise<number> {
  loadSettings()
  const running = lockOwner(`${DATA}/start.lock`)
  if (running !== undefined)
    throw new Obstacle(`Portolan is running (process ${running}): stop it with Ctrl-C first, then reset.`)
  if (process.env.NODE_ENV === 'production')
    throw new Obstacle('NODE_ENV is production, where nothing is reset: unset it if this is not.')
  const services = await ensureBackingServices()
  try {
    // Kafka first: it refuses while somebody still reads, and then nothing else may be gone.
    report('topics', await resetKafka(services.kafka.url, topicPrefixOf(services)))
    report('databases', await dropDatabases(services.postgres.url))
    const keys = await deleteKeys(services.redis.url, process.env.REDIS_KEY_PREFIX || 'portolan:')
    say(`· Redis keys deleted: ${keys}`)
  } finally {
    await releaseBackingServices()
  }
  rmSync(SECRETS_FILE, { force: true })
  rmSync(LOGS, { recursive: true, force: true })
  say('· development secrets and logs deleted; the next `npm start` begins anew')
  return 0
}

function report(what: string, names: string[]): void {
  say(`· ${what} deleted: ${names.join(', ') || 'none were there'}`)
}

async function resetKafka(brokers: string, prefix: string): Promise<string[]> {
  const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }
  const kafka = createKafka({ brokers: brokers.split(','), clientId: 'portolan-reset' }, quiet)
  try {
    return await deleteKafkaData(kafka, prefix)
  } finally {
    await kafka.disconnect()
  }
}

/** Keys that begin with our prefix. Returns how many there were. */
async function deleteKeys(url: string, prefix: string): Promise<number> {
  const redis = new Redis(url)
  let deleted = 0
  try {
    const pattern = `${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`
    for await (const keys of redis.scanStream({ match: pattern, count: 1000 })) {
      if (keys.length > 0) deleted += await redis.unlink(...(keys as string[]))
    }
    return deleted
  } finally {
    redis.disconnect()
  }
}

await runEntry(main)
