/** Seen failing: with a generation that only rises; with one that falls to whatever was seen last. */
import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import type pg from 'pg'
import { registerTopics } from './log-topics.ts'

describe('the generation that a process names', () => {
  /** A store whose generation the test decides, and when it answers. */
  async function openStore() {
    const store = { generation: 1, asked: 0, answers: Promise.resolve() }
    const query = async (text: string) => {
      if (!text.includes('from log_state')) return { rows: [] }
      store.asked++
      const { generation } = store
      await store.answers
      return { rows: [{ generation }] }
    }
    const topics = await registerTopics({ query } as unknown as pg.Pool, [], 1)
    store.asked = 0
    return { store, topics }
  }

  it('rises with what it sees, and is not lowered by an answer that was overtaken', async () => {
    const { store, topics } = await openStore()
    store.generation = 3
    for (const seen of [2, 3, 2, 0, 1]) topics.sawGeneration(seen)
    expect(topics.generation()).to.equal(3)
    await eventually(() => store.asked === 1)
    await store.answers
    expect(topics.generation()).to.equal(3)
  })

  it('falls with a store that was restored to an earlier one', async () => {
    const { store, topics } = await openStore()
    topics.sawGeneration(3)
    store.generation = 2
    topics.sawGeneration(2)
    await eventually(() => topics.generation() === 2)
  })

  it('keeps what it sees while it asks', async () => {
    const { store, topics } = await openStore()
    topics.sawGeneration(3)
    const { promise, resolve } = Promise.withResolvers<void>()
    store.answers = promise
    topics.sawGeneration(1)
    expect(store.asked).to.equal(1)
    topics.sawGeneration(4)
    resolve()
    await new Promise(setImmediate)
    expect(topics.generation()).to.equal(4)
  })
})
