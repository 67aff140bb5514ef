/**
 * Kafka behind our own thin port. kafkajs is no longer maintained: nothing outside this file may import it, so that it
 * can be replaced in a day.
 *
 * What the port adds to the client: a consumer that comes back after any error (kafkajs gives up for good on the ones
 * it calls non-retriable), partitions that stay paused until their reader has said where to start, and reading the
 * last record of a partition. Offsets are numbers here; delivery is at-least-once.
 */
import { randomUUID } from 'node:crypto'
import kafkajs, { type Admin, type Consumer, type EachBatchPayload, type Kafka } from 'kafkajs'
import type { Logger } from './log.ts'

export interface KafkaRecord {
  topic: string
  partition: number
  offset: number
  /** UTC milliseconds at which it was handed to the producer, by the producer's clock. */
  sentAtMs: number
  key: string | null
  value: Buffer | null
  /** Header values as text; a header sent twice keeps its last value. */
  headers: Record<string, string>
}

export interface KafkaMessage {
  topic: string
  partition: number
  key: string
  value: string | Buffer
  headers: Record<string, string>
}

export interface TopicPartition {
  topic: string
  partition: number
}

export interface StartOffset extends TopicPartition {
  offset: number
}

export interface RecordBatch extends TopicPartition {
  /** In offset order, at least one. */
  records: KafkaRecord[]
  /** Offset behind the partition's last record, as of this fetch. */
  highWatermark: number
  /** To be called between pieces of a batch that may take longer than a second; throws when the group rebalances. */
  heartbeat(): Promise<void>
  /** False once stop was asked for: finish the piece at hand and return. */
  isRunning(): boolean
  /** True once the partition was sought elsewhere: the rest of this batch is not to be consumed. */
  isStale(): boolean
}

export interface ConsumerOptions {
  groupId: string
  topics: readonly string[]
  /** Where a partition without committed offset and without an answer of onAssigned begins. Default true: at its beginning. */
  fromBeginning?: boolean
  /**
   * Returning means consumed: the next batch follows. To see records again, seek. A throw repeats the batch after a
   * pause and, when it keeps throwing, rejoins the group; so catch what has an answer.
   */
  eachBatch(batch: RecordBatch): Promise<void>
  /**
   * Called on every assignment with all partitions now owned, which may be none. They stay paused until it resolves; those it names start
   * at the given offset, the others at the group's. Called again after a pause when it throws.
   */
  onAssigned?(assigned: TopicPartition[]): Promise<StartOffset[]>
  /** Partitions handled at the same time; default 1. */
  concurrency?: number
  /** Default 250: how long a fetch waits for the first record, and so about how long stop may take. */
  maxWaitTimeMs?: number
  sessionTimeoutMs?: number
  heartbeatIntervalMs?: number
  /** Largest fetch per partition in bytes; default 1 MB. */
  maxBytesPerPartition?: number
}

export interface KafkaConsumer {
  /** Begins to consume; resolves with the first group join. Never rejects: it keeps trying until `stop`. */
  start(): Promise<void>
  /** Finishes the batch at hand and leaves the group. */
  stop(): Promise<void>
  /** Partitions owned now; empty while not in the group. */
  assigned(): TopicPartition[]
  /** Pauses last until resumed or newly assigned. */
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  seek(to: StartOffset): void
  /** Commits offsets of the next record to read, each with up to a few hundred bytes of metadata. */
  commit(offsets: readonly (StartOffset & { metadata?: string })[]): Promise<void>
}

export interface KafkaProducer {
  /**
   * Resolves when every message is acknowledged by all in-sync replicas, with the offset of each partition's first message.
   * Rejects at the first failure: some may be in the log. Nothing is sent after that.
   */
  send(messages: readonly KafkaMessage[]): Promise<StartOffset[]>
  disconnect(): Promise<void>
}

export interface TopicDescription {
  topic: string
  partitions: number
  replicationFactor: number
  config: Record<string, string>
}

