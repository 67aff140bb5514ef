/** Seen failing: with a pause that leaves its listener on the signal of the whole run. */
import { getEventListeners } from 'node:events'
import { expect } from 'chai'
import {
  followGenerations,
  newestGeneration,
  ofGeneration,
  publishedGeneration,
  topicsSince,
} from './log-generation.ts'

const inKafka = [
  'portolan.bookings.events.v1',
  'portolan.bookings.events.v1.g2',
  'portolan.log.g2',
  'portolan.bookings.events.v1.g3',
  // Of somebody else, or nothing that we write.
  'log.g9',
  'portolan.log.g04',
  'portolan.payments.g8',
]

describe('a generation of the log', () => {
  it('has plain names when it is the first, and its number in them afterwards', () => {
    expect(ofGeneration({ topicPrefix: 'p.', generation: 1 }, 'bookings.events.v1')).to.equal('p.bookings.events.v1')
    expect(ofGeneration({ topicPrefix: 'p.', generation: 12 }, 'workers.dispatch')).to.equal('p.workers.dispatch.g12')
  })

  it('may be read once its marker exists, and is the first until then', () => {
    expect(publishedGeneration(inKafka, 'portolan.')).to.equal(2)
    expect(publishedGeneration([], 'portolan.')).to.equal(1)
  })

  it('is the newest that Kafka holds anything of, complete or not', () => {
    expect(newestGeneration(inKafka, 'portolan.', ['bookings.events.v1'])).to.equal(3)
    expect(newestGeneration(inKafka, 'portolan.', ['members.events.v1'])).to.equal(2)
    expect(newestGeneration([], 'portolan.', ['members.events.v1'])).to.equal(1)
  })

  it('is followed by every later one of a topic that Kafka holds, complete or not', () => {
    const since = (generation: number) =>
      topicsSince(inKafka, { topicPrefix: 'portolan.', generation }, 'bookings.events.v1')
    expect(since(1)).to.deep.equal(inKafka.filter((name) => name.startsWith('portolan.bookings.events.v1')))
    expect(since(3)).to.deep.equal(['portolan.bookings.events.v1.g3'])
    expect(since(4)).to.deep.equal([])
  })

  it('is followed once, again after a failure, and never backwards', async () => {
    const answers: (string[] | Error)[] = [['log.g2'], new Error('Kafka is away'), [], ['log.g3'], ['log.g3']]
    const followed: number[] = []
    const failures: unknown[] = []
    const done = Promise.withResolvers<void>()
    const following = followGenerations(
      {
        kafka: {
          listTopics: async () => {
            const answer = answers.shift()
            if (!answer) done.resolve()
            if (answer instanceof Error) throw answer
            return answer ?? []
          },
        },
        onError: (error) => failures.push(error),
      },
      { topicPrefix: '', pollMs: 1 },
      async (generation) => {
        followed.push(generation)
        if (generation === 3 && followed.length === 2) throw new Error('not yet')
      },
    )
    await done.promise
    await following.stop()
    expect(followed).to.deep.equal([2, 3, 3])
    expect(failures).to.have.length(2)
  })

  it('is looked for as long as a process lives, and no look leaves anything behind', async () => {
    const signals: AbortSignal[] = []
    const Original = globalThis.AbortController
    globalThis.AbortController = class extends Original {
      constructor() {
        super()
        signals.push(this.signal)
      }
    }
    const done = Promise.withResolvers<void>()
    let looks = 0
    const listTopics = async () => {
      looks += 1
      if (looks === 20) done.resolve()
      return []
    }
    const deps = { kafka: { listTopics }, onError: () => {} }
    const following = followGenerations(deps, { topicPrefix: '', pollMs: 1 }, async () => {})
    globalThis.AbortController = Original
    await done.promise
    expect(signals).to.have.length(1)
    expect(signals.map((signal) => getEventListeners(signal, 'abort').length)[0]).to.be.at.most(1)
    await following.stop()
  })
})
