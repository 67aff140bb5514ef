/**
 * A crash at a moment that no real broker brings about on demand; kafkajs is played by the test.
 * Seen failing: without the handler on `ended` the rejection is nobody's, and Node would end the process.
 */
import { expect } from 'chai'
import { createLastingConsumer } from './kafka.ts'
import { eventually } from './testing/eventually.ts'

type Consumer = ReturnType<Parameters<typeof createLastingConsumer>[0]['consumer']>

const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger }

describe('a consumer that is stopped', () => {
  it('survives a final crash that comes while it is starting', async () => {
    const listeners = new Map<string, (event: unknown) => void>()
    const subscribing = Promise.withResolvers<void>()
    let isSubscribing = false
    const played = {
      events: { GROUP_JOIN: 'join', REBALANCING: 'rebalancing', CRASH: 'crash', DISCONNECT: 'disconnect' },
      on: (name: string, listener: (event: unknown) => void) => void listeners.set(name, listener),
      connect: async () => {},
      subscribe: () => {
        isSubscribing = true
        return subscribing.promise
      },
      disconnect: async () => {},
    }
    // Only what the consumer uses before it runs is played.
    const kafka = { consumer: () => played as unknown as Consumer }
    const nobodys: unknown[] = []
    const note = (reason: unknown) => void nobodys.push(reason)
    process.on('unhandledRejection', note)
    try {
      const consumer = createLastingConsumer(kafka, { groupId: 'g', topics: ['t'], eachBatch: async () => {} }, logger)
      void consumer.start()
      await eventually(() => isSubscribing)
      const stopped = consumer.stop()
      listeners.get('crash')?.({ payload: { error: new Error('final'), restart: false } })
      subscribing.resolve()
      await stopped
      // Unhandled rejections are told after the microtasks of a turn.
      await new Promise((resolve) => setImmediate(resolve))
      expect(nobodys).to.deep.equal([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})