export interface KafkaPort {
  /** A connected producer with one request in flight. After a rejected send it is to be replaced by a new one. */
  createProducer(): Promise<KafkaProducer>
  createConsumer(options: ConsumerOptions): KafkaConsumer
  listTopics(): Promise<string[]>
  /** Creates what is missing and leaves existing topics as they are. */
  createTopics(
    topics: readonly {
      topic: string
      partitions: number
      replicationFactor?: number
      config?: Record<string, string>
    }[],
  ): Promise<void>
  deleteTopics(topics: readonly string[]): Promise<void>
  /** Partition count and settings; null for a topic that does not exist. */
  describeTopic(topic: string): Promise<TopicDescription | null>
  /** Per partition: offset of the first record kept (low) and behind the last one (high). */
  topicOffsets(topic: string): Promise<{ partition: number; low: number; high: number }[]>
  /** What a group committed; offset null where it committed nothing. */
  groupOffsets(
    groupId: string,
    topics: readonly string[],
  ): Promise<(TopicPartition & { offset: number | null; metadata: string | null })[]>
  listGroups(): Promise<string[]>
  deleteGroups(groupIds: readonly string[]): Promise<void>
  /** The newest record of each partition, in the order asked for; null where it is empty. All in one go. */
  readLastOfEach(partitions: readonly TopicPartition[]): Promise<(KafkaRecord | null)[]>
  /** Closes the port's own connections; consumers and producers are closed by their owners. */
  disconnect(): Promise<void>
}

// Short pauses, so that a broker's return is noticed within a second. About 6 s until a call gives up.
const RETRY = { initialRetryTime: 100, maxRetryTime: 1000, retries: 8 }
const READ_LAST_TIMEOUT_MS = 20_000
const REJOIN_AFTER_MS = 500
const LEADERS_TIMEOUT_MS = 10_000
const LEADERS_POLL_MS = 50
const LED_ATTEMPTS_MAX = 20
const TOPIC_CONFIG_RESOURCE = 2

