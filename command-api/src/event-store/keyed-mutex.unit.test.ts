import { expect } from 'chai'
import { createKeyedMutex } from './keyed-mutex.ts'

describe('a keyed mutex', () => {
  it('lets holders of one name in one after the other, in order of arrival', async () => {
    const hold = createKeyedMutex()
    const order: number[] = []
    let inside = 0
    const work = async (n: number) => {
      const release = await hold(['a'])
      inside += 1
      expect(inside).to.equal(1)
      await Promise.resolve()
      order.push(n)
      inside -= 1
      release()
    }
    await Promise.all([1, 2, 3, 4].map(work))
    expect(order).to.deep.equal([1, 2, 3, 4])
  })

  it('does not make holders of different names wait', async () => {
    const hold = createKeyedMutex()
    await hold(['a'])
    const release = await hold(['b'])
    release()
  })

  it('never blocks two holders of several names, whatever order they ask in', async () => {
    const hold = createKeyedMutex()
    const work = async (names: string[]) => {
      const release = await hold(names)
      await Promise.resolve()
      release()
    }
    await Promise.all(Array.from({ length: 50 }, (_, n) => work(n % 2 ? ['a', 'b', 'a'] : ['b', 'a'])))
  })
})
