// Promise P9's part for the Kafka port, on a broker of its own: killed with SIGKILL and started again on its data.
// Sabotage seen to fail: neither letting kafkajs restart its consumer nor making a new one.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createKafka, type KafkaConsumer, type KafkaPort, type KafkaProducer } from '@portolan/infra/kafka.ts'
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { createRecordingLogger } from '@portolan/infra/testing/recording-logger.ts'
import { expect } from 'chai'
import { startOwnKafka } from '../launch/own-kafka.ts'
import { stopOwnServer } from '../launch/own-server.ts'

const TOPIC = 'survivors'

describe('a consumer whose broker is killed', () => {
  const dir = mkdtempSync(`${tmpdir()}/portolan-broker-`)
  let port: number
  let pid: number
  let kafka: KafkaPort
  let consumer: KafkaConsumer
  const values: string[] = []

  const startBroker = async () => {
    const broker = await startOwnKafka({ dir, port, heapMb: 192 })
    port = Number(broker.url.split(':').at(-1))
    pid = broker.pid
  }
  /** Like the relay: a producer whose send was rejected is replaced by a new one. */
  async function sendUntilDone(value: string): Promise<void> {
    await eventually(
      async () => {
        let producer: KafkaProducer | undefined
        try {
          producer = await kafka.createProducer()
          await producer.send([{ topic: TOPIC, partition: 0, key: 'k', value, headers: {} }])
        } finally {
          await producer?.disconnect()
        }
      },
      { withinMs: 60_000 },
    )
  }

  before(async function () {
    this.timeout(120_000)
    await startBroker()
    kafka = createKafka({ brokers: [`127.0.0.1:${port}`], clientId: 'survivor' }, createRecordingLogger())
    await kafka.createTopics([{ topic: TOPIC, partitions: 1, replicationFactor: 1 }])
    consumer = kafka.createConsumer({
      groupId: 'survivors',
      topics: [TOPIC],
      onAssigned: async () => [{ topic: TOPIC, partition: 0, offset: values.length }],
      eachBatch: async ({ records }) => {
        values.push(...records.map(({ value }) => String(value)))
      },
    })
    await consumer.start()
  })
  after(async function () {
    this.timeout(60_000)
    await consumer?.stop()
    await kafka?.disconnect()
    await stopOwnServer(dir)
    rmSync(dir, { recursive: true, force: true })
  })

  it('goes on where it was when the broker is back, without losing or repeating anything', async function () {
    this.timeout(150_000)
    await sendUntilDone('before')
    await eventually(() => values.length === 1)
    process.kill(pid, 'SIGKILL')
    await eventually(() => consumer.assigned().length === 0, { withinMs: 30_000 })
    const restarted = startBroker()
    const sent = sendUntilDone('during')
    await Promise.all([restarted, sent])
    await sendUntilDone('after')
    await eventually(() => values.includes('after'), { withinMs: 60_000 })
    expect([...new Set(values)]).to.deep.equal(['before', 'during', 'after'])
  })
})