/** Creates the port. Nothing is connected until something is used. */
export function createKafka(options: { brokers: readonly string[]; clientId: string }, logger: Logger): KafkaPort {
  const kafka = new kafkajs.Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: 3000,
    requestTimeout: 10_000,
    retry: RETRY,
    logLevel: kafkajs.logLevel.ERROR,
    // The client retries nearly all of these; what it gives up on reaches us as an error or a crash.
    logCreator: () => (entry) => {
      logger.debug('kafka client', { namespace: entry.namespace, detail: entry.log.message, error: entry.log.error })
    },
  })
  let connecting: Promise<Admin> | null = null
  const admin = (): Promise<Admin> => {
    connecting ??= connectAdmin(kafka).catch((error) => {
      connecting = null
      throw error
    })
    return connecting
  }

  const topicOffsets: KafkaPort['topicOffsets'] = async (topic) =>
    (await onceLed(async () => (await admin()).fetchTopicOffsets(topic)))
      .map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }))
      .sort((a, b) => a.partition - b.partition)

  const deleteGroups: KafkaPort['deleteGroups'] = async (groupIds) => {
    if (groupIds.length > 0) await (await admin()).deleteGroups([...groupIds])
  }

  const createConsumer = (consumerOptions: ConsumerOptions) => createLastingConsumer(kafka, consumerOptions, logger)

  const readLastOfEach: KafkaPort['readLastOfEach'] = async (partitions) => {
    const wanted: StartOffset[] = []
    for (const topic of new Set(partitions.map((partition) => partition.topic))) {
      for (const { partition, low, high } of await topicOffsets(topic)) {
        const isWanted = partitions.some((asked) => asked.topic === topic && asked.partition === partition)
        if (isWanted && high > low) wanted.push({ topic, partition, offset: high - 1 })
      }
    }
    const groupId = `${options.clientId}.read-last.${randomUUID()}`
    const found = await readRecordsAt(createConsumer, groupId, wanted)
    if (wanted.length > 0) {
      // An empty group expires by itself; the broker may still be ending it when we ask.
      await deleteGroups([groupId]).catch((error) => logger.debug('group not deleted', { groupId, error }))
    }
    return partitions.map((partition) => found.get(keyOf(partition)) ?? null)
  }

  return {
    createProducer: () => createProducer(kafka),
    createConsumer,
    listTopics: async () => (await admin()).listTopics(),
    createTopics: async (topics) => {
      // A client that was ever asked about a topic fails with everything once that topic is deleted, its creation included.
      const fresh = await connectAdmin(kafka)
      try {
        await fresh.createTopics({
          waitForLeaders: false,
          topics: topics.map(({ topic, partitions, replicationFactor, config }) => ({
            topic,
            numPartitions: partitions,
            replicationFactor: replicationFactor ?? -1,
            configEntries: Object.entries(config ?? {}).map(([name, value]) => ({ name, value })),
          })),
        })
        await waitForLeaders(
          fresh,
          topics.map(({ topic }) => topic),
        )
      } finally {
        await fresh.disconnect()
      }
    },
    deleteTopics: async (topics) => {
      if (topics.length > 0) await (await admin()).deleteTopics({ topics: [...topics] })
    },
    describeTopic: async (topic) => describeTopic(await admin(), topic),
    topicOffsets,
    groupOffsets: async (groupId, topics) => {
      const found = await (await admin()).fetchOffsets({ groupId, topics: [...topics] })
      return found.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset, metadata }) => ({
          topic,
          partition,
          offset: Number(offset) < 0 ? null : Number(offset),
          metadata: metadata || null,
        })),
      )
    },
    listGroups: async () => (await (await admin()).listGroups()).groups.map(({ groupId }) => groupId),
    deleteGroups,
    readLastOfEach,
    disconnect: async () => {
      const open = connecting
      connecting = null
      // An admin that never connected has nothing to close.
      await open?.then((connected) => connected.disconnect()).catch(() => undefined)
    },
  }
}

async function connectAdmin(kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin()
  await admin.connect()
  return admin
}

/** Metadata name the leader of a new partition a moment before that broker knows of it; kafkajs does not ask again. */
async function onceLed<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      const isTooEarly = (error as { type?: unknown }).type === 'NOT_LEADER_FOR_PARTITION'
      if (!isTooEarly || attempt === LED_ATTEMPTS_MAX) throw error
      await new Promise((resolve) => setTimeout(resolve, LEADERS_POLL_MS))
    }
  }
}

/** kafkajs's own wait gives up at once when the broker it asks has not heard of a topic yet. */
async function waitForLeaders(admin: Admin, topics: string[]): Promise<void> {
  const deadline = performance.now() + LEADERS_TIMEOUT_MS
  for (;;) {
    try {
      const found = await admin.fetchTopicMetadata({ topics })
      if (found.topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))) {
        // A broker that is named as leader may not know it yet, and would refuse what is sent to it: it says so here.
        await Promise.all(topics.map((topic) => admin.fetchTopicOffsets(topic)))
        return
      }
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    if (performance.now() > deadline) throw new Error('new topics have no leaders')
    await new Promise((resolve) => setTimeout(resolve, LEADERS_POLL_MS))
  }
}

async function describeTopic(admin: Admin, topic: string): Promise<TopicDescription | null> {
  if (!(await admin.listTopics()).includes(topic)) return null
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: TOPIC_CONFIG_RESOURCE, name: topic }],
  })
  const partitions = topics[0]?.partitions ?? []
  return {
    topic,
    partitions: partitions.length,
    replicationFactor: partitions[0]?.replicas.length ?? 0,
    config: Object.fromEntries(
      (resources[0]?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]),
    ),
  }
}

/**
 * Tries once: kafkajs would go on for seconds, and a batch that was meant for a topic which is gone meanwhile would come to stand at the
 * beginning of the one made in its place. So idempotence, which is about repeated tries, has nothing to do.
 */
