// The mutations stay fit to be run: every patch applies to the sources as they stand, says what it breaks, and between them they break
// every promise that the laboratory is for. Sabotage seen to fail: a patch whose context was edited, one without its faults, and
// a fault that the laboratory does not have.
import { execFileSync } from 'node:child_process'
import { killPoints } from '@portolan/infra/kill-points.ts'
import { expect } from 'chai'
import { ROOT } from '../../launch/paths.ts'
import { faultNames } from '../faults.ts'
import { readMutation, readMutations } from './mutation.ts'

const promises = ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P9', 'P10', 'P11', 'P13', 'P15']
/** These can be broken so that everything is right as long as one thing happens after the other. */
const concurrent = ['P1', 'P2', 'P3', 'P7', 'P9', 'P10', 'P11']

describe('the mutations', () => {
  const mutations = readMutations()

  for (const { name, file } of mutations) {
    it(`${name} applies to the sources`, () => {
      execFileSync('git', ['apply', '--check', file], { cwd: ROOT, stdio: 'pipe' })
    })
  }

  it('break every promise, and the concurrent ones under interleaving only', () => {
    const broken = new Set(mutations.flatMap((mutation) => mutation.promises))
    expect(promises.filter((promise) => !broken.has(promise))).to.deep.equal([])
    const interleaved = new Set(mutations.flatMap(({ interleaving, promises: own }) => (interleaving ? own : [])))
    expect(concurrent.filter((promise) => !interleaved.has(promise))).to.deep.equal([])
  })

  it('name faults and kill points that the laboratory has', () => {
    const known = new Set<string>([...faultNames, ...Object.keys(killPoints)])
    const unknown = mutations.flatMap(({ name, faults }) =>
      faults.filter((fault) => !known.has(fault)).map((fault) => `${name}: ${fault}`),
    )
    expect(unknown).to.deep.equal([])
  })

  it('say what they break', () => {
    const text =
      'Promises: P1, P2\nBreaks: one thing\n  and another\nInterleaving: no\nFaults: kill-relay\n\ndiff --git a/x b/x\n'
    expect(readMutation('p01-x.patch', text)).to.deep.include({
      name: 'p01-x',
      promises: ['P1', 'P2'],
      breaks: 'one thing and another',
      interleaving: null,
      faults: ['kill-relay'],
    })
    expect(() => readMutation('p01-x.patch', text.replace('Faults', 'Fault'))).to.throw(
      'p01-x.patch does not say Faults',
    )
  })
})
