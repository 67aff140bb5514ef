/** The plan of a run: the same for the same seed, complete over two neighbouring seeds, and never two things at once in one lane. */
import { expect } from 'chai'
import { faultNames, faultOf } from './faults.ts'
import { planRun, pointNames } from './plan.ts'
import { profileNames, profiles } from './profiles.ts'

const planned = (seed: number, profile: (typeof profiles)[keyof typeof profiles]) => {
  const { faults, arms } = planRun(seed, profile)
  const points = Object.values(arms)
    .flat()
    .map(({ point }) => point)
  return [...faults.map(({ fault }) => fault as string), ...points]
}

describe('the plan of a run', () => {
  for (const name of profileNames) {
    const profile = profiles[name]
    it(`${name}: is the same for the same seed, and another one for another`, () => {
      for (const seed of [1, 2, 77, 123_456]) expect(planRun(seed, profile)).to.deep.equal(planRun(seed, profile))
      expect(planRun(1, profile)).not.to.deep.equal(planRun(3, profile))
    })

    it(`${name}: over two neighbouring seeds holds every kill point and every fault that fits`, () => {
      for (const seed of [1, 2, 41]) {
        const both = new Set([...planned(seed, profile), ...planned(seed + 1, profile)])
        const isMeant = (one: (typeof faultNames)[number]) => !profile.isSplit || faultOf(one).part !== 'long'
        expect([...faultNames.filter(isMeant), ...pointNames].filter((one) => !both.has(one))).to.deep.equal([])
      }
    })

    it(`${name}: begins after the load did and leaves the end for repairs`, () => {
      for (const { atMs } of planRun(5, profile).faults)
        expect(atMs).to.be.within(profile.loadMs * 0.05, profile.loadMs * 0.9)
    })
  }

  it('goes through the list again and again when there is time', () => {
    const { faults } = planRun(9, profiles.long, { loadMs: 3 * profiles.long.roundMs })
    for (const name of faultNames) expect(faults.filter(({ fault }) => fault === name)).to.have.length(3)
  })

  it('holds only what was asked for', () => {
    const only = new Set(['kafka-wipe', 'after-claim'])
    const { faults, arms } = planRun(4, profiles.short, { only })
    expect(faults.map(({ fault }) => fault)).to.deep.equal(['kafka-wipe'])
    expect(Object.entries(arms).map(([kind, armed]) => [kind, armed.map(({ point }) => point)])).to.deep.equal([
      ['workers', ['after-claim']],
    ])
  })

  it('names a process that exists wherever one is hit', () => {
    for (const { fault, target } of planRun(6, profiles.long).faults) {
      const { process } = faultOf(fault)
      if (process) expect(target).to.match(new RegExp(`^${process}-[12]$`))
    }
  })
})