async function createProducer(kafka: Kafka): Promise<KafkaProducer> {
  const producer = kafka.producer({
    retry: { retries: 0 },
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner:
      () =>
      ({ message }) => {
        if (message.partition === undefined) throw new TypeError('a message needs its partition')
        return message.partition
      },
  })
  await producer.connect()
  return {
    send: async (messages) => {
      const byTopic = Map.groupBy(messages, ({ topic }) => topic)
      const acknowledged = await producer.sendBatch({
        acks: -1,
        topicMessages: [...byTopic].map(([topic, group]) => ({
          topic,
          messages: group.map(({ partition, key, value, headers }) => ({ partition, key, value, headers })),
        })),
      })
      return acknowledged.map(({ topicName, partition, baseOffset }) => ({
        topic: topicName,
        partition,
        offset: Number(baseOffset),
      }))
    },
    disconnect: () => producer.disconnect(),
  }
}

/**
 * A consumer that outlives its kafkajs consumers. kafkajs restarts itself after errors it calls retriable; after any
 * other it stops for good, and then this makes a new one. Missing topics and an absent broker are waited for.
 */
export function createLastingConsumer(
  kafka: Pick<Kafka, 'consumer'>,
  options: ConsumerOptions,
  logger: Logger,
): KafkaConsumer {
  const log = logger.child({ groupId: options.groupId })
  const joined = Promise.withResolvers<void>()
  let consumer: Consumer | null = null
  let isStopping = false
  let isConnected = false
  let wake: (() => void) | null = null
  let assigned: TopicPartition[] = []
  /** Counts assignments: an answer of onAssigned for an older one is dropped. */
  let assignment = 0

  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  async function onJoin(current: Consumer, memberAssignment: Record<string, number[]>): Promise<void> {
    const number = ++assignment
    assigned = Object.entries(memberAssignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition })),
    )
    joined.resolve()
    if (!options.onAssigned) return
    const mine = assigned
    // Before the first await, so before kafkajs's first fetch of this assignment.
    current.pause(toKafkajs(mine))
    while (assignment === number && !isStopping) {
      try {
        const starts = await options.onAssigned(mine)
        if (assignment !== number || isStopping) return
        for (const { topic, partition, offset } of starts) current.seek({ topic, partition, offset: String(offset) })
        current.resume(toKafkajs(mine))
        return
      } catch (error) {
        log.warn('start of assigned partitions not known yet', { error })
        await pause(REJOIN_AFTER_MS)
      }
    }
  }

  /** One kafkajs consumer from its connection to the error that ends it, or to `stop`. */
  async function consumeUntilCrash(): Promise<void> {
    const ended = Promise.withResolvers<void>()
    // A crash that coincides with stop rejects it when nobody waits for it any more.
    ended.promise.catch(() => undefined)
    const current = kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs ?? 6000,
      heartbeatInterval: options.heartbeatIntervalMs ?? 1000,
      maxWaitTimeInMs: options.maxWaitTimeMs ?? 250,
      maxBytesPerPartition: options.maxBytesPerPartition ?? 1_048_576,
      allowAutoTopicCreation: false,
      retry: RETRY,
    })
    current.on(current.events.GROUP_JOIN, ({ payload }) => onJoin(current, payload.memberAssignment))
    current.on(current.events.REBALANCING, () => log.info('group is rebalancing'))
    current.on(current.events.CRASH, ({ payload }) => {
      assigned = []
      assignment += 1
      log.warn('consumer crashed', { error: payload.error, restartsItself: payload.restart })
      if (!payload.restart) ended.reject(payload.error)
    })
    consumer = current
    try {
      await current.connect()
      isConnected = true
      await current.subscribe({ topics: [...options.topics], fromBeginning: options.fromBeginning ?? true })
      if (isStopping) return
      await current.run({
        autoCommit: false,
        partitionsConsumedConcurrently: options.concurrency ?? 1,
        eachBatch: (payload) => options.eachBatch(batchOf(payload)),
      })
      current.on(current.events.DISCONNECT, () => isStopping && ended.resolve())
      if (isStopping) return
      await ended.promise
    } finally {
      consumer = null
      isConnected = false
      assigned = []
      assignment += 1
      await current.disconnect().catch((error) => log.debug('consumer not disconnected', { error }))
    }
  }

  async function consume(): Promise<void> {
    while (!isStopping) {
      try {
        await consumeUntilCrash()
      } catch (error) {
        if (isStopping) return
        log.warn('consumer is started again', { error, afterMs: REJOIN_AFTER_MS })
        await pause(REJOIN_AFTER_MS)
      }
    }
  }

  let consuming: Promise<void> | null = null
  return {
    start: () => {
      consuming ??= consume()
      return joined.promise
    },
    stop: async () => {
      isStopping = true
      wake?.()
      joined.resolve()
      // An attempt to connect cannot be broken off; it ends by itself and finds that nobody wants it any more.
      if (!isConnected) return
      await consumer?.disconnect().catch((error) => log.debug('consumer not disconnected', { error }))
      await consuming
    },
    assigned: () => [...assigned],
    pause: (partition) => consumer?.pause(toKafkajs([partition])),
    resume: (partition) => consumer?.resume(toKafkajs([partition])),
    seek: ({ topic, partition, offset }) => consumer?.seek({ topic, partition, offset: String(offset) }),
    commit: async (offsets) => {
      await consumer?.commitOffsets(
        offsets.map(({ topic, partition, offset, metadata }) => ({
          topic,
          partition,
          offset: String(offset),
          metadata: metadata ?? null,
        })),
      )
    },
  }
}

