// A fleet in which another fault gets in the way of the first pauses. Sabotage: inject what took no effect only once.
import { expect } from 'chai'
import type { Evidence } from './evidence.ts'
import type { Laboratory } from './laboratory.ts'
import type { PlannedFault } from './plan.ts'
import { injectAll } from './schedule.ts'

const planned: PlannedFault[] = [
  { fault: 'pause-workers', atMs: 0, forMs: 0, target: 'workers-1' },
  { fault: 'pause-relay', atMs: 1, forMs: 0, target: 'relay-1' },
]

describe('the schedule of faults', () => {
  it('injects again what took no effect, behind the others of its lane, and counts both', async () => {
    const { lab, evidence } = scene({ disturbed: 1 })
    const injections = await injectAll(lab, evidence, planned, new Set(), new AbortController().signal)
    expect(injections.map(({ name, tookEffect }) => [name, tookEffect])).to.deep.equal([
      ['pause-workers', false],
      ['pause-relay', true],
      ['pause-workers', true],
    ])
  })

  it('ends with the run although something never takes effect', async () => {
    const { lab, evidence, ending } = scene({ disturbed: Number.POSITIVE_INFINITY, endsAfter: 4 })
    const injections = await injectAll(lab, evidence, planned, new Set(), ending.signal)
    expect(injections).to.have.length(4)
    expect(injections.some(({ tookEffect }) => tookEffect)).to.equal(false)
  })
})

/** disturbed: how many pauses are without effect. endsAfter: the pause at which the run ends. */
function scene({ disturbed, endsAfter }: { disturbed: number; endsAfter?: number }) {
  const ending = new AbortController()
  let pauses = 0
  const fleet: Partial<Laboratory['fleet']> = {
    isRunning: () => true,
    pause: async () => {
      pauses += 1
      if (pauses === endsAfter) ending.abort()
      return pauses
    },
    isHeldStill: () => pauses > disturbed,
    resume: () => {},
  }
  const lab = { fleet } as Laboratory
  const evidence = {} as Evidence
  return { lab, evidence, ending }
}
