import { expect } from 'chai'
import { type CallAnswer, notDone } from './call-answer.ts'
import { createGuard, type Entry, enterAll, type Guard } from './guard.ts'

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
    const guard = createGuard(options, Date.now, { throttle: fullThrottle })
    const limits = { sendBeforeMs: Date.now() + 500 }
    expect(await guard.run(limits, async () => good)).to.deep.equal(notDone('throttled', 700))
  })
})

describe('entering a guard', () => {
  it('is refused at once by a limit that is used up, a pause, an open breaker, and calls under way', async () => {
    expect(await createGuard(options, Date.now, { throttle: fullThrottle }).enter(2)).to.deep.equal(
      notDone('throttled', 700),
    )
    const paused = guardWith()
    paused.pause(10_000)
    expect(await paused.enter(1)).to.include({ kind: 'not-done', code: 'rate-limited' })
    const open = guardWith()
    for (let i = 0; i < 2; i++) await open.run(soon(), async () => cut)
    expect(await open.enter(1)).to.include({ kind: 'not-done', code: 'breaker-open' })
    const busy = guardWith()
    await entryOf(busy)
    await entryOf(busy)
    expect(await busy.enter(1)).to.deep.equal(notDone('too-busy'))
  })

  it('holds a place and turns until it is left, and gives back what was not used', async () => {
    const taken = new Set<string>()
    const take = async (names: readonly string[]) => {
      for (const name of names) taken.add(name)
      return 0
    }
    const giveBack = async (names: readonly string[]) => {
      for (const name of names) taken.delete(name)
    }
    const guard = createGuard({ ...options, concurrency: 1, queueMax: 0 }, Date.now, { throttle: { take, giveBack } })
    const entry = await entryOf(guard, 2)
    expect(taken.size).to.equal(2)
    expect(await guard.run(soon(), async () => good), 'a call without an entry').to.include({ code: 'too-busy' })
    expect(await guard.run({ ...soon(), entries: [entry] }, async () => good)).to.equal(good)
    expect(taken.size, 'the call used a turn that was there').to.equal(2)
    await entry.leave()
    expect(taken.size, 'one was used').to.equal(1)
    expect(await guard.run({ ...soon(), entries: [entry] }, async () => good), 'after leaving').to.equal(good)
    await entryOf(guard)
  })

  it('is given to one alone while nobody knows whether the other side is back', async () => {
    const guard = guardWith()
    for (let i = 0; i < 2; i++) await guard.run(soon(), async () => cut)
    const openedAt = Date.now()
    await until(() => Date.now() > openedAt + options.halfOpenAfterMs)
    const trial = await entryOf(guard)
    expect(await guard.enter(1)).to.include({ kind: 'not-done', code: 'breaker-open' })
    expect(await guard.run({ ...soon(), entries: [trial] }, async () => good)).to.equal(good)
    await trial.leave()
    await entryOf(guard)
  })

  it('of several is left again when one of them cannot be entered', async () => {
    const [first, second] = [guardWith({ concurrency: 1 }), guardWith({ concurrency: 1 })]
    const other = await entryOf(second)
    const both = () =>
      enterAll(
        () => first.enter(1),
        () => second.enter(1),
      )
    expect(await both()).to.include({ code: 'too-busy' })
    await other.leave()
    expect(await both()).to.have.length(2)
  })
})

const fullThrottle = { take: async () => 700, giveBack: async () => {} }

async function entryOf(guard: Guard, calls = 1): Promise<Entry> {
  const entry = await guard.enter(calls)
  if ('kind' in entry) throw new Error(entry.code)
  return entry
}
