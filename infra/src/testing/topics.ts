/** A topic and group prefix for each test file, so that files share one broker without seeing each other. */
import { randomBytes } from 'node:crypto'
import { createKafka, type KafkaPort } from '../kafka.ts'
import type { Logger } from '../log.ts'
import { createRecordingLogger } from './recording-logger.ts'

export interface TestTopics {
  /** KAFKA_TOPIC_PREFIX of this file. */
  prefix: string
  brokers: string[]
  /** A port of the file's own, closed by `drop`. */
  kafka: KafkaPort
  /** Creates topics of these unprefixed names; returns the real names in the same order. */
  create(names: readonly string[], partitions: number): Promise<string[]>
  /** Deletes every topic and every idle group of the prefix. */
  drop(): Promise<void>
}

/** Reserves a prefix on the broker of KAFKA_BROKERS (default: the project's own). Call `drop` in the file's `after`. */
export function testTopics(logger: Logger = createRecordingLogger()): TestTopics {
  const prefix = `test-${process.pid}-${randomBytes(3).toString('hex')}.`
  const brokers = (process.env.KAFKA_BROKERS ?? '127.0.0.1:19092').split(',')
  const kafka = createKafka({ brokers, clientId: `${prefix}tests` }, logger)
  return {
    prefix,
    brokers,
    kafka,
    create: async (names, partitions) => {
      const topics = names.map((name) => `${prefix}${name}`)
      await kafka.createTopics(topics.map((topic) => ({ topic, partitions, replicationFactor: 1 })))
      return topics
    },
    drop: async () => {
      const mine = (name: string) => name.startsWith(prefix)
      await kafka.deleteTopics((await kafka.listTopics()).filter(mine))
      // A group whose consumer was killed still counts as alive for its session; it expires by itself.
      await kafka.deleteGroups((await kafka.listGroups()).filter(mine)).catch(() => undefined)
      await kafka.disconnect()
    },
  }
}
