import { eventually } from '@portolan/infra/testing/eventually.ts'
import { expect } from 'chai'
import { added, type Counter, contextOf, counterType, createStoreFixture } from './store-fixture.ts'

type Fixture = Awaited<ReturnType<typeof createStoreFixture>>
type Store = Awaited<ReturnType<Fixture['open']>>

describe('waiting for a stream', () => {
  let fixture: Fixture
  let store: Store
  let other: Store
  let nextId = 0

  before(async () => {
    fixture = await createStoreFixture()
    store = await fixture.open()
    other = await fixture.open()
    await eventually(() => store.subscriber.status === 'ready' && other.redis.status === 'ready')
  })
  after(() => fixture.close())

  const add = (on: Store, stream: string) =>
    on.handle({
      context: contextOf(),
      streams: { counter: { type: counterType, stream } },
      decide: () => ({ events: { counter: [added()] } }),
    })
  const newStream = async () => {
    const stream = `waited-${++nextId}`
    await add(store, stream)
    return stream
  }
  const reaches = (sum: number) => (counter: Counter) => counter.sum >= sum
  const wait = (stream: string, sum: number, timeoutMs: number, fromVersion?: number) =>
    store.waitFor('harbour', counterType, stream, reaches(sum), { timeoutMs, fromVersion })

  it('answers at once when the state is there', async () => {
    const waited = await wait(await newStream(), 1, 0)
    expect(waited).to.include({ done: true, version: 1 })
    expect(waited.positions).to.not.be.empty
  })

  it('is woken by a commit of another process', async () => {
    const stream = await newStream()
    const startedAt = performance.now()
    const waiting = wait(stream, 3, 5000, 1)
    await add(other, stream)
    await add(other, stream)
    expect(await waiting).to.deep.include({ done: true, version: 3 })
    expect(performance.now() - startedAt).to.be.lessThan(1000)
  })

  it('finds a commit that nobody told of', async () => {
    const stream = await newStream()
    const startedAt = performance.now()
    const waiting = wait(stream, 2, 10_000, 1)
    other.redis.disconnect()
    await add(other, stream)
    expect(await waiting).to.include({ done: true, version: 2 })
    // At the end of its time it would have looked anyway.
    expect(performance.now() - startedAt).to.be.lessThan(5000)
    await other.redis.connect()
  })

  it('answers with what there is when the time is up', async () => {
    const stream = await newStream()
    expect(await wait(stream, 2, 100, 1)).to.deep.include({ done: false, version: 1 })
    expect(await wait(stream, 2, 0)).to.deep.include({ done: false, version: 1 })
  })

  it('reads each event once, however often it looks', async () => {
    const stream = await newStream()
    let folded = 0
    const counting: typeof counterType = {
      ...counterType,
      evolve: (state, event) => {
        folded += 1
        return counterType.evolve(state, event)
      },
    }
    const waiting = store.waitFor('harbour', counting, stream, reaches(3), { timeoutMs: 10_000 })
    await eventually(() => folded === 1)
    await add(other, stream)
    await eventually(() => folded === 2)
    await add(other, stream)
    expect(await waiting).to.deep.include({ done: true, version: 3, folded: 3 })
    expect(folded).to.equal(3)
  })

  it('holds no connection', async () => {
    const stream = await newStream()
    const waiting = Array.from({ length: 50 }, () => wait(stream, 2, 10_000, 1))
    await eventually(() => store.pool.idleCount === store.pool.totalCount && store.pool.waitingCount === 0)
    await add(other, stream)
    for (const waited of await Promise.all(waiting)) expect(waited.done).to.equal(true)
  })

  it('ends early when the process stops', async () => {
    const stopping = await fixture.open()
    const stream = await newStream()
    const waiting = stopping.waitFor('harbour', counterType, stream, reaches(9), { timeoutMs: 30_000, fromVersion: 1 })
    await stopping.stop()
    expect(await waiting).to.include({ done: false, version: 1 })
  })
})
