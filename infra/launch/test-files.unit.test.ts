import { expect } from 'chai'
import { planBatches } from './test-files.ts'

const FILES = [
  'command-api/src/a.int.test.ts',
  'infra/e2e/claim.e2e.test.ts',
  'infra/e2e/heartbeat.e2e.test.ts',
  'infra/src/b.unit.test.ts',
  'schemas/src/c.unit.test.ts',
]
const names = (selection: string[]) => planBatches(FILES, selection).map(({ name }) => name)

describe('the order of a test run', () => {
  it('begins with the heartbeat, then goes from cheap to dear', () => {
    expect(names([])).to.deep.equal([
      'infra/e2e/heartbeat.e2e.test.ts',
      'unit tests',
      'command-api/src/a.int.test.ts',
      'infra/e2e/claim.e2e.test.ts',
    ])
  })

  it('puts all unit tests into one process', () => {
    expect(planBatches(FILES, ['unit'])[0]?.files).to.deep.equal([
      'infra/src/b.unit.test.ts',
      'schemas/src/c.unit.test.ts',
    ])
  })

  it('selects by cost, folder and file', () => {
    expect(names(['int'])).to.deep.equal(['command-api/src/a.int.test.ts'])
    expect(names(['./infra/e2e/'])).to.deep.equal(['infra/e2e/heartbeat.e2e.test.ts', 'infra/e2e/claim.e2e.test.ts'])
    expect(names(['infra/e2e/claim.e2e.test.ts'])).to.deep.equal(['infra/e2e/claim.e2e.test.ts'])
  })

  it('refuses a selection that matches nothing', () => {
    expect(() => planBatches(FILES, ['no-such-folder'])).to.throw('No test file matches no-such-folder')
  })
})
