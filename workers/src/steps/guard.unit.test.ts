import { expect } from 'chai'
import { type CallAnswer, notDone } from './call-answer.ts'
import { createGuard } from './guard.ts'

const good: CallAnswer<number> = { kind: 'succeeded', value: 1 }
const cut: CallAnswer<number> = { kind: 'unknown', code: 'connection-cut' }
const refused: CallAnswer<number> = { kind: 'refused', code: 'insufficient-balance' }
const options = { concurrency: 2, queueMax: 1, failuresToOpen: 2, halfOpenAfterMs: 40 }
const soon = () => ({ sendBeforeMs: Date.now() + 5_000 })

function guardWith(overrides: Partial<typeof options> = {}) {
  return createGuard({ ...options, ...overrides }, Date.now)
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 2_000
  while (!isTrue() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('a guard', () => {
  it('opens after troubled answers in a row, sends nothing while open, and closes after one good trial call', async () => {
    const guard = guardWith()
    let sent = 0
    const call = (answer: CallAnswer<number>) =>
      guard.run(soon(), async () => {
        sent += 1
        return answer
      })
    await call(cut)
    await call(notDone('partner-unavailable'))
    expect(guard.state()).to.equal('open')
    const refusedByBreaker = await call(good)
    expect(refusedByBreaker).to.include({ kind: 'not-done', code: 'breaker-open' })
    expect(sent).to.equal(2)

    const openedAt = Date.now()
    await until(() => Date.now() > openedAt + options.halfOpenAfterMs)
    expect(await call(cut)).to.equal(cut)
    expect(guard.state(), 'a troubled trial opens it again').to.equal('open')
    const reopenedAt = Date.now()
    await until(() => Date.now() > reopenedAt + options.halfOpenAfterMs)
    expect(await call(good)).to.equal(good)
    expect(guard.state()).to.equal('closed')
  })

  it('is not opened by refusals, nor by failures that were asked for', async () => {
    const guard = guardWith()
    for (let i = 0; i < 5; i++) await guard.run(soon(), async () => refused)
    for (let i = 0; i < 5; i++) await guard.run({ ...soon(), isMocked: true }, async () => cut)
    expect(guard.state()).to.equal('closed')
  })

  it('does not let a trial call keep others waiting', async () => {
    const guard = guardWith()
    await guard.run(soon(), async () => cut)
    await guard.run(soon(), async () => cut)
    const openedAt = Date.now()
    await until(() => Date.now() > openedAt + options.halfOpenAfterMs)
    let finish: (answer: CallAnswer<number>) => void = () => undefined
    const trial = guard.run(soon(), () => new Promise<CallAnswer<number>>((resolve) => (finish = resolve)))
    await until(() => guard.state() === 'half-open')
    expect(await guard.run(soon(), async () => good)).to.include({ kind: 'not-done', code: 'breaker-open' })
    finish(good)
    expect(await trial).to.equal(good)
  })

  it('bounds calls under way and calls waiting', async () => {
    const guard = guardWith()
    const ends: (() => void)[] = []
    const call = () =>
      guard.run(soon(), () => new Promise<CallAnswer<number>>((resolve) => ends.push(() => resolve(good))))
    const three = [call(), call(), call()]
    expect(await call()).to.include({ kind: 'not-done', code: 'too-busy' })
    await until(() => ends.length === 2)
    ends[0]?.()
    ends[1]?.()
    await until(() => ends.length === 3)
    ends[2]?.()
    expect(await Promise.all(three)).to.deep.equal([good, good, good])
  })

  it('sends nothing after the last permitted instant, and says when it sends', async () => {
    const guard = guardWith()
    let sent = 0
    const onSend = () => {
      sent += 1
    }
    const late = await guard.run({ sendBeforeMs: Date.now() - 1, onSend }, async () => good)
    expect(late).to.include({ kind: 'not-done', code: 'call-before-passed' })
    expect(sent).to.equal(0)
    await guard.run({ ...soon(), onSend }, async () => good)
    expect(sent).to.equal(1)
  })

  it('keeps a pause that the other side asked for', async () => {
    const guard = guardWith()
    guard.pause(10_000)
    expect(await guard.run(soon(), async () => good)).to.include({ kind: 'not-done', code: 'rate-limited' })
  })

  it('gives up waiting for a turn that would come too late', async () => {
    const guard = createGuard(options, Date.now, { throttle: { take: async () => 700 } })
    expect(await guard.run(soon(), async () => good)).to.deep.equal(notDone('throttled', 700))
  })
})