/** Reads the record at each given offset through a group of its own. Throws when that takes longer than 20 s. */
async function readRecordsAt(
  createConsumer: (options: ConsumerOptions) => KafkaConsumer,
  groupId: string,
  wanted: readonly StartOffset[],
): Promise<Map<string, KafkaRecord>> {
  const found = new Map<string, KafkaRecord>()
  if (wanted.length === 0) return found
  const done = Promise.withResolvers<void>()
  const consumer = createConsumer({
    groupId,
    topics: [...new Set(wanted.map(({ topic }) => topic))],
    // Partitions nobody asked for begin at their end and are never heard of.
    fromBeginning: false,
    onAssigned: async () => [...wanted],
    eachBatch: async ({ records }) => {
      for (const record of records) if (wanted.some((asked) => isAt(record, asked))) found.set(keyOf(record), record)
      if (found.size === wanted.length) done.resolve()
    },
  })
  const timer = setTimeout(() => done.reject(new Error('the last records could not be read')), READ_LAST_TIMEOUT_MS)
  try {
    void consumer.start()
    await done.promise
    return found
  } finally {
    clearTimeout(timer)
    await consumer.stop()
  }
}

const isAt = (record: KafkaRecord, { topic, partition, offset }: StartOffset): boolean =>
  record.topic === topic && record.partition === partition && record.offset === offset

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

const toKafkajs = (partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] =>
  [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, group]) => ({
    topic,
    partitions: group.map(({ partition }) => partition),
  }))

function batchOf({ batch, heartbeat, isRunning, isStale }: EachBatchPayload): RecordBatch {
  const { topic, partition } = batch
  return {
    topic,
    partition,
    records: batch.messages.map(({ offset, timestamp, key, value, headers }) => ({
      topic,
      partition,
      offset: Number(offset),
      sentAtMs: Number(timestamp),
      key: key?.toString() ?? null,
      value,
      headers: Object.fromEntries(
        Object.entries(headers ?? {}).map(([name, header]) => [
          name,
          String(Array.isArray(header) ? header.at(-1) : header),
        ]),
      ),
    })),
    highWatermark: Number(batch.highWatermark),
    heartbeat,
    isRunning,
    isStale,
  }
}
